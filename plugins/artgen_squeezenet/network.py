"""SqueezeNet 1.1 without its classifier, as a frozen space of features (Iandola et al. 2016, arXiv 1602.07360).

Version 1.1 is the authors' own: smaller first filters, earlier pooling, 2.4 times fewer operations. Written anew from
the architecture; tensors are named as torchvision names them (`features.0.weight`, ...).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from artgen import DataError
from artgen.training import Features
from artgen_squeezenet import SqueezeNetOptions
from artgen_squeezenet.weights import load_weights

SMALLEST_PX = 17
VECTOR = 512
"""Length of what `embed` returns."""


class Fire(nn.Module):
    """A 1x1 convolution that squeezes, then a 1x1 and a 3x3 one side by side that expand (section 3.2)."""

    def __init__(self, channels: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, h, w) -> (N, 2 * expanded, h, w)."""
        x = self.squeeze(x).relu()
        return torch.cat([self.expand1x1(x), self.expand3x3(x)], dim=1).relu()


class Pool(nn.MaxPool2d):
    """Halves height and width, rounding up."""

    def __init__(self) -> None:
        super().__init__(3, stride=2, ceil_mode=True)


class SqueezeNet(Features):
    """The convolutional part of SqueezeNet 1.1, frozen. 722,496 weights."""

    layers = ("conv1", "fire2", "fire3", "fire4", "fire5", "fire6", "fire7", "fire8", "fire9")
    style_layers = ("conv1", "fire2", "fire3", "fire4", "fire5", "fire6", "fire9")
    content_layers = ("fire6",)
    strides = (2, 4, 4, 8, 8, 16, 16, 16, 16)
    reach_px = 1 + 2 + 2 * 4 + 4 + 2 * 8 + 8 + 4 * 16
    """To the right and below, where the first convolution and each pooling look one position further than their
    square, and each fire module one; to the left and above only the fire modules do, and 88 px are enough."""

    mean: Tensor
    deviation: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, 3, stride=2),
            nn.ReLU(),
            Pool(),
            Fire(64, 16, 64),
            Fire(128, 16, 64),
            Pool(),
            Fire(128, 32, 128),
            Fire(256, 32, 128),
            Pool(),
            Fire(256, 48, 192),
            Fire(384, 48, 192),
            Fire(384, 64, 256),
            Fire(512, 64, 256),
        )
        # ImageNet's, of RGB in [0, 1]: what torchvision's tensors expect.
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1), persistent=False)
        self.eval().requires_grad_(False)

    def forward(self, pictures: Tensor) -> tuple[Tensor, ...]:
        """Activations of pictures (N, 3, H, W) in [-1, 1]: after the first convolution and after each fire module.

        The nine have 64, 128, 128, 256, 256, 384, 384, 512 and 512 channels; their sides are about H / 2, H / 4 (two),
        H / 8 (two) and H / 16 (four).

        Raises:
            DataError: The pictures are smaller than 17 px on a side: nothing is left of them.
        """
        if min(pictures.shape[2:]) < SMALLEST_PX:
            raise DataError(
                f"pictures of {pictures.shape[3]}x{pictures.shape[2]} px are too small",
                place="features.squeezenet",
                remedy=f"It needs {SMALLEST_PX} px a side: raise `resolution`.",
            )
        x = ((pictures + 1) / 2 - self.mean) / self.deviation
        activations = []
        for layer in self.features:
            x = layer(x)
            if isinstance(layer, nn.ReLU | Fire):
                activations.append(x)
        return tuple(activations)

    def embed(self, pictures: Tensor) -> Tensor:
        """One vector a picture, (N, 512), of norm sqrt(512): the deepest activation's mean over its pixels, rescaled.

        Pictures go in at their own size. Differs from the Inception features of Binkowski et al. 2018, which keep their
        length: here the cubic kernel (x . y / d + 1)^3 is (cosine + 1)^3, so one picture of glaring contrast cannot
        outweigh all others.
        """
        return nn.functional.normalize(super().embed(pictures), dim=1).mul(VECTOR**0.5)


def build(options: SqueezeNetOptions) -> SqueezeNet:
    """The network with its weights.

    Raises:
        DataError: The file is missing, not one that may be opened, or not of this network.
    """
    network = SqueezeNet()
    load_weights(network, options.weights)
    return network
