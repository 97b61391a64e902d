"""Recipe -> job: the only place where names become objects."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from artgen.components import Options
from artgen.data.dataset import Dataset, Workshop
from artgen.data.feed import Feed
from artgen.device import Precision, to_device
from artgen.distributed import world_size
from artgen.errors import RecipeError
from artgen.recipe import Chosen, Recipe
from artgen.rng import drawing
from artgen.run.average import Average
from artgen.run.compiling import Compilation
from artgen.run.making import make
from artgen.run.update import GuardedUpdate
from artgen.training import (
    Augmentation,
    Critic,
    Features,
    Generator,
    Losses,
    LossTerm,
    Parts,
    Phase,
    Size,
    Source,
    Trainer,
)

SHORTEST_PX = 4
"""No side of a picture is shorter, in any phase."""


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
    compilation: Compilation | None

    @property
    def total_images(self) -> int:
        return sum(phase.images for phase in self.phases)

    @property
    def splits_pictures(self) -> bool:
        """Whether the trainer takes a batch in pieces by itself, within one step."""
        return getattr(self.trainer, "splits_pictures", False)

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
        if self.compilation is not None:
            self.compilation.forget()

    def fade(self, share: float) -> None:
        """Blend the newest level of every network in by this share."""
        self.generator.fade(share)
        self.average.network.fade(share)
        if self.critic is not None:
            self.critic.fade(share)
        if self.compilation is not None:
            self.compilation.follow("fading" if share < 1 else "grown")


def prepare_data(recipe: Recipe, workshop: Workshop) -> Dataset:
    """Make the recipe's data set: decode, paint or open it."""
    dataset: Dataset = make(recipe.data.component, recipe.data.options, workshop)
    return dataset


def fitted(recipe: Recipe, dataset: Dataset) -> Recipe:
    """The recipe for pictures that are repainted: they keep their shape within its sizes, and all make up one batch.

    Its lengths are those of one picture: each step shows all of them. It is still known by the fingerprint of what the
    user wrote. For other data sets it is the recipe itself.

    Raises:
        RecipeError: In a phase they would be too small.
    """
    if dataset.repainting is None:
        return recipe
    (height, width), count = dataset.real.shape[1:3], len(dataset)
    box = recipe.data.options.size
    phases = []
    for number, phase in enumerate(recipe.phases, 1):
        resolution = (round(width * phase.size[1] / box[1]), round(height * phase.size[0] / box[0]))
        if min(resolution) < SHORTEST_PX:
            raise RecipeError(
                f"pictures of {width}x{height} px would be {resolution[0]}x{resolution[1]} px in phase {number}",
                place=f"{recipe.name}: phase",
                remedy=f"Begin with larger ones: no side can be under {SHORTEST_PX} px.",
            )
        images = math.ceil(phase.images / phase.batch) * count
        phases.append(phase.model_copy(update={"resolution": resolution, "batch": count, "images": images}))
    lengths = {
        key: getattr(recipe.run, key) * count for key in type(recipe.run).model_fields if key.endswith("_images")
    }
    run = recipe.run.model_copy(update=lengths)
    data = replace(recipe.data, options=recipe.data.options.model_copy(update={"resolution": (width, height)}))
    adapted = replace(recipe, data=data, phases=tuple(phases), run=run)
    vars(adapted)["fingerprint"] = recipe.fingerprint
    return adapted


