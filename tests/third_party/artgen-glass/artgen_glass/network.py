"""Panes are the cells of a soft Voronoi diagram: each pixel belongs to the pane whose centre is nearest."""

from __future__ import annotations

import torch
from artgen.training import Generator, LatentSpace, Size
from torch import Tensor, nn

from artgen_glass import GlassOptions


class StainedGlass(Generator):
    """z (N, latent) -> pictures (N, 3, H, W) in [-1, 1]. K panes, each with a centre and a colour."""

    place: Tensor

    def __init__(self, options: GlassOptions, size: Size) -> None:
        super().__init__()
        self.latent = LatentSpace((options.latent,))
        self.panes, self.sharpness = options.panes, options.sharpness
        self.body = nn.Sequential(
            nn.Linear(options.latent, options.width),
            nn.LeakyReLU(0.2),
            nn.Linear(options.width, options.width),
            nn.LeakyReLU(0.2),
        )
        self.to_panes = nn.Linear(options.width, 5 * options.panes)
        nn.init.uniform_(self.to_panes.bias, -1.5, 1.5)  # a window to begin with, not all panes in its middle
        y, x = torch.meshgrid(torch.linspace(-1, 1, size.height), torch.linspace(-1, 1, size.width), indexing="ij")
        self.register_buffer("place", torch.stack([y, x]), persistent=False)  # (2, H, W)

    def forward(self, z: Tensor) -> Tensor:
        panes = self.to_panes(self.body(z)).tanh().view(len(z), self.panes, 5)
        centre, colour = torch.split(panes, [2, 3], dim=2)  # (N, K, 2), (N, K, 3)
        distance = (self.place - centre[..., None, None]).square().sum(dim=2)  # (N, K, H, W)
        share = (-self.sharpness * distance).softmax(dim=1)
        light = (2 * share.square().sum(dim=1, keepdim=True) - 1).clamp(0, 1)  # 0 where two panes meet: lead is black
        return torch.einsum("nkhw,nkc->nchw", share, colour) * light + (light - 1)
