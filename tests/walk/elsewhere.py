"""What renders films in other processes, and does not always come through."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

from artgen.walk.render import render_tasks


def die_once(job, tasks, tell):
    """As `render_tasks`, but the first process that has finished a piece is killed, whatever it is at."""

    def tell_and_die(outcome):
        tell(outcome)
        mark = Path(job.out, ".films", "died")
        if not mark.exists():
            mark.write_text(f"{outcome.task}")
            os.kill(os.getpid(), signal.SIGKILL)

    render_tasks(job, tasks, tell_and_die)


def render_apart(job, tasks, tell):
    """As `render_tasks`, but what becomes of one film is not seen by whoever asked."""
    unseen = tasks[0].film == "loop"
    render_tasks(replace(job, out=f"{job.out}-of-mine") if unseen else job, tasks, tell)
