"""What processes of executors are asked to do in tests, beside `artgen.testing.errands`."""

from __future__ import annotations

import json
import os
from pathlib import Path

from artgen.walk.jobs import Outcome

TOLD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "CUDA_VISIBLE_DEVICES")


def tell_surroundings(job, tasks, tell):
    """Write down what a process finds."""
    surroundings = {name: os.environ.get(name) for name in TOLD}
    told = json.dumps({**surroundings, "encoders": job.encoders, "device": job.device, "folder": str(Path.cwd())})
    Path(job.out, f"{os.getpid()}.told").write_text(told)
    for task in tasks:
        tell(Outcome(task))


def forget(job, tasks, tell):
    """Do nothing, and tell of nothing."""


def read_stdin(job, tasks, tell):
    """What comes to the process is not for plugins: they find an empty stdin."""
    for task in tasks:
        Path(job.out, "stdin").write_text(repr(os.read(0, 100)))
        tell(Outcome(task))
