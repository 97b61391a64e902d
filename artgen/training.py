"""What a plugin sees of training: networks, losses, trainers, and the few values that pass between them.

GAN training, picture translation and style transfer are one job. A *generator* makes pictures, *losses* judge them, a
*trainer* takes one step at a time, and *phases* say at which size and for how many images.

Shapes: N pictures, 3 channels (RGB), H by W pixels. Pictures in networks are float tensors in [-1, 1], (N, 3, H, W).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from artgen.components import Side
from artgen.errors import PluginError
from artgen.rng import drawing

Form = Tensor | tuple[Tensor, ...]
"""What a generator's `forward` returns and a critic takes: pictures, or a pyramid of them, smallest first."""

Prior = Literal["gaussian", "sphere", "uniform", "learned"]

_MIDDLE_BATCHES, _MIDDLE_BATCH = 16, 256

Measured = tuple[tuple[Tensor, ...], ...]
"""What a loss measures in N pictures before it judges: for each region of `Outputs.regions` tensors (N, ...) that add
up, so that those of the tiles of a picture have the sum that the whole picture has."""

Region = Mapping[str, Tensor] | None
"""How much of each position belongs to a region: layer of features, or "pixels" -> (1, 1, h, w) in 0..1; None: all."""

Place = Mapping[str, tuple[int, int, int, int]]
"""Where a tile lies: layer of features -> row and column of its first position, rows and columns of the whole layer."""


class Size(NamedTuple):
    """Height and width in pixels."""

    height: int
    width: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


@dataclass(frozen=True)
class LatentSpace:
    """Where a generator's latents live: their shape (without N) and the prior they are drawn from.

    `gaussian` is N(0, 1) in each coordinate; `sphere` the same, scaled to norm sqrt(dimensions); `uniform` on [-1, 1];
    `learned` is what a mapping that the generator learns makes of N(0, 1): W of StyleGAN (Karras et al. 2019,
    arXiv 1812.04948, section 2).

    Args:
        shape: Of one latent.
        prior: How latents are drawn.
        mapping: Of a learned prior: z (N, *z_shape) -> latents (N, *shape). Give a module of the generator, or a method
            of it: a copy of the generator then maps by its own copy, while a function would stay with the original.
        z_shape: Of a learned prior: the shape of one z.
        parts: Slices of the first axis of a latent that mean something by themselves, so that they can be kept still
            or exchanged for those of another: the styles of coarse and of fine layers, a class.

    Raises:
        PluginError: The prior is learned and there is no mapping, or there is a mapping that nothing asks for.
    """

    shape: tuple[int, ...]
    prior: Prior = "gaussian"
    mapping: Callable[[Tensor], Tensor] | None = None
    z_shape: tuple[int, ...] = ()
    parts: Mapping[str, slice] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        """Look whether it says all that its prior needs."""
        if {self.prior == "learned"} != {self.mapping is not None, bool(self.z_shape)}:
            raise PluginError(
                f"a latent space whose prior is {self.prior} has "
                f"{'no' if self.mapping is None else 'a'} mapping and z_shape = {self.z_shape}",
                place="LatentSpace",
                remedy="The author of the generator should give both `mapping` and `z_shape` to a learned prior, and "
                "neither to others.",
            )

    def draw(self, count: int, device: torch.device | str = "cpu") -> Tensor:
        """Draw latents (count, *shape) from torch's global generator.

        A learned mapping works where it is, whatever the device, and its graph is kept: a trainer may learn through it.
        """
        if self.prior == "uniform":
            return torch.rand(count, *self.shape, device=device) * 2 - 1
        if self.mapping is not None:
            z = torch.randn(count, *self.z_shape, device=device)
            owner = getattr(self.mapping, "__self__", self.mapping)
            weights = next(owner.parameters(), z) if isinstance(owner, nn.Module) else z
            return self.mapping(z.to(weights.device)).to(device)
        z = torch.randn(count, *self.shape, device=device)
        if self.prior == "gaussian":
            return z
        return nn.functional.normalize(z.flatten(1), dim=1).mul(z[0].numel() ** 0.5).view_as(z)

    def middle(self) -> Tensor | None:
        """The latent (*shape) that truncation draws others to, on the CPU: what they are on the average.

        0 for a gaussian and a uniform prior; the mean of 4,096 draws, the same each time, for a learned one. A sphere
        has none: the mean of all directions is no direction.
        """
        if self.prior == "sphere":
            return None
        if self.prior != "learned":
            return torch.zeros(self.shape)
        total = torch.zeros(self.shape, dtype=torch.float64)
        with torch.no_grad():
            for index in range(_MIDDLE_BATCHES):
                with drawing(0, "middle of a latent space", index):
                    total += self.draw(_MIDDLE_BATCH).double().mean(0)
        return (total / _MIDDLE_BATCHES).float()


