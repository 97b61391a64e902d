"""Losses on pixels: neighbours in space, and in time. Each is a mean over a picture's pixels, summed over pictures."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from artgen import LossOptions
from artgen.training import Outputs
from artgen_style import VariationOptions
from artgen_style.activations import full


class TotalVariation:
    """How much neighbouring pixels differ (Mahendran and Vedaldi 2015)."""

    def __init__(self, options: VariationOptions) -> None:
        self.form = options.form

    def generator(self, outputs: Outputs) -> Tensor:
        assert outputs.made is not None  # the core compared `needs` with `gives` when the run was built
        x = full(outputs.made)
        if self.form == "nine-point":
            around = pad(x, (1, 1, 1, 1), "replicate")
            before, here, after = slice(None, -2), slice(1, -1), slice(2, None)
            axes, diagonals = [(after, here), (here, after)], [(after, after), (after, before)]
            straight = torch.stack([(around[..., row, column] - x).square() for row, column in axes]).sum(dim=0)
            oblique = torch.stack([(around[..., row, column] - x).square() for row, column in diagonals]).sum(dim=0)
            return 2 * _summed(straight / 3 + oblique / 12)
        down, across = x.diff(dim=2), x.diff(dim=3)
        if self.form == "l1":
            return _summed(down.abs()) + _summed(across.abs())
        return _summed(down.square()) + _summed(across.square())


class Temporal:
    """The mean squared difference of a frame and its neighbour, moved to it, where the flow can be relied upon.

    Ruder et al. 2016, section 4.2. Without pairs of frames it is 0.
    """

    def __init__(self, options: LossOptions) -> None:
        pass

    def generator(self, outputs: Outputs) -> Tensor:
        assert outputs.motion is not None
        expected, shown, trusted = map(full, (outputs.motion.expected, outputs.motion.shown, outputs.motion.trusted))
        return _summed(trusted * (shown - expected).square())


def _summed(x: Tensor) -> Tensor:
    """The mean of each picture, summed over pictures."""
    return x.mean(dim=(1, 2, 3)).sum()
