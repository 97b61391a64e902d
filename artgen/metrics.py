"""What a figure of quality is to the rest of artgen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor

from artgen.training import Features


@dataclass(frozen=True)
class Measured:
    """Figures by name, and optionally a picture that explains them, (H, W, 3) uint8."""

    values: Mapping[str, float]
    sheets: Mapping[str, Tensor] = field(default_factory=dict)


class Metric(Protocol):
    """Compares made pictures with real ones, as two sets."""

    def measure(self, fake: Tensor, real: Tensor, features: Features | None) -> Measured:
        """Measure.

        Args:
            fake: Made pictures, (N, 3, H, W) uint8, on the device to compute on.
            real: Real pictures, (M, 3, H, W) uint8, likewise: all that the generator learns from.
            features: The recipe's feature network, or None; never None if the component says `needs_features`.

        Draws come from torch's global generator, which the core seeds.
        """


class PairMetric(Protocol):
    """Compares each made picture with the one that it should be: the metric of a component that says `needs_pairs`."""

    def measure(self, fake: Tensor, real: Tensor, features: Features | None, source: Tensor) -> Measured:
        """Measure, as `Metric`.

        Args:
            fake: Made pictures, (N, 3, H, W) uint8, on the device to compute on.
            real: What each of them should be, likewise. Held-out pictures, where the recipe holds some out.
            features: As for `Metric`.
            source: What each of them is made from, likewise.
        """
