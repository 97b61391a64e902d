"""SqueezeNet 1.1 without its classifier (Iandola et al. 2016), as a frozen space of features.

Written anew from the architecture; tensors are named as torchvision names them (`features.0.weight`, ...).
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from torch import Tensor, nn

from artgen import DataError
from artgen.training import Features
from artgen_squeezenet import Options

SHA256 = "ece1f6dfa59d851d4abb0be43a9b573375cfb71d0e1bb841c4657446ebf4b630"
"""Of `squeezenet1_1_features.pt`, the one pickled file of weights that is opened."""


class Fire(nn.Module):
    """A 1x1 convolution that squeezes, then 1x1 and 3x3 convolutions side by side that expand (section 3.2)."""

    def __init__(self, channels: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, h, w) -> (N, 2 * expanded, h, w)."""
        x = self.squeeze(x).relu()
        return torch.cat([self.expand1x1(x), self.expand3x3(x)], dim=1).relu()


def pool() -> nn.Module:
    """Halve height and width."""
    return nn.MaxPool2d(3, stride=2, ceil_mode=True)


class SqueezeNet(Features):
    """The convolutional part of SqueezeNet 1.1, frozen.

    Activations are those after the first convolution, after the last fire module of each size and at the end: 64, 128,
    256, 384 and 512 channels, the sides divided by about 2, 4, 8, 16 and 16.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, 3, stride=2), nn.ReLU(), pool(),
            Fire(64, 16, 64), Fire(128, 16, 64), pool(),
            Fire(128, 32, 128), Fire(256, 32, 128), pool(),
            Fire(256, 48, 192), Fire(384, 48, 192), Fire(384, 64, 256), Fire(512, 64, 256),
        )  # fmt: skip
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1), persistent=False)
        self.eval().requires_grad_(False)

    def forward(self, pictures: Tensor) -> tuple[Tensor, ...]:
        """Five activations (N, C, h, w), shallow to deep, of pictures (N, 3, H, W) in [-1, 1]; sides of 18 px at least."""
        x = ((pictures + 1) / 2 - self.mean) / self.deviation
        activations = []
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index in (1, 4, 7, 10, 12):
                activations.append(x)
        return tuple(activations)


