"""Recipe -> job: the only place where names become objects."""

from __future__ import annotations

import math
import os
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from artgen.components import Options
from artgen.data.dataset import Dataset, Workshop
from artgen.data.feed import Feed
from artgen.device import Precision, to_device
from artgen.distributed import world_size
from artgen.errors import RecipeError, ResourceError
from artgen.recipe import Chosen, Recipe
from artgen.rng import drawing
from artgen.run.average import Average
from artgen.run.update import GuardedUpdate
from artgen.training import Augmentation, Critic, Features, Generator, Losses, LossTerm, Parts, Phase, Size, Trainer


@dataclass
class Job:
    """Everything that a loop needs, ready to begin its first phase."""

    recipe: Recipe
    device: torch.device
    precision: Precision
    phases: tuple[Phase, ...]
    generator: Generator
    critic: Critic | None
    augment: Augmentation
    features: Features | None
    trainer: Trainer
    average: Average
    update: GuardedUpdate
    feed: Feed

    @property
    def total_images(self) -> int:
        return sum(phase.images for phase in self.phases)

    @property
    def networks(self) -> dict[str, nn.Module]:
        """By the name they have in a checkpoint."""
        named = {"generator": self.generator, "average": self.average.network, "augment": self.augment}
        return named if self.critic is None else named | {"critic": self.critic}

    def begin(self, phase: Phase) -> None:
        """Bring networks, their average and the trainer into a phase; layers made there draw from the recipe's seed."""
        with drawing(self.recipe.seed, "phase", phase.index):
            self.generator.begin(phase.size)
            if self.critic is not None:
                self.critic.begin(phase.size)
            for network in (self.generator, self.critic):
                if network is not None:
                    to_device(network, self.device)
            self.average.begin(self.generator, phase.size)
            self.trainer.begin(phase)

    def fade(self, share: float) -> None:
        """Blend the newest level of every network in by this share."""
        self.generator.fade(share)
        self.average.network.fade(share)
        if self.critic is not None:
            self.critic.fade(share)


def prepare_data(recipe: Recipe, workshop: Workshop) -> Dataset:
    """Make the recipe's data set: decode, paint or open it."""
    dataset: Dataset = recipe.data.component.load()(recipe.data.options, workshop)
    return dataset


def build(recipe: Recipe, dataset: Dataset, device: torch.device, precision: Precision) -> Job:
    """Build networks, losses and trainer, drawing weights as a function of the recipe's seed.

    Raises:
        RecipeError: Parts that do not fit each other.
        ResourceError: The networks alone would not fit into memory.
    """
    phases = schedule(recipe)
    size = largest(phases)
    require_memory(recipe, phases)
    generator = build_generator(recipe, size)
    critic = _build(recipe.critic, recipe.seed, "critic", size) if recipe.critic is not None else None
    augment = _build(recipe.augment, recipe.seed, "augment") if recipe.augment is not None else Augmentation()
    features = build_features(recipe, device)
    if len({phase.size for phase in phases}) > 1:
        for kind, network in (("generator", generator), ("critic", critic)):
            if network is not None and not network.grows:
                raise RecipeError(
                    f"the phases differ in resolution, and this {kind} cannot change its size",
                    place=f"{recipe.name}: phase",
                    remedy="Give all phases one resolution, or choose a generator that grows.",
                )
    for network in (generator, critic, augment):
        if network is not None:
            to_device(network, device)
    update = GuardedUpdate(device)
    losses = Losses(
        {
            loss.label: LossTerm(loss.component.load()(loss.options), loss.options.weight, loss.options.every,
                                 loss.component.needs)
            for loss in recipe.losses
        }
    )  # fmt: skip
    parts = Parts(generator, critic, augment, losses, features, update)
    trainer: Trainer = recipe.trainer.component.load()(recipe.trainer.options, parts)
    if generator.takes == "picture" and dataset.source is None:
        raise RecipeError(
            "this generator turns one picture into another, but the data set has no pairs",
            place=f"{recipe.name}: data.{recipe.data.label}",
            remedy="Choose a data set of pairs.",
        )
    average = Average(generator, recipe.run.average_half_life_images)
    feed = Feed(dataset, recipe.seed, device, mirror=recipe.data.options.mirror)
    phases = tuple(_whole_steps(phase, trainer.batches_per_step) for phase in phases)
    return Job(recipe, device, precision, phases, generator, critic, augment, features, trainer, average, update, feed)