def build(
    recipe: Recipe,
    dataset: Dataset,
    device: torch.device,
    precision: Precision,
    pieces: Sequence[int] = (),
    *,
    compiled: bool = False,
) -> Job:
    """Build networks, losses and trainer, drawing weights as a function of the recipe's seed.

    Args:
        recipe: Checked and complete, `fitted` to the pictures.
        dataset: Its pictures.
        device: Where the networks live.
        precision: What they compute in.
        pieces: In how many pieces the batch of each phase is taken, see `artgen.run.trial`; in one unless given.
        compiled: Compile the networks.

    Raises:
        RecipeError: Parts that do not fit each other.
    """
    phases = schedule(recipe)
    size = largest(phases)
    feed = build_feed(recipe, dataset, device)
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
    if generator.takes == "nothing" and dataset.repainting is not None:
        with drawing(recipe.seed, "start"):
            generator.start(feed.batch(0, len(dataset), phases[0].size))
    update = GuardedUpdate(device)
    losses = Losses(
        {
            loss.label: LossTerm(make(loss.component, loss.options), loss.options.weight, loss.options.every,
                                 loss.component.needs, loss.component.plugin)
            for loss in recipe.losses
        }
    )  # fmt: skip
    parts = Parts(generator, critic, augment, losses, features, update)
    trainer: Trainer = make(recipe.trainer.component, recipe.trainer.options, parts)
    if generator.takes == "picture" and not feed.paired:
        raise RecipeError(
            "this generator turns one picture into another, but the data set has no pairs",
            place=f"{recipe.name}: data.{recipe.data.label}",
            remedy="Choose a data set of pairs, or a [source.NAME] that makes pairs of any pictures.",
        )
    average = Average(generator, recipe.run.average_half_life_images)
    players = {"generator": generator} if critic is None else {"generator": generator, "critic": critic}
    compilation = Compilation(players) if compiled else None
    if compilation is not None:
        losses.around_penalties = compilation.paused
    phases = tuple(
        _whole_steps(replace(phase, pieces=count), trainer.batches_per_step)
        for phase, count in zip(phases, pieces or [1] * len(phases), strict=True)
    )
    return Job(
        recipe, device, precision, phases, generator, critic, augment, features, trainer, average, update, feed,
        compilation,
    )  # fmt: skip


def build_feed(recipe: Recipe, dataset: Dataset, device: torch.device) -> Feed:
    """The pictures as the recipe wants them shown.

    Raises:
        RecipeError: They are pairs, and the recipe derives sources too.
    """
    if recipe.source is not None and dataset.source is not None:
        raise RecipeError(
            f"the pictures of data.{recipe.data.label} are pairs, which have sources of their own",
            place=f"{recipe.name}: source.{recipe.source.label}",
            remedy=f"Take [source.{recipe.source.label}] out, or choose a data set that has no pairs.",
        )
    options, derive = recipe.data.options, build_source(recipe)
    return Feed(dataset, recipe.seed, device, options.mirror, options.jitter_px, derive, options.held_out)


def build_source(recipe: Recipe) -> Source | None:
    """What computes from pictures what they are to be made from, if the recipe names it."""
    derive: Source | None = None if recipe.source is None else _build(recipe.source, recipe.seed, "source")
    return derive


def build_generator(recipe: Recipe, size: Size) -> Generator:
    """Only the generator, as a run that samples needs it."""
    generator: Generator = _build(recipe.generator, recipe.seed, "generator", size)
    return generator


def build_features(recipe: Recipe, device: torch.device) -> Features | None:
    """The recipe's frozen feature network, if it names one."""
    if recipe.features is None:
        return None
    features: Features = _build(recipe.features, recipe.seed, "features")
    to_device(features, device)
    return features.eval().requires_grad_(False)


def schedule(recipe: Recipe) -> tuple[Phase, ...]:
    """The recipe's phases with their sizes filled in."""
    return tuple(
        Phase(
            index,
            Size(*phase.size),
            phase.images,
            phase.batch,
            phase.fade,
            learning_rate_factor=phase.learning_rate_factor,
        )
        for index, phase in enumerate(recipe.phases)
    )


def largest(phases: tuple[Phase, ...]) -> Size:
    """The size that networks are built for."""
    return max((phase.size for phase in phases), key=lambda size: size.height * size.width)


def _build(chosen: Chosen[Options], seed: int, purpose: str, *size: Size) -> Any:
    with drawing(seed, f"weights of the {purpose}"):
        return make(chosen.component, chosen.options, *size)


def _whole_steps(phase: Phase, batches_per_step: int) -> Phase:
    """Round a phase up to whole steps, so that the clock meets its end exactly."""
    step_images = phase.batch * batches_per_step
    if phase.batch % world_size():
        raise RecipeError(f"a batch of {phase.batch} cannot be shared by {world_size()} processes", place="phase.batch")
    images = math.ceil(phase.images / step_images) * step_images
    return replace(phase, images=images)
