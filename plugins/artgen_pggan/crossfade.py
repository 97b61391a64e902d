"""From the pictures of one level to those of the next, smoothly (Karras et al. 2017, figure 2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Crossfade(nn.Module):
    """old + (new - old) * share, two tensors of one shape.

    The share is a tensor on the device, so a network that is compiled while it fades serves for every share. It is no
    part of a checkpoint: it follows from the clock.
    """

    share: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("share", torch.ones(()), persistent=False)
        self.fading = False

    def set(self, share: float) -> None:
        """Take a share, 0 to 1; at 1 a network need not make the old one at all."""
        self.fading = share < 1
        self.share.fill_(share)

    def forward(self, old: Tensor, new: Tensor) -> Tensor:
        return old + (new - old) * self.share
