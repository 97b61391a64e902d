"""What is shown: activations as the content has them (Gatys et al. 2016, section 2.1)."""

from __future__ import annotations

import torch
from torch import Tensor

from artgen.training import Measured, Outputs
from artgen_style import ContentOptions
from artgen_style.activations import Layers, full


class Content:
    """The squared difference of activations of the made picture and its source.

    Differs from the paper (eq. 1), which takes half the sum: relative to the sum of squares in the source, or the mean
    over channels and positions, so that a weight means the same at every size.
    """

    def __init__(self, options: ContentOptions) -> None:
        self.layers, self.relative = Layers(options, "content_layers"), options.normalisation == "relative"

    def measure(self, outputs: Outputs) -> Measured:
        made, source = outputs.made_features, outputs.source_features
        assert made is not None
        if source is None:  # a picture of a style, which has no content to keep
            return ((),) * len(outputs.regions)
        names = self.layers.there(outputs)
        squares = [(full(made[name]) - full(source[name])).square().sum(dim=(1, 2, 3)) for name in names]
        if self.relative:
            sizes = [full(source[name]).square().sum(dim=(1, 2, 3)) for name in names]
        else:
            sizes = [torch.full_like(squares[0], made[name][0].numel()) for name in names]
        return ((*squares, *sizes),) + ((),) * (len(outputs.regions) - 1)

    def generator(self, outputs: Outputs) -> Tensor:
        assert outputs.measured is not None
        found = outputs.measured[self][0]
        squares, sizes = found[: len(found) // 2], found[len(found) // 2 :]
        distances = [s / size.clamp(min=1e-6) for s, size in zip(squares, sizes, strict=True)]
        return self.layers.total(distances, outputs.features)
