"""A process that renders pieces of films for another one: `python -m artgen.walk.worker`. Loads no torch by itself.

On stdin come lines of JSON: the job, then runs of tasks. Answers go, also as lines, to what stdout is at the start:
`null` where a run is wanted, else the outcome of a task. What anybody prints goes to stderr. When stdin ends, whoever
asked is gone or wants no more: the process ends at once, whatever it is at.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from queue import SimpleQueue
from threading import Thread
from typing import Any, BinaryIO

from artgen.walk.jobs import Job, Task, perform


def main() -> None:
    """Work until stdin ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group, and whoever asked will see to it
    asked, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    sys.stdout.flush()
    said: SimpleQueue[bytes] = SimpleQueue()
    Thread(target=_listen, args=(asked, said), name="artgen-listen", daemon=True).start()

    def answer(value: Any) -> None:
        answers.write(json.dumps(value).encode() + b"\n")
        answers.flush()

    job = Job.from_json(said.get())
    job.load()  # what cannot be imported is better known before there is a task to blame
    while True:
        answer(None)
        run = [Task(*task) for task in json.loads(said.get())]
        perform(job, run, lambda outcome: answer(outcome.to_json()))


def _listen(asked: BinaryIO, said: SimpleQueue[bytes]) -> None:
    """Take lines in as they come, also while the others are at work; leave when there are no more."""
    for line in asked:
        said.put(line)
    os._exit(0)


if __name__ == "__main__":
    main()
