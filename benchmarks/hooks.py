"""What plugins that listen cost: one call of an event hook, as a share of the smallest bundled recipe's step.

    python benchmarks/hooks.py [--recipe NAME] [--rounds 15] [--seconds 0.5]

Steps and calls take turns in one process on one thread, so a machine whose speed drifts treats them alike; what counts
are the ratios within one round, of which the median is told. Unless a recipe is named, it is the one with the shortest
step. The listeners do next to nothing, as what they do is their own affair. `a step` is the share if they were told at
every step; a run tells them each time that it records, which is the share of `a run`.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from artgen import hookimpl
from artgen.data.dataset import Dataset
from artgen.plugins import Plugins
from artgen.recipe import bundled_recipes, load_recipe
from artgen.run.build import Job, build
from artgen.run.loop import take_step
from artgen.run.upkeep import RunUpkeep
from artgen.training import Clock

LISTENERS = (0, 1, 5)
CPU = torch.device("cpu")


class Listener:
    """Looks at what it is told."""

    @hookimpl
    def artgen_step_shown(self, scalars: dict[str, float]) -> None:
        self.images = scalars["images"]


def job_of(name: str) -> Job:
    """A bundled recipe, ready to train on pictures of noise."""
    recipe = load_recipe(name)
    height, width = recipe.data.options.size
    pictures = np.random.default_rng(0).integers(0, 256, (512, height, width, 3), np.uint8)
    job = build(recipe, Dataset(pictures, "noise"), CPU, "fp32")
    job.begin(job.phases[0])
    return job


def stepping(job: Job) -> Callable[[], dict[str, torch.Tensor]]:
    """Takes one step after the other."""
    clock = Clock(total_images=job.total_images)

    def step() -> dict[str, torch.Tensor]:
        nonlocal clock
        clock, scalars = take_step(job, job.phases[0], clock)
        return scalars

    return step


def telling(count: int, scalars: dict[str, float]) -> Callable[[], None]:
    """Tells so many listeners of a step, as a run does."""
    plugins = Plugins([Listener() for _ in range(count)], points=())
    return lambda: plugins.event("artgen_step_shown", folder=None, scalars=scalars)


def seconds_each(work: Callable[[], Any], seconds: float) -> float:
    count, begun = 0, time.perf_counter()
    while (spent := time.perf_counter() - begun) < seconds:
        work()
        count += 1
    return spent / count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", choices=list(bundled_recipes()))
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=0.5)
    given = parser.parse_args()
    torch.set_num_threads(1)

    jobs = {name: job_of(name) for name in ([given.recipe] if given.recipe else bundled_recipes())}
    steps = {name: stepping(job) for name, job in jobs.items()}
    spent = {name: [seconds_each(step, given.seconds) for _ in range(2)][-1] for name, step in steps.items()}
    name = min(spent, key=spent.__getitem__)
    job, step = jobs[name], steps[name]
    scalars = {label: float(value) for label, value in step().items()} | {"images": 0.0, "steps": 0.0}
    upkeep = RunUpkeep(job, None, None, None, 0)  # type: ignore[arg-type]  # only asked how often it records
    batch = job.phases[0].batch * job.trainer.batches_per_step
    told_a_step = min(1.0, batch / upkeep.record_images)

    tell = {count: telling(count, scalars) for count in LISTENERS}
    step_seconds: list[float] = []
    call_seconds: dict[int, list[float]] = {count: [] for count in LISTENERS}
    for _ in range(given.rounds):
        step_seconds.append(seconds_each(step, given.seconds))
        for count in LISTENERS:
            call_seconds[count].append(seconds_each(tell[count], given.seconds / len(LISTENERS)))

    milliseconds = 1e3 * statistics.median(step_seconds)
    print(f"{name}: batch {batch}, fp32, one thread, torch {torch.__version__}, load {os.getloadavg()[0]:.1f}")
    print(f"{milliseconds:.1f} ms a step; a run tells of one step in {1 / told_a_step:.1f}\n")
    print("listeners  µs a call  of a step  of a run")
    for count in LISTENERS:
        share = statistics.median(call / step for call, step in zip(call_seconds[count], step_seconds, strict=True))
        microseconds = 1e6 * statistics.median(call_seconds[count])
        print(f"{count:9}  {microseconds:9.1f}  {share:9.3%}  {share * told_a_step:8.3%}")


if __name__ == "__main__":
    main()
