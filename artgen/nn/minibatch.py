"""Minibatch standard deviation (Karras et al. 2017, Progressive Growing of GANs, section 3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class MinibatchDeviation(nn.Module):
    """Append one channel that says how much the pictures of a group differ: a critic then sees collapse.

    (N, C, H, W) -> (N, C + 1, H, W). Groups hold `group` pictures, or the largest number up to it that divides N. Call
    it with real or with made pictures, never with both at once.
    """

    def __init__(self, group: int = 4) -> None:
        super().__init__()
        self.group = group

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        group = max(g for g in range(1, min(self.group, n) + 1) if n % g == 0)
        full = x.to(torch.promote_types(x.dtype, torch.float32))  # squares of small differences vanish in bf16
        y = full.view(group, -1, c, h, w)  # (G, N/G, C, H, W)
        variance = (y - y.mean(dim=0)).square().mean(dim=0)  # (N/G, C, H, W); `var` is twenty times slower on a CPU
        deviation = (variance + 1e-8).sqrt().mean(dim=(1, 2, 3))  # (N/G,)
        channel = deviation.repeat(group).view(n, 1, 1, 1).expand(n, 1, h, w).to(x.dtype)
        return torch.cat([x, channel], dim=1)
