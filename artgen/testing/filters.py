"""The kit's own feature network, which needs no file."""

from __future__ import annotations

from torch import Tensor, nn

from artgen.components import Options
from artgen.rng import drawing
from artgen.training import Features


class SmallFeatures(Features):
    """Two random convolutions, always the same, frozen."""

    layers = ("shallow", "deep")
    style_layers = ("shallow", "deep")
    content_layers = ("deep",)
    strides = (2, 4)
    reach_px = 3

    def __init__(self, options: Options) -> None:
        super().__init__()
        with drawing(0, "features"):
            self.first, self.second = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 16, 3, 2, 1)
        self.eval().requires_grad_(False)

    def forward(self, pictures: Tensor) -> tuple[Tensor, ...]:
        """Activations (N, 8, H / 2, W / 2) and (N, 16, H / 4, W / 4)."""
        shallow = self.first(pictures).relu()
        return shallow, self.second(shallow).relu()
