"""Style as the products of channels, wherever in the picture they are (Gatys et al. 2016, section 2.2).

Letters, as in the paper: F activations (C channels by positions), G = F F^T the Gram matrix of the made picture and A
that of the style, here both divided by the number of positions, so that pictures of two sizes can be compared.
"""

from __future__ import annotations

import torch
from torch import Tensor

from artgen_style import GramOptions
from artgen_style.activations import Gathered, StyleLoss, over, weighed


class Gram(StyleLoss):
    """The squared difference of Gram matrices (eq. 3 to 5)."""

    tensors = 2

    def __init__(self, options: GramOptions) -> None:
        super().__init__(options)
        self.normalisation = options.normalisation

    def gather(self, activations: Tensor, share: Tensor | None, place: tuple[int, int, int, int] | None) -> Gathered:
        f, weighed_f, count = weighed(activations, share)
        with torch.autocast(f.device.type, enabled=False):
            return weighed_f.mT @ f, count

    def distance(self, made: Gathered, style: Gathered) -> Tensor:
        g, a = over(*made), over(*style)
        difference = g - a  # (N, C, C)
        squares = difference.square().sum(dim=(1, 2))
        if self.normalisation == "relative":
            # Differs from the paper: without a scale, so any network will do, and each of its layers counts alike. The
            # floor is for a layer that is dead in the style: the square of a trace of activations of 0.01.
            distance = squares / a.square().sum(dim=(1, 2)).clamp(min=1e-8)
        elif self.normalisation == "gatys":
            # The authors' code: the mean over C^2 entries, weighted by 1 / C^2. The paper has a factor C^2 / 4 more.
            distance = squares / g.shape[1] ** 4
        else:
            distance = squares / (difference.abs().sum(dim=(1, 2)) + 1e-8)
        return torch.where((made[1] > 0) & (style[1] > 0), distance, 0)
