"""The critic (discriminator) of DCGAN (Radford et al. 2015, section 3)."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from artgen.nn.minibatch import MinibatchDeviation
from artgen.training import Critic, Size
from artgen_dcgan import CriticOptions
from artgen_dcgan.grid import starting_grid


class DCGANCritic(Critic):
    """Pictures (N, 3, H, W) -> logits (N,)."""

    def __init__(self, options: CriticOptions, size: Size) -> None:
        super().__init__()
        grid, halvings = starting_grid(size)
        widths = [3] + [min(options.width * 2**i, options.widest) for i in range(halvings)]
        levels: list[nn.Module] = []
        for i, (before, after) in enumerate(pairwise(widths)):
            levels += _halving(before, after, options, normed=options.norm == "batch" and i > 0)
            if options.dropout:
                levels.append(nn.Dropout2d(options.dropout))
        if options.minibatch_deviation:
            levels.append(MinibatchDeviation(options.minibatch_deviation))
        self.levels = nn.Sequential(*levels)
        last = widths[-1] + bool(options.minibatch_deviation)
        self.score = nn.Conv2d(last, 1, grid, bias=options.norm == "none")
        self.instance_noise = options.instance_noise
        self.apply(_initialise_normal if options.init == "normal" else _initialise_kaiming)

    def forward(self, x: Tensor) -> Tensor:
        if self.instance_noise and self.training:
            x = x + self.instance_noise * torch.randn_like(x)
        logits: Tensor = self.score(self.levels(x))
        return logits.flatten()


def _halving(before: int, after: int, options: CriticOptions, *, normed: bool) -> list[nn.Module]:
    bias = options.norm == "none"
    shrink: list[nn.Module]
    if options.downsample == "stride":
        shrink = [nn.Conv2d(before, after, 4, stride=2, padding=1, bias=bias)]
    else:
        pool = nn.AvgPool2d(2) if options.downsample == "average" else nn.MaxPool2d(2)
        shrink = [nn.Conv2d(before, after, 3, padding=1, bias=bias), pool]
    norm = [nn.BatchNorm2d(after)] if normed else []
    # Not in place: a penalty differentiates this twice.
    return [*shrink, *norm, nn.LeakyReLU(0.2) if options.activation == "leaky-relu" else nn.ReLU()]


def _initialise_normal(module: nn.Module) -> None:
    """All weights from N(0, 0.02), those of batch norm from N(1, 0.02) (section 4, and PyTorch's example)."""
    if isinstance(module, nn.Conv2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)


def _initialise_kaiming(module: nn.Module) -> None:
    """Differs from the paper: keeps the scale of activations (He et al. 2015), for critics without norm."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, a=0.2)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
