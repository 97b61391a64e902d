"""Paths through a latent space, as pure functions: keyframes and positions in, latents out. They know no network.

Latents of a prior live on a shell, and a generator has seen nothing else: halfway between two draws from N(0, I) in 512
dimensions, their mean is 9 deviations nearer to the origin than any draw. So each path here keeps to the prior. What is
combined is Gaussian: latents of a sphere are, up to their norm; uniform ones are mapped to it and back, coordinate by
coordinate (a Gaussian copula). A combination of independent draws with weights a_i has unit variance when it is divided
by sqrt(sum a_i^2) (Agustsson et al. 2019, arXiv 1711.01970; Bodin et al. 2024, arXiv 2408.08558).

Every path is a loop. It is walked once as positions go from 0 to 1, and 1 is where 0 is; keyframe k of K belongs to
k / K. N frames are at i / N: the first is not shown twice.

K: keyframes; N: positions; d: dimensions. All is computed in float64, and each position by itself, so that a latent
does not depend on which others are asked for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Literal

import torch
from torch import Tensor

from artgen.training import LatentSpace

PathName = Literal["spline", "great-circle", "noise-loop", "orbit"]

Path = Callable[[LatentSpace, Tensor, Tensor], Tensor]
"""`path(space, keyframes (K, *space.shape), positions (N,)) -> latents (N, *space.shape)`, of the keyframes' type."""

_NOISE_WIDTH = 1.0
"""Deviation of the filter of a noise loop, in keyframes."""
_MOST_UNIFORM = 1 - 2**-25
"""Uniform latents end here: at 1 their Gaussian would be infinite."""


def spline(space: LatentSpace, keyframes: Tensor, positions: Tensor) -> Tensor:
    """Through all keyframes in turn, by a periodic cubic spline: nowhere, the seam included, does velocity jump."""
    return _combined(space, keyframes, _cardinal_splines(len(keyframes), positions))


def noise_loop(space: LatentSpace, keyframes: Tensor, positions: Tensor) -> Tensor:
    """Past the keyframes, which are noise that is smoothed in time: the walk of Karras et al. 2018, section A.

    Differs from the paper's code: the filter is a von Mises density, which is a Gaussian that closes on a circle, and
    each position is divided by its own sum of squares, so the variance is 1 exactly and not on the average.
    """
    count = len(keyframes)
    turns = positions.double()[:, None] - torch.arange(count).double() / count
    concentration = (count / (2 * math.pi * _NOISE_WIDTH)) ** 2
    return _combined(space, keyframes, torch.exp(concentration * (torch.cos(2 * math.pi * turns) - 1)))


def great_circle(space: LatentSpace, keyframes: Tensor, positions: Tensor) -> Tensor:
    """Through all keyframes in turn, along great circles (slerp): the shortest way, which turns at each keyframe.

    The norm goes linearly from that of one keyframe to that of the next.
    """
    normal = _to_normal(space, keyframes)
    norms = normal.norm(dim=1, keepdim=True)
    directions, (segment, share) = normal / norms, _segments(len(keyframes), positions)
    following = (segment + 1) % len(keyframes)
    cosines = (directions * directions.roll(-1, 0)).sum(1, keepdim=True).clamp(-1, 1)
    angle = torch.acos(cosines)[segment]
    sine = torch.sin(angle)
    straight = sine < 1e-6  # the same direction again: there is no circle
    before = torch.where(straight, 1 - share, torch.sin((1 - share) * angle) / sine)
    after = torch.where(straight, share, torch.sin(share * angle) / sine)
    direction = before * directions[segment] + after * directions[following]
    return _from_normal(space, direction * ((1 - share) * norms[segment] + share * norms[following]), keyframes)


def orbit(space: LatentSpace, keyframes: Tensor, positions: Tensor) -> Tensor:
    """The first keyframe turned in the plane of the first two, at constant speed and norm."""
    if len(keyframes) < 2:
        raise ValueError("an orbit needs 2 keyframes")
    first, second = _to_normal(space, keyframes[:2])
    across = second - first * ((first * second).sum() / first.square().sum())  # Gram-Schmidt
    across = across * (first.norm() / across.norm())
    turn = 2 * math.pi * positions.double()[:, None]
    return _from_normal(space, torch.cos(turn) * first + torch.sin(turn) * across, keyframes)


PATHS: Mapping[PathName, Path] = {
    "spline": spline,
    "great-circle": great_circle,
    "noise-loop": noise_loop,
    "orbit": orbit,
}


def _combined(space: LatentSpace, keyframes: Tensor, weights: Tensor) -> Tensor:
    """Keyframes weighted by (N, K), with the variance of one of them where they are independent."""
    normal = _to_normal(space, keyframes)
    weights = weights / weights.square().sum(1, keepdim=True).sqrt()
    # Not as a product of matrices: that rounds otherwise for other numbers of positions.
    total = torch.zeros(len(weights), normal.shape[1], dtype=torch.float64)
    for weight, keyframe in zip(weights.T, normal, strict=True):
        total += weight[:, None] * keyframe
    return _from_normal(space, total, keyframes)


def _segments(count: int, positions: Tensor) -> tuple[Tensor, Tensor]:
    """Which keyframe comes before each position, (N,), and what share of the way to the next is gone, (N, 1)."""
    at = positions.double() * count
    segment = at.floor()
    return segment.long() % count, (at - segment)[:, None]


def _cardinal_splines(count: int, positions: Tensor) -> Tensor:
    """Weights (N, K) by which a periodic cubic spline combines its knots; knots are 1 apart here."""
    segment, share = _segments(count, positions)
    # Continuity of the slope at each knot: m_(k-1) + 4 m_k + m_(k+1) = 6 (y_(k-1) - 2 y_k + y_(k+1)), m the second
    # derivatives; with the unit vectors as y, all weights are solved for at once.
    knots = torch.eye(count, dtype=torch.float64)
    beside = knots.roll(1, 0) + knots.roll(-1, 0)
    curvature = torch.linalg.solve(4 * knots + beside, 6 * (beside - 2 * knots))
    following = (segment + 1) % count
    rest = 1 - share
    chords = rest * knots[segment] + share * knots[following]
    bulge: Tensor = ((rest**3 - rest) * curvature[segment] + (share**3 - share) * curvature[following]) / 6
    return chords + bulge


def _to_normal(space: LatentSpace, latents: Tensor) -> Tensor:
    """Latents as (K, d), Gaussian in each coordinate."""
    flat = latents.flatten(1).double()
    if space.prior != "uniform":
        return flat
    normal: Tensor = torch.special.ndtri((flat.clamp(-_MOST_UNIFORM, _MOST_UNIFORM) + 1) / 2)
    return normal


def _from_normal(space: LatentSpace, normal: Tensor, like: Tensor) -> Tensor:
    """Back from (N, d) to the prior, the shape and the type of latents."""
    if space.prior == "uniform":
        normal = 2 * torch.special.ndtr(normal) - 1
    elif space.prior == "sphere":
        normal = normal * (normal.shape[1] ** 0.5 / normal.norm(dim=1, keepdim=True))
    return normal.view(-1, *space.shape).to(like)
