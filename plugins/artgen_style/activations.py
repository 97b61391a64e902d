"""What losses on activations share: which layers they look at, and how they go through styles and regions.

In shapes: N pictures, C channels, h by w or P positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from torch import Tensor

from artgen import RecipeError
from artgen.training import Features, Measured, Outputs
from artgen_style import LayerOptions

Gathered = tuple[Tensor, ...]
"""What is measured in one layer; it adds up over tiles."""


def full(x: Tensor) -> Tensor:
    """In fp32 at least: under autocast activations come in bf16, too coarse for sums."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


class Layers:
    """The layers that a loss compares, and the share of each; shares sum to 1."""

    def __init__(self, options: LayerOptions, recommended: Literal["style_layers", "content_layers"]) -> None:
        self.options, self.recommended = options, recommended

    def names(self, outputs: Outputs) -> tuple[str, ...]:
        """Their names, shallow to deep.

        Raises:
            RecipeError: The feature network has no such layer, or there is not one weight for each.
        """
        assert outputs.features is not None  # the core compared `needs` with `gives` when the run was built
        known = outputs.features.layers
        names: tuple[str, ...] = self.options.layers or getattr(outputs.features, self.recommended)
        told = f"It has {', '.join(known)}." if known else "It names none; choose another in [features.NAME]."
        if unknown := [name for name in names if name not in known]:
            raise RecipeError(f"the feature network has no layer {', '.join(unknown)}", place="layers", remedy=told)
        if not names:
            raise RecipeError("the feature network recommends no layers for this loss", place="layers", remedy=told)
        weights = self.options.layer_weights
        if weights and len(weights) != len(names):
            cause = f"there are {len(weights)} weights for the {len(names)} layers {', '.join(names)}"
            raise RecipeError(cause, place="layer_weights", remedy="Give one for each.")
        return tuple(sorted(names, key=known.index))

    def there(self, outputs: Outputs) -> list[str]:
        """Those that these pictures have: small ones may lack the deepest.

        Raises:
            RecipeError: They have none, or none that counts.
        """
        assert outputs.made_features is not None
        names = self.names(outputs)
        there = [name for name in names if name in outputs.made_features]
        if not sum(self.weights(outputs.features)[: len(there)]):
            raise RecipeError(
                f"small pictures have none of the layers {', '.join(names)} that count",
                place="layers",
                remedy="Begin with larger ones ([[phase]] from, resolution), or choose finer layers.",
            )
        return there

    def weights(self, features: Features | None) -> tuple[float, ...]:
        """How much each layer counts, shallow to deep."""
        assert features is not None
        names = self.options.layers or getattr(features, self.recommended)
        weights = self.options.layer_weights or (1.0,) * len(names)
        in_order = sorted(zip(names, weights, strict=True), key=lambda layer: features.layers.index(layer[0]))
        return tuple(weight for _, weight in in_order)

    def total(self, values: Sequence[Tensor], features: Features | None) -> Tensor:
        """The scalar of the values (N,) of each layer: each times its share, all pictures added up."""
        weights = self.weights(features)[: len(values)]
        parts = [value.sum() * (weight / sum(weights)) for value, weight in zip(values, weights, strict=True)]
        return torch.stack(parts).sum()


class StyleLoss:
    """Compares each region with each style that is wanted there, layer by layer."""

    tensors: ClassVar[int]
    """How many tensors `gather` gives of one layer,"""
    tensors_of_shares: ClassVar[int] = 0
    """and how many more of a region that has not all of it."""

    def __init__(self, options: LayerOptions) -> None:
        self.layers = Layers(options, "style_layers")

    def gather(self, activations: Tensor, share: Tensor | None, place: tuple[int, int, int, int] | None) -> Gathered:
        """What is to be known of one layer.

        Args:
            activations: (N, C, h, w).
            share: How much of each position belongs to the region, (1 or N, 1, h, w) in 0..1; None: all of it.
            place: Where these positions are in the whole layer, as in `artgen.training.Place`; None: they are it.
        """
        raise NotImplementedError

    def distance(self, made: Gathered, style: Gathered) -> Tensor:
        """How far N pictures are from one style, (N,); 0 where either has nothing in the region."""
        raise NotImplementedError

    def measure(self, outputs: Outputs) -> Measured:
        made, place = outputs.made_features, outputs.place
        assert made is not None
        return tuple(
            tuple(
                tensor
                for name in self.layers.there(outputs)
                for tensor in self.gather(
                    made[name], None if region is None else region[name], None if place is None else place[name]
                )
            )
            for region in outputs.regions
        )

    def generator(self, outputs: Outputs) -> Tensor:
        assert outputs.measured is not None
        assert outputs.styles is not None
        total = torch.zeros(())
        for wanted in outputs.styles:
            made = self._by_layer(outputs.measured[self][wanted.region], outputs.regions[wanted.region] is not None)
            style = self._by_layer(wanted.measured[self], wanted.part is not None)
            distances = [self.distance(*pair) for pair in zip(made, style, strict=False)]
            total = total + wanted.weight * self.layers.total(distances, outputs.features)
        return total

    def _by_layer(self, measured: Gathered, shared: bool) -> list[Gathered]:
        """What was gathered in each layer; a small picture may lack the last ones."""
        each = self.tensors + (self.tensors_of_shares if shared else 0)
        return [measured[first : first + each] for first in range(0, len(measured), each)]


def weighed(activations: Tensor, share: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Activations f (N, P, C) in fp32, the same times the share t of each position, and the sum of t (N,).

    Channels come last, as they lie in memory: then the gradient comes back to the network in its own order.
    """
    f = full(activations).permute(0, 2, 3, 1).flatten(1, 2)
    if share is None:
        return f, f, f.new_full((len(f),), f.shape[1])
    t = full(share).to(f.dtype).flatten(2).mT
    return f, t * f, t.sum(dim=(1, 2)).expand(len(f))


def over(sums: Tensor, count: Tensor) -> Tensor:
    """The mean of each picture, where sums are (N, ...) and counts (N,); 0 where nothing was counted."""
    return sums / count.clamp(min=1e-6).view(-1, *(1,) * (sums.dim() - 1))