class Network(nn.Module):
    """What generators and critics share: a phase may ask them to change their size or to fade a new level in."""

    grows: ClassVar[bool] = False
    """True if `begin` can change the size; otherwise a recipe whose phases differ in size is refused."""

    def begin(self, size: Size) -> None:
        """Take the form for pictures of this size. Idempotent, also on a fresh network before its state is loaded."""

    def fade(self, share: float) -> None:
        """Blend the newest level in: 0 shows only the level before it, 1 only the new one."""


class Generator(Network):
    """Makes pictures. `forward(given)` is free in what it returns; `sample` and `like` tie it to pictures.

    `given` is what `takes` says: latents (N, *latent.shape), pictures (N, 3, H, W), or None.
    """

    takes: Literal["latent", "picture", "nothing"] = "latent"
    latent: LatentSpace | None = None
    """Needed where `takes` is "latent"."""
    multiple: int = 1
    """Where `takes` is "picture": the sides of pictures must be multiples of this, in pixels."""
    keeps_lightness: bool = False
    """Where `takes` is "picture": what is made has the lightness (CIE L*) of its source, but for colours that no screen
    can show. Then `artgen translate` makes the colours of a large picture from a small copy, and nothing is blurred."""

    def start(self, batch: Batch) -> None:
        """Take up what is to be repainted, where `takes` is "nothing": called once, before the first phase begins.

        The batch holds all pictures of the data set, at the size of the first phase.
        """

    def sample(self, given: Tensor | None) -> Tensor:
        """Pictures (N, 3, H, W) in [-1, 1]: the largest that `forward` gives."""
        form: Form = self(given)
        return (form if isinstance(form, Tensor) else form[-1]).float().clamp(-1, 1)

    def like(self, real: Tensor) -> Form:
        """Give real pictures (N, 3, H, W) the form that `forward` has: a pyramid, a cross-fade of two levels."""
        return real


class Critic(Network):
    """Scores what a generator's `forward` returns: `forward(form) -> logits (N, ...)`. Also called discriminator.

    It keeps no state that breaks a second derivative, and never sees real and made pictures in one call, so statistics
    over a batch never mix the two.
    """

    judges: Literal["picture", "pair"] = "picture"
    """Shown a "pair", it sees the source and the picture one behind the other in the channels, (N, 6, H, W)."""


class Augmentation(nn.Module):
    """Changes what the critic sees, differentiably. One draw serves all levels of a pyramid and both sides of a pair.

    The base class changes nothing. State (an adaptive probability) lives in buffers.
    """

    def draw(self, count: int, device: torch.device) -> Any:
        """Draw the parameters of `count` pictures from torch's global generator, independent of their size."""
        return None

    def apply_draw(self, pictures: Tensor, drawn: Any) -> Tensor:
        """Apply a draw to pictures (N, 3, H, W) of any size; same shape, values may leave [-1, 1] slightly."""
        return pictures

    def forward(self, form: Form, drawn: Any = None) -> Form:
        """Augment pictures or each level of a pyramid by one draw, made here unless given."""
        first = form if isinstance(form, Tensor) else form[0]
        drawn = self.draw(len(first), first.device) if drawn is None else drawn
        if isinstance(form, Tensor):
            return self.apply_draw(form, drawn)
        return tuple(self.apply_draw(level, drawn) for level in form)

    def observe(self, real_logits: Tensor) -> None:
        """Learn from the critic's scores of real pictures, once a step (adaptive augmentation); stays on the device."""


class Source(nn.Module):
    """What each picture is to be made from, where that is computed from the picture itself: its edges, its greys.

    So any data set gives pairs. It has nothing to learn and draws nothing: a picture has one source, whatever else is
    in the batch.
    """

    def forward(self, pictures: Tensor) -> Tensor:
        """Sources (N, 3, H, W) in [-1, 1] of pictures (N, 3, H, W) in [-1, 1]."""
        raise NotImplementedError


