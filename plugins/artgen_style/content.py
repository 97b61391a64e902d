"""What is shown: activations as the content has them (Gatys et al. 2016, section 2.1)."""

from __future__ import annotations

from torch import Tensor

from artgen.training import Measured, Outputs
from artgen_style import LayerOptions
from artgen_style.activations import Layers, full


class Content:
    """The mean squared difference of activations of the made picture and its source.

    Differs from the paper (eq. 1): the mean over channels and positions, not half the sum, so that a weight means the
    same at every size.
    """

    def __init__(self, options: LayerOptions) -> None:
        self.layers = Layers(options, "content_layers")

    def measure(self, outputs: Outputs) -> Measured:
        made, source = outputs.made_features, outputs.source_features
        assert made is not None
        if source is None:  # a picture of a style, which has no content to keep
            return ((),) * len(outputs.regions)
        names = self.layers.names(outputs)
        squares = [(full(made[name]) - full(source[name])).square().sum(dim=(1, 2, 3)) for name in names]
        counts = [squares[0].new_tensor(made[name][0].numel()) for name in names]
        return ((*squares, *counts),) + ((),) * (len(outputs.regions) - 1)

    def generator(self, outputs: Outputs) -> Tensor:
        assert outputs.measured is not None
        found = outputs.measured[self][0]
        squares, counts = found[: len(found) // 2], found[len(found) // 2 :]
        return self.layers.total([square / count for square, count in zip(squares, counts, strict=True)])
