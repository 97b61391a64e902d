"""Work for executors that needs no network: what a task should do stands in a file. Loads no torch.

`Job.work = ERRANDS`; `Job.file` is a JSON object, task ("film/piece") -> what befalls whoever does it:

- "die": the process is killed; "die once": only the first one;
- "DataError", "ResourceError", ...: a fault of this class; "bug": an exception that nobody foresaw;
- "wait": it goes on until the process is ended, or for a while;
- "meet": it is done when somebody waits, or after a while;
- anything else, or nothing: it is done.

Whoever begins a task adds its process number to `Job.out`/FILM-PIECE; whoever waits touches FILM-PIECE.alive meanwhile.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from artgen import errors
from artgen.walk.jobs import Job, Outcome, Task, Tell

ERRANDS = f"{__name__}:run_errands"
BEAT_SECONDS = 0.02
MEET_SECONDS, WAIT_SECONDS = 20.0, 120.0


def mark_of(job: Job, task: Task) -> Path:
    """Where those who begin a task write their numbers."""
    return Path(job.out) / f"{task.film}-{task.piece}"


def run_errands(job: Job, tasks: Sequence[Task], tell: Tell) -> None:
    """Do what the file says, as `artgen.walk.render.render_tasks` would render."""
    wanted = json.loads(Path(job.file).read_text(encoding="utf-8"))
    for task in tasks:
        mark = mark_of(job, task)
        was_begun = mark.exists()
        with mark.open("a", encoding="utf-8") as file:
            file.write(f"{os.getpid()}\n")
        print("a plugin prints")  # noqa: T201  # it must mix with no answer
        fault = None
        match wanted.get(f"{task.film}/{task.piece}", ""):
            case "die once" if was_begun:
                pass
            case "die" | "die once":
                os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
            case "bug":
                raise KeyError(f"the errand of {task}")
            case "wait":
                end = time.monotonic() + WAIT_SECONDS
                while time.monotonic() < end:
                    mark.with_suffix(".alive").touch()
                    time.sleep(BEAT_SECONDS)
            case "meet":
                end = time.monotonic() + MEET_SECONDS
                while not [*mark.parent.glob("*.alive")] and time.monotonic() < end:
                    time.sleep(BEAT_SECONDS)
            case str(name) if hasattr(errors, name):
                fault = getattr(errors, name)("it went wrong", place=str(mark), remedy="Mend it.")
        tell(Outcome(task, fault))