def build_generator(recipe: Recipe, size: Size) -> Generator:
    """Only the generator, as a run that samples needs it."""
    generator: Generator = _build(recipe.generator, recipe.seed, "generator", size)
    return generator


def build_features(recipe: Recipe, device: torch.device) -> Features | None:
    """The recipe's frozen feature network, if it names one."""
    if recipe.features is None:
        return None
    features: Features = _build(recipe.features, recipe.seed, "features")
    return features.to(device).eval().requires_grad_(False)


def schedule(recipe: Recipe) -> tuple[Phase, ...]:
    """The recipe's phases with their sizes filled in."""
    return tuple(
        Phase(index, Size(*phase.size), phase.images, phase.batch, phase.fade)
        for index, phase in enumerate(recipe.phases)
    )


def largest(phases: tuple[Phase, ...]) -> Size:
    """The size that networks are built for."""
    return max((phase.size for phase in phases), key=lambda size: size.height * size.width)


_NOT_ON_META = (NotImplementedError, RuntimeError, TypeError)


def require_memory(recipe: Recipe, phases: tuple[Phase, ...]) -> None:
    """Refuse, before anything is allocated, what cannot fit into this machine's memory.

    A lower bound: weights with their gradients and Adam's moments, the largest batch, and what a step keeps of it, each
    output of a layer with weights, in bf16. Networks are weighed without memory, on torch's device `meta`; one that
    cannot live there is not weighed.

    Raises:
        ResourceError: With the figures.
    """
    needed = 0
    for phase in phases:
        batch = phase.batch // world_size()
        pictures = batch * 3 * phase.size.height * phase.size.width
        with suppress(*_NOT_ON_META), torch.device("meta"):
            needed = max(needed, 4 * pictures + _network_bytes(recipe, largest(phases), phase.size, batch))
        needed = max(needed, 4 * pictures)
    there = _memory_bytes()
    if needed > there:
        raise ResourceError(
            f"training takes more than {needed / 1e9:.1f} GB of memory, and this machine has {there / 1e9:.1f} GB",
            place=recipe.name,
            remedy="Make the batch smaller, or the networks narrower (width) or smaller (resolution).",
        )


def _network_bytes(recipe: Recipe, built: Size, size: Size, batch: int) -> int:
    """Least memory, in bytes, of networks in training; they are built on torch's default device."""
    kept = 0

    def keep(module: nn.Module, given: object, made: object) -> None:
        nonlocal kept
        kept += made.numel() if isinstance(made, Tensor) else 0

    networks: list[Any] = [
        chosen.component.load()(chosen.options, built) for chosen in (recipe.generator, recipe.critic) if chosen
    ]
    weights = [sum(parameter.numel() for parameter in network.parameters()) for network in networks]
    for network in networks:
        network.begin(size)
        for module in network.modules():
            if next(module.parameters(recurse=False), None) is not None:
                module.register_forward_hook(keep)
    generator = networks[0]
    with suppress(*_NOT_ON_META):
        given = generator.latent.draw(batch, "meta") if generator.takes == "latent" else None
        form = generator(torch.empty(batch, 3, *size) if generator.takes == "picture" else given)
        for critic in networks[1:]:
            critic(form)
    # Weights, gradients and two moments of each network; the average of the generator.
    return int(4 * (4 * sum(weights) + weights[0]) + 2 * kept)


def _memory_bytes() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not told on every system
        return 2**62


def _build(chosen: Chosen[Options], seed: int, purpose: str, *size: Size) -> Any:
    with drawing(seed, f"weights of the {purpose}"):
        return chosen.component.load()(chosen.options, *size)


def _whole_steps(phase: Phase, batches_per_step: int) -> Phase:
    """Round a phase up to whole steps, so that the clock meets its end exactly."""
    step_images = phase.batch * batches_per_step
    if phase.batch % world_size():
        raise RecipeError(f"a batch of {phase.batch} cannot be shared by {world_size()} processes", place="phase.batch")
    images = math.ceil(phase.images / step_images) * step_images
    return Phase(phase.index, phase.size, images, phase.batch, phase.fade)
