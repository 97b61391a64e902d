"""The loop: phase, batch, step, clock, average; and upkeep when it is due."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol

from torch import Tensor

from artgen import distributed
from artgen.device import mixed
from artgen.errors import CheckpointError
from artgen.rng import seed_everything
from artgen.run.build import Job
from artgen.run.pieces import take_turns
from artgen.training import Clock, Phase


class Upkeep(Protocol):
    """What the loop calls, on the first process only."""

    def at_phase(self, clock: Clock) -> None:
        """A phase begins, or goes on after a resume."""

    def after_step(self, before: Clock, clock: Clock, scalars: dict[str, Tensor]) -> None:
        """Record, preview and save what has become due between the two clocks."""


@dataclass(frozen=True)
class State:
    """What a checkpoint holds of a job: the clock, every network, the trainer, and which pictures it learns from."""

    clock: Clock
    parts: dict[str, Any]
    data: str


def train(job: Job, state: State | None, upkeep: Upkeep | None, wants_to_stop: Callable[[], bool]) -> Clock:
    """Train from a state (or from the start) to the end of the last phase, or until somebody wants to stop.

    Returns:
        The clock at the end. The caller saves, if it is not the end of the run.
    """
    clock = Clock(total_images=job.total_images) if state is None else state.clock
    for phase in job.phases[clock.phase :]:
        if phase.index != clock.phase:
            clock = replace(clock, phase=phase.index, phase_images=0)
        job.begin(phase)
        if state is not None:
            restore(job, state)
            state = None
        if upkeep is not None:
            upkeep.at_phase(clock)
        while clock.phase_images < phase.images:
            if distributed.any_rank(wants_to_stop()):
                return clock
            before, (clock, scalars) = clock, take_step(job, phase, clock)
            if upkeep is not None:
                upkeep.after_step(before, clock, scalars)
    return clock


def take_step(job: Job, phase: Phase, clock: Clock) -> tuple[Clock, dict[str, Tensor]]:
    """One step of the trainer, as a function of the state and the clock alone."""
    job.fade(clock.fade(phase))
    if phase.pieces == 1 or job.splits_pictures:
        scalars = take_share(job, phase, clock)
    else:
        scalars = take_turns(job, phase.pieces, lambda piece: take_share(job, phase, clock, piece))
    count = phase.batch * job.trainer.batches_per_step
    clock = replace(clock, images=clock.images + count, steps=clock.steps + 1, phase_images=clock.phase_images + count)
    job.average.update(count, images_at_this_size(job.phases, clock))
    return clock, scalars


def images_at_this_size(phases: Sequence[Phase], clock: Clock) -> int:
    """How many pictures were shown since they last changed their size."""
    images = clock.phase_images
    for before in reversed(phases[: clock.phase]):
        if before.size != phases[clock.phase].size:
            break
        images += before.images
    return images


def take_share(job: Job, phase: Phase, clock: Clock, piece: int = 0) -> dict[str, Tensor]:
    """The trainer's step on a share of the batch: that of this process or, of a split one, that of a piece of it."""
    count = phase.batch * job.trainer.batches_per_step
    pieces = 1 if job.splits_pictures else phase.pieces
    rank, world = distributed.rank() * pieces + piece, distributed.world_size() * pieces
    batch = job.feed.batch(clock.images, count, phase.size, rank, world)
    seed_everything(job.recipe.seed, f"step of rank {rank}", clock.steps)
    with mixed(job.device, job.precision):
        return job.trainer.step(batch, clock)


def capture(job: Job, clock: Clock) -> State:
    """The state of a job between two steps. Tensors are shared with the job, not copied."""
    parts: dict[str, Any] = {name: network.state_dict() for name, network in job.networks.items()}
    parts |= {"trainer": job.trainer.state_dict(), "refused": {"updates": job.update.refused}}
    return State(clock, parts, job.feed.dataset.fingerprint)


def restore(job: Job, state: State) -> None:
    """Put a state back into a job that has begun the same phase.

    Raises:
        CheckpointError: A name or shape does not agree.
    """
    with fitting(f"the checkpoint at {state.clock.images} images"):
        for name, network in job.networks.items():
            network.load_state_dict(state.parts[name])
        job.trainer.load_state_dict(state.parts["trainer"])
        job.update.refused.copy_(state.parts["refused"]["updates"])


@contextmanager
def fitting(place: str) -> Iterator[None]:
    """Turn what a state raises that does not fit into a CheckpointError."""
    try:
        yield
    except (RuntimeError, LookupError, TypeError, ValueError, AttributeError) as error:
        said = " ".join(str(error).split())
        raise CheckpointError(
            f"it does not fit the networks of the recipe: {said if len(said) < 400 else said[:400] + '...'}",
            place=place,
            remedy="A plugin may have changed since: run.json names the versions that the run was made with.",
        ) from error
