"""How maps of features vary together: the style of rectified wavelets (after Brochard, Zhang and Mallat 2022)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import pad

from artgen import RecipeError
from artgen.training import Features, Measured, Outputs
from artgen_style import CovarianceOptions
from artgen_style.activations import Layers

SMALLEST_VARIANCE = 1e-6
"""Added to that of each map in the style: a map that is still there, stays still."""

PIECE = 4096
"""Positions whose products are added up in the type of the maps."""


class Moments(NamedTuple):
    """Sums over the positions of a layer of C maps, beside M of its finer neighbour: those of tiles add up.

    Args:
        positions: How many there are, those at a region's soft edge in part, (1 or N, 1).
        sums: Of activations, (N, C).
        products: Of the products of any two activations, (N, C, C).
        finer_sums: Of activations of the neighbour, averaged two by two, (N, M).
        across: Of their products with the first M of the layer, (N, M, M).
    """

    positions: Tensor
    sums: Tensor
    products: Tensor
    finer_sums: Tensor
    across: Tensor


class Covariance:
    """Relative errors of covariances and means of activations, after each map got unit deviation in the style.

    With C the covariance and m the means of a layer of n maps in the picture, C' and m' in the style, it is the sum
    over layers of |C - C'|^2 / |C'|^2 + |m - m'|^2 / (|m'|^2 + n), and of the first of these also for the covariance
    between a layer and its finer neighbour; over the number of covariances.

    Differs from Brochard et al. 2022: no shifts, none but neighbouring octaves, and means count beside covariances.
    """

    def __init__(self, options: CovarianceOptions) -> None:
        self.options, self.layers = options, Layers(options, "style_layers")

    def measure(self, outputs: Outputs) -> Measured:
        """The `Moments` of all layers, one after the other, for each region.

        Raises:
            RecipeError: As for `Layers`; or the features do not tell the strides that `across_maps` needs.
        """
        assert outputs.made_features is not None  # the core compared `needs` with `gives` when the run was built
        assert outputs.features is not None
        layers = self.layers.there(outputs)
        finer = self._finer(outputs.features, layers)
        measured = []
        for region in outputs.regions:
            found: list[Tensor] = []
            for name in layers:
                neighbour = outputs.made_features[finer[name]][:, : self.options.across_maps] if name in finer else None
                found += moments(outputs.made_features[name], neighbour, None if region is None else region[name])
            measured.append(tuple(found))
        return tuple(measured)

    def generator(self, outputs: Outputs) -> Tensor:
        assert outputs.measured is not None
        assert outputs.styles is not None
        weights = self.layers.weights(outputs.features)
        distances = [
            wanted.weight * distance(_by_layer(outputs.measured[self][wanted.region]),
                                     _by_layer(wanted.measured[self]), weights)
            for wanted in outputs.styles
        ]  # fmt: skip
        return torch.stack(distances).sum()

    def _finer(self, features: Features, layers: list[str]) -> dict[str, str]:
        """Layer -> the one before it, where that has half its stride."""
        if not self.options.across_maps:
            return {}
        if not features.strides:
            raise RecipeError(
                "the features do not tell the strides of their layers",
                place="losses.covariance.across_maps",
                remedy="Set it to 0.",
            )
        strides = dict(zip(features.layers, features.strides, strict=True))
        return {name: before for before, name in pairwise(layers) if strides[name] == 2 * strides[before]}


def moments(maps: Tensor, finer: Tensor | None, share: Tensor | None) -> Moments:
    """Measure a layer (N, C, h, w), in fp32 at least.

    Args:
        maps: Its activations.
        finer: Maps of its neighbour, (N, M, 2 h, 2 w); the last row or column may be missing, or be one too many.
        share: How much of each position belongs to the region, (1 or N, 1, h, w); None: all of it.
    """
    height, width = maps.shape[2:]
    f = maps.flatten(2)  # (N, C, h * w)
    p = f[:, :0]
    if finer is not None:
        p = halved(finer)[..., :height, :width].flatten(2).to(f.dtype)  # (N, M, h * w); autocast pads in fp32
    t = f.new_ones(1, 1, height * width) if share is None else share.to(f.dtype).flatten(2)
    tp = p if share is None else t * p
    with torch.autocast(f.device.type, enabled=False):
        product: Callable[[Tensor, Tensor | None], Tensor] = Products.apply  # its types differ from torch to torch
        products = product(f, None if share is None else t)
        across = summed(tp, f[:, : p.shape[1]])
    dtype = products.dtype
    sums = (f if share is None else t * f).sum(dim=2, dtype=dtype)
    return Moments(t.sum(dim=2, dtype=dtype), sums, products, tp.sum(dim=2, dtype=dtype), across)


def halved(x: Tensor) -> Tensor:
    """Means of 2x2 positions: (N, C, h, w) -> (N, C, ceil(h / 2), ceil(w / 2)). A third of the time of `avg_pool2d`."""
    height, width = x.shape[2:]
    if height % 2 or width % 2:
        x = pad(x, (0, width % 2, 0, height % 2), mode="replicate")
    rows = x[..., 0::2, :] + x[..., 1::2, :]
    return (rows[..., 0::2] + rows[..., 1::2]) / 4


class Products(torch.autograd.Function):
    """Sums over positions of t f f^T: (N, C, P), and (1 or N, 1, P) or None, which needs no gradient -> (N, C, C).

    By hand, because what autograd does not know of, that both factors are the same, saves a third of the work.
    """

    @staticmethod
    def forward(context: Any, f: Tensor, t: Tensor | None) -> Tensor:
        tf = f if t is None else t * f
        context.save_for_backward(tf)
        return summed(tf, f)

    @staticmethod
    @once_differentiable
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (tf,) = context.saved_tensors
        both = (gradient + gradient.transpose(1, 2)).to(tf.dtype)
        return torch.stack([g @ x for g, x in zip(both, tf, strict=True)]), None


def summed(x: Tensor, y: Tensor) -> Tensor:
    """Sums over positions of x y^T: (N, A, P), (N, B, P) -> (N, A, B), in fp32 at least.

    Products in bf16 come in bf16: the sum of a few thousand of them still has digits enough.
    """
    dtype = torch.promote_types(x.dtype, torch.float32)
    count = -(-x.shape[2] // PIECE)
    pieces = zip(x.chunk(count, dim=2), y.chunk(count, dim=2), strict=True)
    # One picture at a time: batched products in bf16 are several times slower on a CPU.
    sums = [torch.stack([a @ b.T for a, b in zip(*piece, strict=True)]).to(dtype) for piece in pieces]
    return torch.stack(sums).sum(dim=0)


def distance(made: Sequence[Moments], style: Sequence[Moments], weights: Sequence[float]) -> Tensor:
    """How far pictures are from a style: the sum over pictures, a scalar.

    Args:
        made: Moments of each layer in N pictures.
        style: Of each layer in the style, N = 1. A picture so small that it lacks the last layers is compared in the
            first ones.
        weights: How much each layer counts.
    """
    total, counted = made[0].sums.new_zeros(()), 0.0
    finer = style[0].sums  # in place of the deviation of each map of the finer neighbour, which the first layer lacks
    for ours, theirs, weight in zip(made, style, weights, strict=False):
        (m, c, a), (m_style, c_style, a_style) = _statistics(ours), _statistics(theirs)
        deviation = (c_style.diagonal(dim1=1, dim2=2) + SMALLEST_VARIANCE).sqrt()  # (1, C)
        unit = deviation.unsqueeze(2) * deviation.unsqueeze(1)
        means = ((m - m_style) / deviation).square().sum()
        means = means / ((m_style / deviation).square().sum() + m.shape[1])
        total = total + weight * (_relative(c / unit, c_style / unit) + means)
        counted += weight
        if maps := a.shape[1]:
            unit = finer[:, :maps].unsqueeze(2) * deviation[:, :maps].unsqueeze(1)
            total = total + weight * _relative(a / unit, a_style / unit)
            counted += weight
        finer = deviation
    return total / counted


def _statistics(of: Moments) -> tuple[Tensor, Tensor, Tensor]:
    """Means (N, C), covariances (N, C, C) and those across the neighbour's maps and the layer's (N, M, M)."""
    positions = of.positions.clamp(min=1e-6)  # a region may be nowhere in a picture
    m, p = of.sums / positions, of.finer_sums / positions
    c = of.products / positions.unsqueeze(2) - m.unsqueeze(2) * m.unsqueeze(1)
    a = of.across / positions.unsqueeze(2) - p.unsqueeze(2) * m[:, : p.shape[1]].unsqueeze(1)
    return m, c, a


def _relative(found: Tensor, wanted: Tensor) -> Tensor:
    return (found - wanted).square().sum() / wanted.square().sum().clamp(min=SMALLEST_VARIANCE)


def _by_layer(tensors: tuple[Tensor, ...]) -> list[Moments]:
    size = len(Moments._fields)
    return [Moments(*tensors[start : start + size]) for start in range(0, len(tensors), size)]
