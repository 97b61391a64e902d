"""The generator of pix2pix (Isola et al. 2017, sections 3.2.1 and 6.1.1): a U-Net."""

from __future__ import annotations

from itertools import pairwise

import torch
from kornia.color import lab_to_rgb, rgb_to_lab
from torch import Tensor, nn

from artgen import DataError, RecipeError
from artgen.training import Generator, Size
from artgen_pix2pix import GeneratorOptions

_CHROMA = 110.0
"""More than the largest |a| or |b| of any colour on a screen."""
_PUBLISHED_DEPTH, _LEAST_DEPTH = 8, 3


class UNet(Generator):
    """Source pictures (N, 3, H, W) in [-1, 1] -> pictures (N, 3, H, W) in [-1, 1].

    It halves a picture down to the innermost level, then doubles it; each level on the way up is handed what the level
    of its size on the way down has made.

    With `keep_lightness` a colour may leave the range that a screen can show, and [-1, 1] with it: clipped here it
    would have no gradient. `sample` clips.
    """

    takes = "picture"

    def __init__(self, options: GeneratorOptions, size: Size) -> None:
        super().__init__()
        depth = options.depth or _fitting_depth(size)
        self.multiple = 2**depth
        if size.height % self.multiple or size.width % self.multiple:
            raise RecipeError(
                f"a U-Net of depth {depth} cannot make pictures of {size} px",
                remedy=f"Both sides must be multiples of {self.multiple}; or set a smaller `depth`.",
            )
        widths = [min(options.width * 2**i, options.widest) for i in range(depth)]
        self.halvings = nn.ModuleList(
            _halving(before, after, options, outermost=i == 0, innermost=i == depth - 1)
            for i, (before, after) in enumerate(pairwise([3, *widths]))
        )
        self.doublings = nn.ModuleList()
        bridged = 1  # the innermost level has nothing beside it
        for i, (before, after) in enumerate(pairwise(reversed(widths))):
            dropout = options.dropout if i < 3 and after == widths[-1] else 0.0
            self.doublings.append(_doubling(bridged * before, after, options, dropout))
            bridged = 2
        self.keeps_lightness = options.keep_lightness
        made = 2 if self.keeps_lightness else 3
        self.last = nn.Sequential(nn.ReLU(), *_enlarge(bridged * widths[0], made, options, bias=True), nn.Tanh())
        self.apply(_initialise)

    def forward(self, source: Tensor) -> Tensor:
        """Make pictures.

        Raises:
            DataError: Their sides are no multiples of `multiple`.
        """
        height, width = source.shape[2:]
        if height % self.multiple or width % self.multiple:
            raise DataError(
                f"this U-Net cannot take pictures of {Size(height, width)} px",
                remedy=f"Both sides must be multiples of {self.multiple}: crop, pad or resize them.",
            )
        levels, h = [], source
        for halve in self.halvings:
            h = halve(h)
            levels.append(h)
        h = levels.pop()
        for double in self.doublings:
            h = torch.cat([double(h), levels.pop()], dim=1)
        made: Tensor = self.last(h)
        return _coloured(source, made) if self.keeps_lightness else made


class _Dropout(nn.Dropout):
    """Dropout that may stay when pictures are made."""

    def __init__(self, share: float, at_test: bool) -> None:
        super().__init__(share)
        self.at_test = at_test

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.dropout(x, self.p, self.training or self.at_test)


def _fitting_depth(size: Size) -> int:
    """How often both sides can be halved, at most as often as in the paper.

    Raises:
        RecipeError: So few times that the innermost level would see but a corner of the picture.
    """
    depth = 0
    while depth < _PUBLISHED_DEPTH and size.height % 2 ** (depth + 1) == size.width % 2 ** (depth + 1) == 0:
        depth += 1
    if depth < _LEAST_DEPTH:
        multiple = 2**_LEAST_DEPTH
        near = Size(*(max(multiple, round(side / multiple) * multiple) for side in size))
        raise RecipeError(
            f"a U-Net halves pictures, and {size} px cannot be halved evenly {_LEAST_DEPTH} times",
            remedy=f"Take {near} px, or other multiples of {multiple}; better of 64."
            + (f" Or set depth = {depth}." if depth else ""),
        )
    return depth


def _halving(before: int, after: int, options: GeneratorOptions, *, outermost: bool, innermost: bool) -> nn.Sequential:
    """Halve by a 4x4 convolution. Neither the first level nor the innermost one is normalised.

    The innermost may be a single pixel, which a batch of 1 would normalise to nothing; the paper's errata took that
    norm away. The one before is at least 2x2, so no batch is too small.
    """
    activation = [] if outermost else [nn.LeakyReLU(0.2)]
    norm = [] if outermost or innermost else [_norm(after, options)]
    return nn.Sequential(*activation, nn.Conv2d(before, after, 4, stride=2, padding=1, bias=False), *norm)


def _doubling(before: int, after: int, options: GeneratorOptions, dropout: float) -> nn.Sequential:
    drop = [_Dropout(dropout, options.test_as_trained)] if dropout else []
    return nn.Sequential(nn.ReLU(), *_enlarge(before, after, options, bias=False), _norm(after, options), *drop)


def _enlarge(before: int, after: int, options: GeneratorOptions, *, bias: bool) -> list[nn.Module]:
    if options.upsample == "transposed":
        return [nn.ConvTranspose2d(before, after, 4, stride=2, padding=1, bias=bias)]
    # Differs from the paper: the cure that its authors name for checkerboards (Odena et al. 2016).
    return [nn.Upsample(scale_factor=2), nn.Conv2d(before, after, 3, padding=1, padding_mode="reflect", bias=bias)]


def _norm(channels: int, options: GeneratorOptions) -> nn.Module:
    if options.norm == "instance":
        # Differs from the authors' code, whose instance norm learns no scale and shift: this is batch norm at batch 1.
        return nn.InstanceNorm2d(channels, affine=True)
    # Without running statistics, batch norm takes those of the batch at hand in eval mode too.
    return nn.BatchNorm2d(channels, track_running_stats=not options.test_as_trained)


def _coloured(source: Tensor, chroma: Tensor) -> Tensor:
    """The source in other colours.

    Args:
        source: (N, 3, H, W) in [-1, 1]; its lightness is kept.
        chroma: (N, 2, H, W) in [-1, 1]: a and b of CIE Lab, as shares of 110.

    Returns:
        (N, 3, H, W), in [-1, 1] where the colour can be shown.
    """
    with torch.autocast(source.device.type, enabled=False):  # bf16 is too coarse for lightness
        dtype = torch.promote_types(source.dtype, torch.float32)
        lightness = rgb_to_lab((source.to(dtype) + 1) / 2)[:, :1]
        lab = torch.cat([lightness, chroma.to(dtype) * _CHROMA], dim=1)
        coloured: Tensor = lab_to_rgb(lab, clip=False) * 2 - 1
    return coloured


def _initialise(module: nn.Module) -> None:
    """All weights from N(0, 0.02), those of a norm from N(1, 0.02) (section 6.2, and the authors' code)."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d | nn.InstanceNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)
