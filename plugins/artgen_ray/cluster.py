"""Pieces of films, rendered by a Ray cluster: a task of Ray is a short run of pieces of one film."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
import signal
import socket
import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from math import ceil
from typing import Any

from artgen import ArtgenError, PluginError, RecipeError
from artgen.walk.handing import Handing
from artgen.walk.jobs import Job, Outcome, Task, perform
from artgen_ray import RayOptions

_MOST_TASKS = 4
"""In one run: what becomes of its pieces is known at its end only."""
_ANSWER_SECONDS = 10.0
_PLACE = "[executor.ray]"


class Cluster:
    """Hands out runs of pieces to a cluster, as many at once as it has room for.

    Args:
        options: Which cluster, and what a run asks for.

    Raises:
        PluginError: Ray is not installed.
    """

    def __init__(self, options: RayOptions) -> None:
        if importlib.util.find_spec("ray") is None:
            raise PluginError("Ray is not installed", place=_PLACE, remedy="pip install 'artgen[ray]'")
        self.options = options

    def render(self, job: Job, tasks: Sequence[Task]) -> Generator[Outcome]:
        """As `artgen.walk.jobs.Executor` says."""
        if not tasks:
            return
        ray, cpus = _ray(), self.options.cpus
        gpus = float(job.device == "cuda") if self.options.gpus is None else self.options.gpus
        job = replace(job, encoders=max(1, min(job.encoders, int(cpus))))
        with self._connected():
            count = min(self.options.workers or _room(cpus, gpus), len(tasks))
            handing, under_way = Handing(tasks, count, _MOST_TASKS), dict[Any, list[Task]]()
            # What dies is done again by the rules of `Handing`, which find the piece that kills.
            rendered = ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=0)(_rendered)
            try:
                while not handing.is_over:
                    while len(under_way) < count and (run := handing.next()):
                        under_way[rendered.remote(job.to_json(), run, os.getcwd())] = run  # noqa: PTH109
                    (reference, *_), _ = ray.wait([*under_way], num_returns=1)
                    run = under_way.pop(reference)
                    yield from _outcomes(reference, run, handing)
            finally:
                for reference in under_way:
                    with suppress(ray.exceptions.RayError):
                        ray.cancel(reference, force=True)

    @contextmanager
    def _connected(self) -> Iterator[None]:
        """A connection to the cluster: the one that this process has, or one for as long as the body takes."""
        ray = _ray()
        if ray.is_initialized():
            yield
            return
        begun: dict[str, Any] = {}
        if not self.options.address:
            begun["include_dashboard"] = False
            if self.options.workers:
                begun["num_cpus"] = ceil(self.options.workers * self.options.cpus)
        with _undisturbed():
            try:
                _require_there(self.options.address)
                ray.init(self.options.address or "local", log_to_driver=False, logging_level=logging.ERROR, **begun)
            except (OSError, ValueError, RuntimeError) as error:
                cause = str(error).partition("\n")[0]
                raise ArtgenError(
                    f"no Ray cluster can be had: {cause}", place=_PLACE, remedy="See `address`, and `ray status`."
                ) from error
        try:
            yield
        finally:
            ray.shutdown()


def _require_there(address: str) -> None:
    """Raise OSError if nobody listens there: Ray would try for many minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host, int(port)), _ANSWER_SECONDS).close()


def _ray() -> Any:
    """The library, which is imported when it is needed: that takes a while, and changes what the process shares."""
    with _undisturbed():
        return importlib.import_module("ray")


def _rendered(job: str, run: Sequence[Sequence[Any]], folder: str) -> list[dict[str, Any]]:
    """Do tasks in a process of the cluster, from the folder in which the command was given."""
    os.chdir(folder)
    outcomes: list[dict[str, Any]] = []
    perform(Job.from_json(job), [Task(*task) for task in run], lambda outcome: outcomes.append(outcome.to_json()))
    return outcomes


def _outcomes(reference: Any, run: list[Task], handing: Handing) -> Iterator[Outcome]:
    """What became of a run that is over."""
    ray = _ray()
    try:
        told = ray.get(reference)
    except ray.exceptions.RayTaskError as error:  # what `perform` lets through: artgen or the folder is not there
        cause = str(error.cause).partition("\n")[0]
        raise ArtgenError(
            f"a machine of the cluster cannot do it: {cause}",
            place=_PLACE,
            remedy="All of them need artgen, its plugins, and the same folders.",
        ) from error
    except ray.exceptions.RayError as error:
        how = f"the last one so: {str(error).partition('.')[0]}"
        yield from handing.died(run, how, "The same command goes on. If memory is short, try a larger `cpus`.")
    else:
        for each in told:
            yield from handing.told(Outcome.from_json(each))


def _room(cpus: float, gpus: float) -> int:
    """How many runs the cluster can do at once.

    Raises:
        RecipeError: None.
    """
    there = _ray().cluster_resources()
    asked = {"CPU": cpus, "GPU": gpus}
    count = min(int(there.get(name, 0) / share) for name, share in asked.items() if share)
    if not count:
        has = " and ".join(f"{there.get(name, 0):g} {name}s" for name in asked)
        raise RecipeError(
            f"the cluster has {has}, and one piece asks for {cpus:g} and {gpus:g}",
            place=_PLACE,
            remedy="Ask for less by `cpus` and `gpus`, or say how many `workers` there will be.",
        )
    return count


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Keep what is told at the end, by a signal or at a breakpoint as it is: Ray sets hooks of its own."""
    handler, hook = signal.getsignal(signal.SIGTERM), os.environ.get("PYTHONBREAKPOINT")
    told = sys.excepthook
    try:
        yield
    finally:
        sys.excepthook = told
        with suppress(ValueError):  # another thread than the main one can set none, nor could Ray
            signal.signal(signal.SIGTERM, handler)
        if hook is None:
            os.environ.pop("PYTHONBREAKPOINT", None)
        else:
            os.environ["PYTHONBREAKPOINT"] = hook
