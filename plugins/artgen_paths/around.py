"""Around: on a large circle, on a small one, and as noise that wanders.

K: keyframes; N: positions; d: dimensions.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from artgen import RecipeError
from artgen.training import LatentSpace
from artgen.walk import Path
from artgen.walk.prior import combine, from_normal, norms, require_round, sums, to_normal
from artgen_paths import GreatCircleOptions, NoiseLoopOptions, OrbitOptions

_SMALLEST_SINE = 1e-6
"""Two directions are one if the angle between them has a smaller sine."""


class GreatCircle(Path):
    """The first keyframe turned in the plane of the first two, at constant speed and norm, all the way round.

    It has no meaning for a learned prior.
    """

    fewest = 2

    def __init__(self, options: GreatCircleOptions) -> None:
        pass

    def knots(self, count: int) -> Tensor:
        return torch.zeros(1, dtype=torch.float64)

    def __call__(self, space: LatentSpace, keyframes: Tensor, positions: Tensor) -> Tensor:
        require_round(space, "great-circle")
        first, second = to_normal(space, keyframes[:2])[:, None]
        across = _across(second, [first / norms(first)]) * norms(first)
        turn = _turns(positions)
        return from_normal(space, torch.cos(turn) * first + torch.sin(turn) * across, keyframes)


class Orbit(Path):
    """A small circle around the first keyframe, towards the second and the third, at constant speed and distance.

    All of it lies at one angle from the first keyframe, and has its norm. For a learned prior, which has no angles, it
    is a flat circle whose radius is as large against the distance to the other two: at 90 degrees they lie on it.
    """

    fewest = 3

    def __init__(self, options: OrbitOptions) -> None:
        self.angle = math.radians(options.degrees)

    def knots(self, count: int) -> Tensor:
        return torch.zeros(1, dtype=torch.float64)

    def __call__(self, space: LatentSpace, keyframes: Tensor, positions: Tensor) -> Tensor:
        centre, *others = to_normal(space, keyframes[:3])[:, None]
        if space.prior == "learned":
            others = [other - centre for other in others]
            radius = math.sqrt(2) * math.sin(self.angle / 2) * sum(norms(other) for other in others) / 2
            ahead = _across(others[0], [])
            across = _across(others[1], [ahead])
        else:
            length = norms(centre)
            radius, inwards = math.sin(self.angle) * length, centre / length
            ahead = _across(others[0], [inwards])
            across = _across(others[1], [inwards, ahead])
            centre = math.cos(self.angle) * centre
        turn = _turns(positions)
        return from_normal(space, centre + radius * (torch.cos(turn) * ahead + torch.sin(turn) * across), keyframes)


class NoiseLoop(Path):
    """Past the keyframes, which are noise that is smoothed in time: the walk of Karras et al. 2018, section A.

    Differs from the paper's code: the filter is a von Mises density, which is a Gaussian that closes on a circle, and
    each position is divided by its own sum of squares, so the variance is 1 exactly and not on the average. Of a
    learned prior it is the weighted mean, which is nearer to the middle than a keyframe is.
    """

    def __init__(self, options: NoiseLoopOptions) -> None:
        self.smoothing = options.smoothing

    def __call__(self, space: LatentSpace, keyframes: Tensor, positions: Tensor) -> Tensor:
        count = len(keyframes)
        concentration = (count / (2 * math.pi * self.smoothing)) ** 2
        turns = _turns(positions) - _turns(self.knots(count))[:, 0]
        weights = torch.exp(concentration * (torch.cos(turns) - 1))  # (N, K)
        return combine(space, keyframes, weights / sums(weights))


def _turns(positions: Tensor) -> Tensor:
    """Angles (N, 1) of positions (N,), once around."""
    return 2 * math.pi * positions.double()[:, None]


def _across(latent: Tensor, directions: list[Tensor]) -> Tensor:
    """What of a latent (1, d) is orthogonal to some directions of norm 1, as a direction (Gram-Schmidt).

    Raises:
        RecipeError: Nothing is.
    """
    rest = latent
    for direction in directions * 2:  # once more, for what rounding left over
        rest = rest - direction * sums(rest * direction)
    length = norms(rest)
    if not length > _SMALLEST_SINE * norms(latent):
        raise RecipeError(
            "its keyframes lie in one direction, and so span no circle",
            place="keyframes",
            remedy="Name other keyframes, or another seed; latents of one or two numbers have no circles.",
        )
    return rest / length
