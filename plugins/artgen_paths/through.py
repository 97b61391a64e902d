"""Through all keyframes in turn: on straight lines, along great circles, on a spline.

K: keyframes; N: positions.
"""

from __future__ import annotations

import torch
from torch import Tensor

from artgen.training import LatentSpace
from artgen.walk import Path
from artgen.walk.prior import combine, from_normal, norms, require_round, sums, to_normal
from artgen_paths import SlerpOptions, SplineOptions, StraightOptions

_WINDOW = 64
"""Keyframes that a position of a spline is computed from, at most: others count for less than the last bit."""


class Straight(Path):
    """Straight lines whose variance is mended, so that they keep to the prior; of a learned one plain straight lines.

    The angle is not swept evenly: halfway between two independent keyframes twice as fast as at either.
    """

    def __init__(self, options: StraightOptions) -> None:
        self.loops = options.loop

    def __call__(self, space: LatentSpace, keyframes: Tensor, positions: Tensor) -> Tensor:
        count = len(keyframes)
        before, after, share = _between(count, positions, self.loops)
        shown = torch.eye(count, dtype=torch.float64)
        return combine(space, keyframes, (1 - share) * shown[before] + share * shown[after])


class Slerp(Path):
    """Great circles: Shoemake 1985; White 2016, arXiv 1609.04468. The shortest way, which turns at each keyframe.

    The norm goes linearly from that of one keyframe to that of the next. It has no meaning for a learned prior.
    """

    def __init__(self, options: SlerpOptions) -> None:
        self.loops = options.loop

    def __call__(self, space: LatentSpace, keyframes: Tensor, positions: Tensor) -> Tensor:
        require_round(space, "slerp")
        normal = to_normal(space, keyframes)
        lengths = norms(normal)
        directions = normal / lengths
        before, after, share = _between(len(keyframes), positions, self.loops)
        angle = torch.acos(sums(directions * directions.roll(-1, 0)).clamp(-1, 1))[before]
        sine = torch.sin(angle)
        straight = sine < 1e-6  # the same direction again: there is no circle
        share_before = torch.where(straight, 1 - share, torch.sin((1 - share) * angle) / sine)
        share_after = torch.where(straight, share, torch.sin(share * angle) / sine)
        direction = share_before * directions[before] + share_after * directions[after]
        return from_normal(space, direction * ((1 - share) * lengths[before] + share * lengths[after]), keyframes)


class Spline(Path):
    """A cubic spline: velocity and acceleration have no jump, the seam of a loop included.

    Between keyframes its variance is mended, so that it keeps to the prior. An open one has natural ends: no
    acceleration there. Not-a-knot ends, SciPy's default, need four keyframes and swing further out in the first and the
    last stretch.
    """

    def __init__(self, options: SplineOptions) -> None:
        self.loops = options.loop

    def __call__(self, space: LatentSpace, keyframes: Tensor, positions: Tensor) -> Tensor:
        return combine(space, keyframes, spline_weights(len(keyframes), positions, self.loops))


def _between(count: int, positions: Tensor, loops: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Which keyframe comes before each position, and which after it, (N,), and what share of that way is gone, (N, 1).

    At the last position of a loop it is the first keyframe again.
    """
    at = positions.double() * (count if loops else count - 1)
    stretch = at.floor() if loops else at.floor().clamp(0, max(0, count - 2))
    before, share = stretch.long(), (at - stretch)[:, None]
    if loops:
        return before % count, (before + 1) % count, share
    return before, (before + 1).clamp(max=count - 1), share


def spline_weights(count: int, positions: Tensor, loops: bool) -> Tensor:
    """Weights (N, K) by which a cubic spline through K evenly spaced knots combines them; they add up to 1.

    Of many knots only those near by are looked at: what a knot counts for falls by 0.27 with each one between.
    """
    before, after, share = _between(count, positions, loops)
    near = min(count, _WINDOW)
    first = torch.zeros_like(before)  # knot at which the window of each position begins
    if count > near:
        first = before - near // 2
        first = first if loops else first.clamp(0, count - near)
    curvature = _curvature(near, loops and count == near)
    knots = torch.eye(near, dtype=torch.float64)
    here, there, rest = (before - first) % count, (after - first) % count, 1 - share
    chords = rest * knots[here] + share * knots[there]
    bulge = ((rest**3 - rest) * curvature[here] + (share**3 - share) * curvature[there]) / 6
    weights = torch.zeros(len(positions), count, dtype=torch.float64)
    return weights.scatter_(1, (first[:, None] + torch.arange(near)) % count, chords + bulge)


def _curvature(count: int, loops: bool) -> Tensor:
    """Second derivatives (K, K) at the knots, 1 apart, of the splines that are 1 at one knot and 0 at the others.

    Continuity of the slope at each knot: m_(k-1) + 4 m_k + m_(k+1) = 6 (y_(k-1) - 2 y_k + y_(k+1)), m the second
    derivatives; with the unit vectors as y, all are solved for at once. Where it does not loop, m is 0 at both ends.
    """
    knots = torch.eye(count, dtype=torch.float64)
    beside = knots.roll(1, 0) + knots.roll(-1, 0)
    left, right = 4 * knots + beside, 6 * (beside - 2 * knots)
    if not loops:
        left[[0, -1]], right[[0, -1]] = knots[[0, -1]], 0.0
    curvature: Tensor = torch.linalg.solve(left, right)
    return curvature
