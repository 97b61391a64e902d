"""VGG-19 as far as relu5_1, frozen (Simonyan & Zisserman 2014, arXiv 1409.1556, table 1, column E).

Written anew from the architecture; tensors are named as torchvision names them (`features.0.weight`, ...).
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, lp_pool2d, max_pool2d, normalize

from artgen import DataError
from artgen.training import Features
from artgen_vgg import VGG19Options
from artgen_vgg.weights import load_weights

BLOCKS = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 1))
"""Channels and convolutions of each block. Differs from the paper: the last has one, as no more is looked at."""
SMALLEST_PX = 16
VECTOR = 512
"""Length of what `embed` returns."""

Pooling = Literal["max", "average", "l2"]


class Pool(nn.Module):
    """Halves height and width, rounding down.

    Means and norms of four positive values are smaller and larger than their maximum; the factors, found by Katherine
    Crowson for her style-transfer-pytorch, make up for it.
    """

    def __init__(self, kind: Pooling) -> None:
        super().__init__()
        self.kind = kind

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, C, h // 2, w // 2)."""
        if self.kind == "average":
            return avg_pool2d(x, 2) * 2.0
        if self.kind == "l2":
            return lp_pool2d(x, 2.0, 2) * 0.78
        return max_pool2d(x, 2)


class VGG19(Features):
    """The first 13 convolutions of VGG-19, each with its ReLU. 12,944,960 weights.

    `centre` is the colour that counts as nothing: a mean over ImageNet. It is subtracted before the first convolution
    and not folded into it, as zeros are then padded.
    """

    layers = tuple(f"relu{block}_{i}" for block, (_, count) in enumerate(BLOCKS, 1) for i in range(1, count + 1))
    style_layers = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
    content_layers = ("relu4_2",)
    strides = tuple(2**block for block, (_, count) in enumerate(BLOCKS) for _ in range(count))
    reach_px = sum(strides)
    """A convolution looks one position further on all sides; a pooling no further than its square."""

    centre: Tensor

    def __init__(self, pooling: Pooling = "max") -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for block, (wider, count) in enumerate(BLOCKS):
            layers += [Pool(pooling)] if block else []
            for _ in range(count):
                layers += [nn.Conv2d(channels, wider, 3, padding=1), nn.ReLU(inplace=True)]
                channels = wider
        self.features = nn.Sequential(*layers)
        self.register_buffer("centre", torch.zeros(3, 1, 1), persistent=False)
        self.eval().requires_grad_(False)

    def forward(self, pictures: Tensor) -> tuple[Tensor, ...]:
        """Activations of pictures (N, 3, H, W) in [-1, 1]: after each of the 13 ReLUs.

        They have 64 (two), 128 (two), 256 (four) and 512 channels; their sides are H, H / 2, H / 4, H / 8 and, of the
        last one, H / 16, rounded down.

        Raises:
            DataError: The pictures are smaller than 16 px on a side: nothing is left of them.
        """
        if min(pictures.shape[2:]) < SMALLEST_PX:
            raise DataError(
                f"pictures of {pictures.shape[3]}x{pictures.shape[2]} px are too small",
                place="features.vgg19",
                remedy=f"It needs {SMALLEST_PX} px a side: raise `resolution`.",
            )
        x = pictures - self.centre
        activations = []
        for layer in self.features:
            x = layer(x)
            if isinstance(layer, nn.ReLU):
                activations.append(x)
        return tuple(activations)

    def embed(self, pictures: Tensor) -> Tensor:
        """One vector a picture, (N, 512), of norm sqrt(512): relu5_1, its mean over the pixels, rescaled.

        Rescaled as that of `squeezenet` is, and for the same reason: one picture of glaring contrast cannot outweigh
        all others.
        """
        return normalize(super().embed(pictures), dim=1).mul(VECTOR**0.5)


def build(options: VGG19Options) -> VGG19:
    """The network with its weights.

    Raises:
        DataError: They are nowhere, or not such as may be opened, or not of this network.
        ResourceError: What was downloaded cannot be kept.
    """
    network = VGG19(options.pooling)
    load_weights(network, options.weights, options.origin)
    return network
