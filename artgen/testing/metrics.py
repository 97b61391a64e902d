"""What a figure of quality promises."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar, cast

import pytest
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from artgen.components import Kind, Options
from artgen.errors import ArtgenError
from artgen.metrics import Measured, Metric, PairMetric
from artgen.rng import drawing
from artgen.testing.filters import SmallFeatures
from artgen.testing.suite import ComponentContract
from artgen.testing.verdicts import gpu, require


class MetricContract(ComponentContract):
    """What a metric promises (`artgen.metrics.Metric`). One that needs features is given small random ones.

    One that needs pairs is given as many real pictures as made ones, and mirrored negatives of them for sources.
    """

    kind: ClassVar[Kind] = "metric"
    sizes: Sequence[tuple[int, int]] = ((32, 32), (64, 64), (32, 48))
    """(height, width) in pixels. It takes each of them, or refuses it with an ArtgenError that says what to do."""
    pictures: int = 24
    """How many pictures it is given on a side."""
    distances: Sequence[str] = ()
    """Its figures that are smaller for pictures equal to the real ones than for noise."""

    def real(self, size: tuple[int, int] | None = None, count: int | None = None) -> Tensor:
        """Smooth random pictures (N, 3, H, W) uint8, the same each time."""
        with drawing(0, "real"):
            coarse = torch.rand(count or self.pictures, 3, 4, 4) * 255
        return interpolate(coarse, size or self.sizes[0], mode="bilinear").to(torch.uint8)

    def noise(self, size: tuple[int, int] | None = None, count: int | None = None) -> Tensor:
        """Noise of the same form."""
        with drawing(0, "noise"):
            return torch.randint(0, 256, (count or self.pictures, 3, *(size or self.sizes[0])), dtype=torch.uint8)

    def measured(self, fake: Tensor, real: Tensor, seed: int = 0) -> Measured:
        """What it measures; its draws follow from the seed."""
        metric = self.make()
        features = SmallFeatures(Options()).to(fake.device) if self.found().needs_features else None
        with drawing(seed, "metric"):
            if not self.found().needs_pairs:
                return cast(Metric, metric).measure(fake, real, features)
            count = min(len(fake), len(real))  # as a run cuts them
            source = 255 - real[:count].flip(3)
            return cast(PairMetric, metric).measure(fake[:count], real[:count], features, source)

    def test_figures_are_finite(self) -> None:
        """Finite floats by name, for any numbers of pictures; sheets are pictures (H, W, 3) uint8."""
        for fake, real in ((self.noise(), self.real()), (self.noise(), self.real(count=self.pictures + 5))):
            measured = self.measured(fake, real)
            require(measured.values, "It measures nothing: give Measured({'name': figure}).")
            figures: dict[Any, Any] = dict(measured.values)  # a stranger's: they may be anything
            for name, value in figures.items():
                require(
                    isinstance(name, str) and isinstance(value, float) and math.isfinite(value),
                    f"The figure {name!r} is {value!r} for {len(fake)} made and {len(real)} real pictures: give a "
                    "finite float (`.item()` is right here).",
                )
            for name, sheet in measured.sheets.items():
                require(
                    sheet.dim() == 3 and sheet.shape[2] == 3 and sheet.dtype == torch.uint8,
                    f"The sheet {name!r} is {tuple(sheet.shape)} {sheet.dtype}: give (H, W, 3) uint8.",
                )

    def test_sizes(self) -> None:
        """Each size is measured, or refused with an error that says what to do."""
        refusals = []
        for size in self.sizes:
            try:
                self.measured(self.noise(size), self.real(size))
            except ArtgenError as error:
                require(error.remedy, f"It refuses {size} without saying what to do: give the error a `remedy`.")
                refusals.append(str(error))
        require(
            len(refusals) < len(self.sizes), "It refuses every size in `sizes`: set others.\n" + "\n".join(refusals)
        )

    def test_same_pictures_give_the_same_figures(self) -> None:
        """With one seed, the figures of the same pictures are equal, and the pictures are left alone."""
        fake, real = self.noise(), self.real()
        first, again = (dict(self.measured(fake, real).values) for _ in range(2))
        require(
            str(first) == str(again),
            f"Measured twice with one seed, the figures differ: {first} and {again}. Draw from torch's global "
            "generator, and keep nothing between two measurements.",
        )
        require(
            torch.equal(fake, self.noise()) and torch.equal(real, self.real()),
            "It changes the pictures that it is given: no operation in place.",
        )

    def test_distances_are_smaller_for_equal_pictures(self) -> None:
        """The figures named in `distances` are smaller for copies of the real pictures than for noise."""
        real = self.real()
        equal, noise = self.measured(real.clone(), real).values, self.measured(self.noise(), real).values
        unknown = [name for name in self.distances if name not in equal]
        require(
            not unknown, f"`distances` names what it does not measure: {', '.join(unknown)}; there is {list(equal)}."
        )
        wrong = [
            f"{name} ({equal[name]:.4g}, {noise[name]:.4g})" for name in self.distances if equal[name] >= noise[name]
        ]
        require(not wrong, f"No smaller for copies of the real pictures than for noise: {', '.join(wrong)}.")

    def test_devices_agree(self) -> None:
        """CPU and GPU measure the same, nearly."""
        device = gpu()
        on_cpu = self.measured(self.noise(), self.real()).values
        on_gpu = self.measured(self.noise().to(device), self.real().to(device)).values
        differ = {
            name: (value, on_gpu[name]) for name, value in on_cpu.items() if on_gpu[name] != pytest.approx(value, 0.1)
        }
        require(
            not differ, f"CPU and GPU measure differently: {differ}. Draw on the CPU: `torch.randperm(n).to(device)`."
        )
