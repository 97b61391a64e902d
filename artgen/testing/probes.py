"""Steps of a trainer with other parts than a run gives it: a loss that looks, an update that refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from artgen.components import Side
from artgen.rng import seed_everything
from artgen.run.build import Job
from artgen.run.state import pack
from artgen.testing.verdicts import levels_of, moved
from artgen.training import Batch, Clock, Form, Losses, LossTerm, Outputs, Parts, Trainer, Update


def refusing(
    optimizer: torch.optim.Optimizer, loss: Tensor | Callable[[], Tensor], *, when: Tensor | None = None
) -> Tensor:
    """An update that computes its loss and never steps."""
    return torch.zeros_like((loss if isinstance(loss, Tensor) else loss()).detach())


class Probe:
    """A loss that looks at all it is given."""

    def __init__(self) -> None:
        self.seen: dict[Side, list[Outputs]] = {"generator": [], "critic": []}

    def generator(self, outputs: Outputs) -> Tensor:
        return self._value("generator", outputs)

    def critic(self, outputs: Outputs) -> Tensor:
        return self._value("critic", outputs)

    def _value(self, side: Side, outputs: Outputs) -> Tensor:
        self.seen[side].append(outputs)
        forms: list[Form | None] = [outputs.fake, outputs.real_logits, outputs.fake_logits]
        means = [level.mean() for form in forms if form is not None for level in levels_of(form)]
        return torch.stack(means).sum() if means else torch.zeros(())


class Asked(Losses):
    """Losses that are always asked, whatever is there."""

    def __call__(
        self, side: Side, outputs: Outputs, step: int, *, partial: bool = False
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """As `Losses`, without a look at the fields."""
        asked = Losses({label: replace(term, needs={}) for label, term in self.terms.items()})
        return asked(side, outputs, step)


def misfit(outputs: Outputs) -> str:
    """In which way outputs do not fit each other, or nothing."""
    if outputs.real is not None and outputs.fake is not None:
        shapes = [[tuple(level.shape[1:]) for level in levels_of(form)] for form in (outputs.real, outputs.fake)]
        if shapes[0] != shapes[1]:
            return f"`real` has the form {shapes[0]} and `fake` {shapes[1]}: use `generator.like(real)`"
    for name in ("real_logits", "fake_logits"):
        logits = getattr(outputs, name)
        if logits is not None and logits.dtype != torch.float32:
            return f"`{name}` is {logits.dtype}: hand scores over in fp32, `.float()`"
    if outputs.critic is not None and outputs.fake is not None and not isinstance(outputs.critic(outputs.fake), Tensor):
        return "`critic` does not score what `fake` is: hand over a function of a form that gives logits"
    return ""


def parts_of(job: Job, update: Update | None = None, losses: Losses | None = None) -> Parts:
    """What a trainer of a job's networks is made of."""
    terms = {
        loss.label: LossTerm(
            loss.component.load()(loss.options), loss.options.weight, loss.options.every, loss.component.needs
        )
        for loss in job.recipe.losses
    }
    return Parts(job.generator, job.critic, job.augment, losses or Losses(terms), job.features, update or job.update)


def batch_of(job: Job, trainer: Trainer) -> Batch:
    """The pictures of a first step."""
    phase = job.phases[0]
    return job.feed.batch(0, phase.batch * trainer.batches_per_step, phase.size)


def step(job: Job, trainer: Trainer) -> dict[str, Any]:
    """A first step; what a stranger's trainer returns may be anything."""
    batch = batch_of(job, trainer)
    seed_everything(7, "step", 0)
    return trainer.step(batch, Clock(total_images=job.total_images))


def weights_of(job: Job) -> dict[str, Tensor]:
    """A copy of every parameter of a job's networks."""
    networks = {"generator": job.generator, "critic": job.critic, "features": job.features}
    return {
        f"{name}.{key}": parameter.detach().clone()
        for name, network in networks.items()
        if network is not None
        for key, parameter in network.named_parameters()
    }


def packed(trainer: Trainer) -> tuple[str, dict[str, Tensor]]:
    """A trainer's state as a checkpoint holds it: the skeleton as text, and a copy of its tensors.

    Raises:
        CheckpointError: A checkpoint could not hold it.
    """
    skeleton, tensors = pack(trainer.state_dict(), "trainer")
    return json.dumps(skeleton), {name: tensor.clone() for name, tensor in tensors.items()}


def equal(first: tuple[str, dict[str, Tensor]], second: tuple[str, dict[str, Tensor]]) -> bool:
    """Whether two packed states are the same."""
    return first[0] == second[0] and not moved(first[1], second[1])