class Features(nn.Module):
    """A frozen network whose activations measure likeness, not pixels.

    One that says nothing but `forward` serves metrics and perceptual losses. Style transfer needs the names of its
    layers, and takes a picture that does not fit into memory in tiles if `strides` and `reach_px` are told too.
    """

    layers: tuple[str, ...] = ()
    """The names of what `forward` returns. Of pictures too small for all of them it may leave out the deepest."""
    style_layers: tuple[str, ...] = ()
    """Those that a loss compares styles in, unless its options name others."""
    content_layers: tuple[str, ...] = ()
    """Those that a loss compares contents in, likewise."""
    strides: tuple[int, ...] = ()
    """Pixels from one position to the next in each layer. The first position of every layer is at the first pixel, and
    pictures that begin at a multiple of the largest stride have the positions of the whole picture."""
    reach_px: int = 0
    """How far outside of its stride's square an activation of any layer looks, at most, in pixels. A tile with so much
    around it has every layer that the picture has."""

    def forward(self, pictures: Tensor) -> tuple[Tensor, ...]:
        """Activations (N, C, h, w), shallow to deep, of pictures (N, 3, H, W) in [-1, 1]."""
        raise NotImplementedError

    def embed(self, pictures: Tensor) -> Tensor:
        """One vector a picture, (N, C): the deepest activation, averaged over its pixels."""
        deepest: Tensor = self(pictures)[-1]
        return deepest.mean(dim=(2, 3))


@dataclass(frozen=True, eq=False)
class Style:
    """A picture whose hand is wanted.

    Args:
        picture: (1, 3, h, w) in [-1, 1], of a size of its own.
        weight: Its share among the styles of one region.
        where: Where on the canvas it is wanted, (1, 1, H, W) in 0..1; None: everywhere.
        part: Which part of it is meant, (1, 1, h, w) in 0..1; None: all of it.
    """

    picture: Tensor
    weight: float = 1.0
    where: Tensor | None = None
    part: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Wanted:
    """A style as a loss sees it: what the loss itself measured in its picture, `measured[loss]`, and what for.

    Args:
        weight: Share of this style in its region, times the region's share of the canvas; together these are 1 or less.
        region: Index into `Outputs.regions`.
        measured: By the loss that measured: its tensors for one region of one picture.
        picture: (1, 3, h, w) in [-1, 1].
        part: Which part of it is meant, (1, 1, h, w) in 0..1; None: all of it.
    """

    weight: float
    region: int
    measured: Mapping[object, tuple[Tensor, ...]]
    picture: Tensor
    part: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Film:
    """How the pictures of a batch follow each other.

    Args:
        loops: The first follows the last.
        before: Content and made picture of the frame before the first, (1, 3, H, W) each, which stays as it is.
        after: Likewise of the frame after the last.
    """

    loops: bool = False
    before: tuple[Tensor, Tensor] | None = None
    after: tuple[Tensor, Tensor] | None = None


@dataclass(frozen=True, eq=False)
class Motion:
    """M pairs of neighbouring frames: what the flow of the contents makes of one, beside the other.

    Args:
        expected: One frame, moved to where the other is, (M, 3, H, W).
        shown: The other frame, (M, 3, H, W).
        trusted: Where the flow can be relied upon, (M, 1, H, W) in 0..1.
    """

    expected: Tensor
    shown: Tensor
    trusted: Tensor


@dataclass(frozen=True)
class Outputs:
    """What a trainer lays before the losses. A trainer says which fields it `gives`, a loss which it `needs`.

    `real` and `fake` have the form that the critic sees (augmented, pictures or pairs); `real_logits`, `fake_logits`
    are its scores (N, ...) in fp32; `critic` calls it again, for penalties on its gradient.

    Of pairs, as they are (N, 3, H, W): `source`, `target` the true picture, and `made` the generator's. `features` is
    the recipe's frozen network, where it has one.

    Of style transfer: `source` is the content; `made_features` and `source_features` hold the activations of `made` and
    `source` by layer; `styles` says which styles are wanted in which of the `regions`; `measured[loss]` is what a loss
    measured in these pictures by its method `measure(outputs)`, before it was asked to judge; `motion` compares
    neighbouring frames of a film. A loss that measures may be shown a tile of larger pictures: then `place` says which,
    whatever it draws it draws alike for every tile, and when it judges there are no activations any more.
    """

    real: Form | None = None
    fake: Form | None = None
    real_logits: Tensor | None = None
    fake_logits: Tensor | None = None
    critic: Callable[[Form], Tensor] | None = None
    source: Tensor | None = None
    target: Tensor | None = None
    made: Tensor | None = None
    features: Features | None = None
    made_features: Mapping[str, Tensor] | None = None
    source_features: Mapping[str, Tensor] | None = None
    styles: tuple[Wanted, ...] | None = None
    regions: tuple[Region, ...] = (None,)
    measured: Mapping[object, Measured] | None = None
    place: Place | None = None
    motion: Motion | None = None


