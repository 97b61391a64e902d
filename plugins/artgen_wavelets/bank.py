"""Rectified wavelets (after Brochard, Zhang and Mallat 2022, arXiv 2203.07902), on colours and of two orders.

What makes a texture is seen in how the answers of a few directed filters vary together, if they are rectified. The
paper does so for grey pictures, with Morlet wavelets in Fourier space. Here they are small filters on a Gaussian
pyramid, on opponent colours, so a picture can be taken in tiles; and the strength of an answer is filtered again, as in
a scattering network (Bruna and Mallat 2013), which tells how strokes lie beside each other.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad, pixel_shuffle, pixel_unshuffle

from artgen import DataError
from artgen.nn.pixels import blur
from artgen.training import Features
from artgen_wavelets import WaveletsOptions

SMALLEST_PX = 7
"""Octaves have at least so many positions a side. A tile with its margin has more, if it is no tiny one."""
OPPONENT = ((1, 1, 1), (1, -1, 0), (1, 1, -2))
"""Lightness, red against green, yellow against blue: of RGB, before they get unit length."""
SECOND_ANGLES = 4


class Wavelets(Features):
    """A bank of rectified wavelets of several octaves. Nothing is learnt."""

    opponent: Tensor
    first: Tensor
    second: Tensor

    def __init__(self, options: WaveletsOptions) -> None:
        super().__init__()
        self.second_order = options.second_order
        self.layers = self.style_layers = tuple(f"octave{number + 1}" for number in range(options.octaves))
        self.strides = tuple(2**number for number in range(options.octaves))
        # No activation looks so far; but a tile, like a picture, has an octave only where that has `SMALLEST_PX`.
        self.reach_px = (SMALLEST_PX - 1) * self.strides[-1]
        opponent = torch.tensor(OPPONENT, dtype=torch.float32)
        self.register_buffer("opponent", opponent / opponent.norm(dim=1, keepdim=True), persistent=False)
        self.register_buffer("first", in_phases(wavelets(options.angles, 7, 1.5)), persistent=False)
        self.register_buffer("second", in_phases(wavelets(SECOND_ANGLES, 5, 1.1)), persistent=False)

    def forward(self, pictures: Tensor) -> tuple[Tensor, ...]:
        """Answers in each octave, finest first, of pictures (N, 3, H, W) in [-1, 1].

        With 6 angles, maps 1 to 3 are the opponent colours themselves, 4 to 27 what lightness answers to 12 filters,
        positive parts first. That is all of the finest octave, (N, 27, H, W). In the others the answers of the two
        colours follow, up to 75, and those of the second order, up to 171.

        Raises:
            DataError: The pictures are smaller than 7 px on a side.
        """
        if min(pictures.shape[2:]) < SMALLEST_PX:
            raise DataError(
                f"pictures of {pictures.shape[3]}x{pictures.shape[2]} px are too small",
                place="features.wavelets",
                remedy=f"It needs {SMALLEST_PX} px a side: raise `resolution`.",
            )
        colours = torch.einsum("oc,nchw->nohw", self.opponent, (pictures + 1) / 2).contiguous()
        activations: list[Tensor] = []
        strength = None
        while len(activations) < len(self.layers) and min(colours.shape[2:]) >= SMALLEST_PX:
            light = filtered(colours[:, :1], self.first)  # (N, 2 * angles, h, w)
            maps = [colours, light.relu(), (-light).relu()]
            # Differs from the paper: colours, from the second octave on. Finer ones cost most, and teach fringes.
            if activations:
                tints = filtered(colours[:, 1:], self.first)
                maps += [tints.relu(), (-tints).relu()]
            if strength is not None:
                again = filtered(strength, self.second)
                maps += [again.relu(), (-again).relu()]
            activations.append(torch.cat([x.to(light.dtype) for x in maps], dim=1))
            if self.second_order:
                even, odd = light.chunk(2, dim=1)
                strength = blur((even.square() + odd.square() + 1e-6).sqrt(), stride=2)
            colours = blur(colours, stride=2)
        return tuple(activations)


def wavelets(angles: int, side_px: int, sigma_px: float) -> Tensor:
    """Even filters in `angles` directions, then the odd ones: (2 * angles, 1, side_px, side_px), each of unit norm.

    Waves of 3.6 px under a Gaussian that is longer along their crests. No filter answers to an even area.
    """
    steps = torch.arange(side_px, dtype=torch.float64) - side_px // 2
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    evens, odds = [], []
    for number in range(angles):
        t = math.pi * number / angles
        across, along = x * math.cos(t) + y * math.sin(t), y * math.cos(t) - x * math.sin(t)
        envelope = (-(across.square() + (0.6 * along).square()) / (2 * sigma_px**2)).exp()
        wave = 0.55 * math.pi * across
        even = envelope * wave.cos()
        evens.append(even - envelope * even.sum() / envelope.sum())
        odds.append(envelope * wave.sin())
    bank = torch.stack(evens + odds).unsqueeze(1)
    unit: Tensor = bank / bank.norm(dim=(2, 3), keepdim=True)
    return unit.float()


def in_phases(bank: Tensor) -> Tensor:
    """A bank (F, 1, side, side) for pictures whose 2x2 pixels lie in 4 channels: (4 * F, 4, ...), see `filtered`."""
    shifted = [pad(bank, (x, 1 - x, y, 1 - y)) for y in (0, 1) for x in (0, 1)]
    return pixel_unshuffle(torch.stack(shifted, dim=1).flatten(0, 1), 2)  # of (4 * F, 1, side + 1, side + 1)


def filtered(maps: Tensor, phases: Tensor) -> Tensor:
    """Each map (N, C, h, w) under each filter of a bank: (N, C * F, h, w). The border reflects.

    One channel in and few out is what convolutions are slowest at. So 2x2 pixels become 4 channels, filters are there
    4 times, once for each place in these, and the answers are put in their places again: the same sums, a third of the
    time.
    """
    count, _, height, width = maps.shape
    margin = phases.shape[-1] - 1
    right, bottom = margin + width % 2, margin + height % 2
    single = pad(maps, (margin, right, margin, bottom), mode="reflect").flatten(0, 1).unsqueeze(1)  # (N * C, 1, ...)
    answers = pixel_shuffle(conv2d(pixel_unshuffle(single, 2), phases), 2)
    return answers[..., :height, :width].reshape(count, -1, height, width)
