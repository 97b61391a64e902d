"""Pieces of films, rendered by several processes of this machine."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Generator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from queue import SimpleQueue
from threading import Thread
from typing import IO, Any

import torch

from artgen import ArtgenError, ResourceError
from artgen.walk.handing import Handing
from artgen.walk.jobs import Job, Outcome, Task
from artgen_executors import LocalOptions

_TOLD_LINES = 10
"""Of what a process last said before it died."""
_MOST_UNBORN = 3
"""So many processes in a row may die before they are ready; then the next one will not be either."""
_END_SECONDS = 5.0
"""A process that has closed its pipes is gone by then, or is ended."""
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")

log = logging.getLogger(__name__)


class Local:
    """Starts processes, and hands out tasks to whichever has nothing to do.

    Args:
        options: How many.
    """

    def __init__(self, options: LocalOptions) -> None:
        self.options = options

    def render(self, job: Job, tasks: Sequence[Task]) -> Generator[Outcome]:
        """As `artgen.walk.jobs.Executor` says."""
        gpus = _gpus() if job.device == "cuda" else []
        count = min(self.options.workers or len(gpus) or (1 if job.device == "mps" else _cores()), len(tasks))
        if not count:
            return
        threads = self.options.threads or max(1, job.encoders // count)
        job = replace(job, encoders=threads)
        handing, answers = Handing(tasks, count), SimpleQueue[tuple[_Process, Any]]()
        at_work, idle = dict[int, _Process](), deque[_Process]()
        unborn = 0

        def start(seat: int) -> None:
            gpu = {"CUDA_VISIBLE_DEVICES": gpus[seat % len(gpus)]} if gpus else {}
            at_work[seat] = _Process(job, dict.fromkeys(_THREADS, str(threads)) | gpu, answers)

        try:
            for seat in range(count):
                start(seat)
            while not handing.is_over:
                process, answer = answers.get()
                if isinstance(answer, _End):
                    seat = next(seat for seat, one in at_work.items() if one is process)
                    del at_work[seat]
                    how, remedy = process.end()
                    unborn = 0 if process.was_ready else unborn + 1
                    if unborn == _MOST_UNBORN:
                        raise ArtgenError(f"processes that should render films do not start: {how}", remedy=remedy)
                    yield from handing.died(process.tasks, how, remedy)
                    with suppress(ValueError):
                        idle.remove(process)
                    if handing.waiting > len(idle):
                        start(seat)
                elif answer is None:
                    process.was_ready = True
                    idle.append(process)
                else:
                    outcome = Outcome.from_json(answer)
                    process.tasks.remove(outcome.task)
                    yield from handing.told(outcome)
                while idle and (run := handing.next()):
                    idle.popleft().give(run)
        finally:
            for process in at_work.values():
                process.kill()
            for process in at_work.values():
                process.end()


class _End:
    """What comes from a process after its last answer."""


class _Process:
    """One `artgen.walk.worker`, and the tasks that it was handed and has not told of."""

    def __init__(self, job: Job, environment: Mapping[str, str], answers: SimpleQueue[tuple[_Process, Any]]) -> None:
        self.tasks: list[Task] = []
        self.was_ready = False
        self._last, self._answers = deque[str](maxlen=_TOLD_LINES), answers
        path = os.pathsep.join(path for path in sys.path if path)
        try:
            self._popen = subprocess.Popen(
                [sys.executable, "-P", "-m", "artgen.walk.worker"],
                env={**os.environ, "PYTHONPATH": path, **environment},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        except OSError as error:
            raise ResourceError(
                f"a process cannot be started: {error.strerror or error}",
                place="[executor.local]",
                remedy="Try fewer `workers`.",
            ) from error
        self._threads = [
            Thread(target=target, args=(pipe,), name=target.__name__, daemon=True)
            for target, pipe in ((self._hear, self._popen.stdout), (self._keep, self._popen.stderr))
        ]
        for thread in self._threads:
            thread.start()
        self._say(job.to_json())

    def give(self, run: list[Task]) -> None:
        """Hand it tasks."""
        self.tasks = run
        self._say(json.dumps(run))

    def kill(self) -> None:
        """End it, whatever it is at."""
        self._popen.kill()

    def end(self) -> tuple[str, str]:
        """Wait until it is gone; what it died of, with its last words, and what may help."""
        try:
            self._popen.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._popen.kill()
        code = self._popen.wait()
        for thread in self._threads:
            thread.join(_END_SECONDS)  # a process that it has started may hold its pipes
        with suppress(BrokenPipeError):
            self._popen.stdin.close()  # type: ignore[union-attr]
        how = f"the last one by {_signal_name(-code)}" if code < 0 else f"the last one with exit code {code}"
        memory = " Where memory is short the system kills: try fewer `workers`." if code == -signal.SIGKILL else ""
        return "\n  | ".join([how, *self._last]), f"The same command goes on.{memory}"

    def _say(self, line: str) -> None:
        with suppress(BrokenPipeError):  # it has died, and that is told by its end
            self._popen.stdin.write(line.encode() + b"\n")  # type: ignore[union-attr]
            self._popen.stdin.flush()  # type: ignore[union-attr]

    def _hear(self, pipe: IO[bytes]) -> None:
        with pipe:
            for line in pipe:
                with suppress(ValueError):  # cut off by its death
                    self._answers.put((self, json.loads(line)))
        self._answers.put((self, _End()))

    def _keep(self, pipe: IO[bytes]) -> None:
        with pipe:
            for line in pipe:
                self._last.append(line.decode(errors="replace").rstrip())
                log.debug("%s", self._last[-1])


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _gpus() -> list[str]:
    """What to make visible of the GPUs, one by one."""
    named = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return named or [str(index) for index in range(torch.cuda.device_count())]


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