@dataclass(frozen=True)
class LossTerm:
    """One loss of a recipe: an object with a method `generator(outputs)`, `critic(outputs)` or both.

    `weight` multiplies it; it is due at every `every`-th step, times `every`; `needs` names the fields it reads, and
    `plugin` whose it is.
    """

    loss: Any
    weight: float = 1.0
    every: int = 1
    needs: Mapping[Side, tuple[str, ...]] = field(default_factory=dict)
    plugin: str = ""


class Losses:
    """The recipe's losses by label."""

    def __init__(self, terms: Mapping[str, LossTerm]) -> None:
        self.terms = dict(terms)
        self.around_penalties: Callable[[], AbstractContextManager[None]] = nullcontext
        """Within it a term is computed that calls the critic again, for a gradient of its gradient."""

    def __call__(
        self, side: Side, outputs: Outputs, step: int, *, partial: bool = False
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted sum of the terms that judge `side` and are due at this step, and each term by itself.

        Args:
            side: Whose step it is.
            outputs: What a trainer lays before them.
            step: The clock's.
            partial: Leave out terms that need a field which is not there: those that need scores, where a generator
                learns without its critic for a while.

        Returns:
            The sum (a scalar with its graph) and `{"<side>/<label>": unweighted value, detached}`.

        Raises:
            PluginError: A term is no scalar tensor, or a field that it needs is not there.
        """
        total, values = torch.zeros(()), {}
        for label, term in self.terms.items():
            judge = getattr(term.loss, side, None)
            if judge is None or not term.weight or step % term.every:
                continue
            needs = term.needs.get(side, ())
            if lacking := [name for name in needs if getattr(outputs, name) is None]:
                if partial:
                    continue
                raise PluginError(
                    f"it needs {', '.join(lacking)} for the {side}, which the trainer said it gives and does not",
                    place=f"losses.{label}",
                    remedy="The author of the trainer should fill that field of Outputs.",
                )
            with self.around_penalties() if "critic" in needs else nullcontext():
                value = judge(outputs)
            if not isinstance(value, Tensor) or value.dim():
                found = f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
                raise PluginError(
                    f"its method {side} returned {found}, where a scalar tensor belongs",
                    place=f"losses.{label}" + (f" of the plugin {term.plugin}" if term.plugin else ""),
                    remedy="The author of the plugin should take the mean, or the sum.",
                )
            total = total + value * (term.weight * term.every)
            values[f"{side}/{label}"] = value.detach()
        return total, values

    def measure(self, outputs: Outputs) -> dict[object, Measured]:
        """What each loss that measures before it judges, by a method `measure`, finds in these pictures.

        Where there are no activations of a source, as in a style, losses that need them are not asked.
        """
        return {
            term.loss: term.loss.measure(outputs)
            for term in self.terms.values()
            if term.weight
            and hasattr(term.loss, "measure")
            and not (outputs.source_features is None and "source_features" in term.needs.get("generator", ()))
        }

    def steady(self, side: Side, values: Mapping[str, Tensor]) -> Tensor:
        """The weighted sum, of `values` as a call returned them, of the terms that are due at every step."""
        due = [
            values[f"{side}/{label}"] * term.weight
            for label, term in self.terms.items()
            if term.every == 1 and f"{side}/{label}" in values
        ]
        return torch.stack(due).sum() if due else torch.zeros(())

    def need(self, side: Side, field_name: str) -> bool:
        """Whether any loss that judges `side` reads this field of `Outputs`."""
        return any(term.weight and field_name in term.needs.get(side, ()) for term in self.terms.values())


class Update(Protocol):
    """Backward, mean over ranks, refusal of non-finite gradients, optimizer step: one call from the core."""

    def __call__(
        self, optimizer: torch.optim.Optimizer, loss: Tensor | Callable[[], Tensor], *, when: Tensor | None = None
    ) -> Tensor:
        """Step `optimizer` down the gradient of `loss`, with respect to its own parameters only.

        Args:
            optimizer: Owns the parameters that move; nothing else gets a gradient.
            loss: A scalar with its graph; for L-BFGS a function that computes it anew at each call.
            when: A boolean scalar on the device: leave everything as it is where it is false.

        Returns:
            The norm of the gradient, a scalar on the device. Where it is not finite, nothing was changed.
        """


@dataclass(frozen=True)
class Phase:
    """A stretch of training at one size. `fade` is the share of its images in which the new level is blended in.

    `learning_rate_factor` multiplies the trainer's learning rates in this phase: a trainer that has some heeds it.

    A batch that does not fit into memory is taken in `pieces`, one after the other; each is what another process would
    have had. Statistics over a batch are then those of a piece. A trainer that says `splits_pictures` takes the pieces
    itself, within one step; there may be more pieces than pictures, for it can cut these into tiles.
    """

    index: int
    size: Size
    images: int
    batch: int
    fade: float = 0.0
    pieces: int = 1
    learning_rate_factor: float = 1.0


@dataclass(frozen=True)
class Clock:
    """The only time there is: images shown, so batch size never changes a schedule.

    `images` and `steps` are totals so far, `phase_images` those in the present phase, `total_images` those of the run.
    """

    images: int = 0
    steps: int = 0
    phase: int = 0
    phase_images: int = 0
    total_images: int = 1

    @property
    def progress(self) -> float:
        """Share of the run that is done, 0 to 1."""
        return min(1.0, self.images / self.total_images)

    def fade(self, phase: Phase) -> float:
        """How far the newest level of this phase is blended in, 0 to 1."""
        fade_images = phase.fade * phase.images
        return min(1.0, self.phase_images / fade_images) if fade_images else 1.0


@dataclass(frozen=True)
class Batch:
    """Real pictures (N, 3, H, W) in [-1, 1] on the device, and for pairs what they are to be made from.

    Of pictures that are repainted, `real` are the contents, `styles` and `film` say in what manner, and `start` is what
    they begin with, (1, 3, H, W), where the data set says so.
    """

    real: Tensor
    source: Tensor | None = None
    styles: tuple[Style, ...] = ()
    film: Film | None = None
    start: Tensor | None = None

    def split(self, count: int) -> tuple[Batch, ...]:
        """Cut into `count` equal batches, for trainers that take several critic steps a step."""
        sources = [None] * count if self.source is None else self.source.chunk(count)
        return tuple(Batch(real, source) for real, source in zip(self.real.chunk(count), sources, strict=True))


@dataclass(frozen=True)
class Parts:
    """What a trainer is made of. `update` is the only way it moves weights."""

    generator: Generator
    critic: Critic | None
    augment: Augmentation
    losses: Losses
    features: Features | None
    update: Update


class Trainer(Protocol):
    """Takes one step at a time. Owns its optimizers; reads no scalar on the host, but for the first step of a phase;
    touches no file, log or device.

    The loop seeds torch's global generators before every step, so a trainer draws as it likes and resumes exactly.

    For a batch that is taken in pieces, `step` is called several times with the same clock: for each piece, once for
    each of its updates. So whatever else it changes, beside its updates, should follow from the clock.
    """

    batches_per_step: int
    """How many batches of the phase's size one step consumes (several critic steps)."""
    # One that takes the pieces of a phase itself says so by `splits_pictures = True`.

    def begin(self, phase: Phase) -> None:
        """Prepare for a phase: make, reset or warm-start optimizers. Idempotent, also before `load_state_dict`."""

    def step(self, batch: Batch, clock: Clock) -> dict[str, Tensor]:
        """Take one step; return named scalars that stay on the device."""

    def state_dict(self) -> dict[str, Any]:
        """Everything that a resumed run needs: nested dicts and lists of tensors, numbers and strings."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up such a state, after `begin` of the same phase."""


def moves(optimizer: torch.optim.Optimizer, network: nn.Module) -> bool:
    """Whether an optimizer still moves the parameters of a network: a phase may replace some, or add more."""
    moved, there = optimizer.param_groups[0]["params"], list(network.parameters())
    return len(moved) == len(there) and all(a is b for a, b in zip(moved, there, strict=True))
