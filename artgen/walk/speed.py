"""How fast pictures of a walk change, and a timing under which they change at an even pace.

Latents at constant speed do not give pictures at constant speed: how fast these change is |J z'|, J the Jacobian of the
generator (Arvanitidis et al. 2018, arXiv 1710.11379); squared, it is what StyleGAN calls perceptual path length (Karras
et al. 2019, arXiv 1812.04948, section 4.1), and only few generators are trained to keep it even. So the walk is looked
at before it is filmed: distances between neighbouring pictures add up to a length along the walk, and equal times are
given to equal lengths. Nothing but the timing changes: the film has its frames, and the walk its pictures.

s: length along the walk, 0..1; p: position, 0..1; M: steps of a look.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, avg_pool2d, normalize

from artgen.training import Features
from artgen.videos import VideoOptions
from artgen.walk.curves import Curve, Values, on_grid

if TYPE_CHECKING:
    from artgen.walk.latents import Walk

Look = Callable[[Values], Iterator[Tensor]]
"""`look(positions)` yields pictures (n, 3, H, W) in [-1, 1], in batches of any size, in the order of positions (N,)."""

_STEPS_A_STRETCH = 16
_STEPS_OF_A_WALK = 128
_FEWEST_STEPS, _MOST_STEPS = 32, 4096
_LOOKS = 3
"""The first look, and the most that follow: each measures the timing that the one before it gave."""
_EVEN = 1.05
"""A walk whose fastest step is so much faster than its slowest is even enough."""
_STANDSTILL = 1e-4
"""A step in which pictures change less than this share of the mean counts for as much: time goes on."""
_LOOKED_AT_PX = 256


def distance(before: Tensor, after: Tensor, features: Features | None = None) -> Tensor:
    """How different pictures look, (N,): the differences of their features, in the manner of LPIPS.

    Each layer's activations are normalised over channels, squared differences averaged over positions and added over
    layers; the root of it is a distance (Zhang et al. 2018, arXiv 1801.03924, eq. 1, all channels weighing 1; there no
    root is taken, and so distances of small steps would not add up to that of a large one).

    Without features pictures are compared by themselves, at full size and at every half of it: mean squared differences
    of a pyramid of averages, added over its levels. That sees pixels at several scales, and not what they mean.

    Args:
        before: Pictures (N, 3, H, W) in [-1, 1].
        after: Likewise.
        features: A frozen network; on the device of the pictures.
    """
    return _apart(_seen(before, features), _seen(after, features))


def _seen(pictures: Tensor, features: Features | None) -> tuple[Tensor, ...]:
    """What is compared of pictures: per layer (N, C, h, w)."""
    pictures = pictures.float()
    if (side := min(pictures.shape[2:])) > _LOOKED_AT_PX:
        height, width = (round(_LOOKED_AT_PX * length / side) for length in pictures.shape[2:])
        pictures = adaptive_avg_pool2d(pictures, (height, width))
    with torch.no_grad():
        if features is not None:
            return tuple(normalize(layer.float(), dim=1) for layer in features(pictures))
        levels = [pictures]
        while min(levels[-1].shape[2:]) >= 4:
            levels.append(avg_pool2d(levels[-1], 2))
        return tuple(level / 3**0.5 for level in levels)  # the mean over channels, where features have the sum


def _apart(before: Sequence[Tensor], after: Sequence[Tensor]) -> Tensor:
    squares = [(x - y).square().sum(1).mean((1, 2)) for x, y in zip(before, after, strict=True)]  # (N,) each
    return torch.stack(squares).sum(0).sqrt()


@dataclass(frozen=True)
class Pace:
    """A timing of a walk, and how even it is by what was seen.

    Args:
        loops: The walk closes.
        lengths: Lengths along the walk, rising from 0 to 1.
        places: The position of each, rising from 0 to 1.
        before: How far pictures are apart over equal steps of positions, as shares of the mean.
        after: The same over equal steps of length.
    """

    loops: bool
    lengths: tuple[float, ...]
    places: tuple[float, ...]
    before: tuple[float, ...]
    after: tuple[float, ...]

    @property
    def ratio_before(self) -> float:
        """The largest step over the smallest, as the walk goes by itself."""
        return _ratio(self.before)

    @property
    def ratio_after(self) -> float:
        """The same, as it is timed here: measured, not foreseen."""
        return _ratio(self.after)

    def positions_at(self, lengths: Values) -> Values:
        """Positions (N,) at lengths (N,) in 0..1: a smooth curve that never goes back."""
        return self._curve(lengths).clip(0, 1)

    def lengths_at(self, positions: Values) -> Values:
        """The lengths (N,) at which positions (N,) in 0..1 are reached."""
        curve, low, high = self._curve, np.zeros(len(positions)), np.ones(len(positions))
        for _ in range(60):
            middle = (low + high) / 2
            short = curve(middle) < positions
            low, high = np.where(short, middle, low), np.where(short, high, middle)
        return np.where(positions >= 1, 1.0, np.where(positions <= 0, 0.0, high))

    @property
    def _curve(self) -> Curve:
        return _rising(self.loops, np.array(self.lengths), np.array(self.places))

    def to_json(self) -> dict[str, Any]:
        """As a value of JSON, which holds every bit."""
        return {
            "loops": self.loops,
            "lengths": list(self.lengths),
            "places": list(self.places),
            "before": list(self.before),
            "after": list(self.after),
        }

    @classmethod
    def from_json(cls, value: Any) -> Pace:
        """Back from such a value.

        Raises:
            ValueError: It is none.
        """
        try:
            loops, rows = value["loops"], {name: tuple(map(float, value[name])) for name in _ROWS}
        except (TypeError, KeyError, ValueError, OverflowError) as error:
            raise ValueError(f"this is no pace: {error}") from error
        lengths, places = np.array(rows["lengths"]), np.array(rows["places"])
        sound = (
            isinstance(loops, bool)
            and all(row and np.isfinite(row).all() and min(row) >= 0 for row in rows.values())
            and len(lengths) == len(places) >= 2
            and (np.diff(lengths) > 0).all()
            and (np.diff(places) >= 0).all()
            and {lengths[0], places[0]} == {0.0}
            and {lengths[-1], places[-1]} == {1.0}
        )
        if not sound:
            raise ValueError("this is no pace: lengths and places must rise from 0 to 1")
        return cls(loops, **rows)


_ROWS = ("lengths", "places", "before", "after")


def even_pace(look: Look, walk: Walk, options: VideoOptions, features: Features | None = None) -> Pace:
    """Time a walk so that its pictures change at an even pace.

    It is looked at in equal steps of positions, then in equal steps of the length that was found, which corrects it and
    measures how even it is; a third look does so again where that is not enough. The best that was measured is kept.
    Steps are a 16th of the way between keyframes, or a 128th of the walk where these are fewer than 8; or the film's
    frames, where they are fewer.

    Args:
        look: Shows the walk.
        walk: Its stretches, and whether it loops.
        options: How many frames the film has.
        features: What pictures are compared in (`distance`).
    """
    stretches = len(walk.knots) if walk.loops or len(walk.knots) == 1 else len(walk.knots) - 1
    steps = max(_STEPS_OF_A_WALK, _STEPS_A_STRETCH * stretches)
    steps = min(_MOST_STEPS, max(_FEWEST_STEPS, min(steps, options.frames)))
    even = on_grid(np.arange(steps + 1) / steps)
    pace = Pace(walk.loops, tuple(even.tolist()), tuple(even.tolist()), (), ())
    found: list[Pace] = []
    for _ in range(_LOOKS):
        # At keyframes too, where the walk may turn: across a corner is shorter than around it.
        lengths = np.union1d(even, on_grid(pace.lengths_at(walk.knots)))
        apart = _steps(look, pace.positions_at(lengths), walk.loops, features)
        grown = np.concatenate([[0.0], np.cumsum(apart)])
        measured = tuple((np.diff(grown[np.searchsorted(lengths, even)]) * steps).tolist())
        pace = replace(pace, before=found[0].before if found else measured, after=measured)
        found.append(pace)
        if pace.ratio_after <= _EVEN:
            break
        pace = _retimed(pace, lengths, apart)
    return min(found, key=lambda pace: pace.ratio_after)


def _steps(look: Look, positions: Values, loops: bool, features: Features | None) -> Values:
    """How far the pictures at neighbouring positions (M + 1,) are apart, (M,), as shares of all of it.

    Batches are compared as they come, and of what was shown nothing but the first and the last picture is kept. Of a
    loop the last position, which is the first, is not looked at again.
    """
    batches = (_seen(pictures, features) for pictures in look(positions[:-1] if loops else positions))
    first = batch = next(batches)
    found: list[Tensor] = [_apart(*_neighbours(batch))]
    for last, batch in itertools.pairwise(itertools.chain([first], batches)):
        found += [_apart([layer[-1:] for layer in last], [layer[:1] for layer in batch]), _apart(*_neighbours(batch))]
    if loops:
        found.append(_apart([layer[-1:] for layer in batch], [layer[:1] for layer in first]))
    apart: Values = torch.cat([part.double().cpu() for part in found]).numpy()
    length = apart.sum()
    return apart / length if length > 0 and np.isfinite(length) else np.diff(positions)


def _neighbours(batch: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    return [layer[:-1] for layer in batch], [layer[1:] for layer in batch]


def _ratio(apart: Sequence[float]) -> float:
    return max(apart) / max(min(apart), _STANDSTILL)


def _rising(loops: bool, places: Values, values: Values) -> Curve:
    """A curve from 0 to 1 at places from 0 to 1; of a loop it goes on without a kink from its end to its beginning."""
    if loops:  # the last is the first again
        return Curve(places[:-1], values[:-1], period=1.0, rise=1.0)
    return Curve(places, values)


def _retimed(pace: Pace, lengths: Values, apart: Values) -> Pace:
    """A pace, corrected by how far pictures at some of its lengths are apart."""
    grown = np.concatenate([[0.0], np.cumsum(np.maximum(apart, _STANDSTILL * np.diff(lengths)))])
    corrected = _rising(pace.loops, lengths, grown / grown[-1])
    # What earlier looks found within a step is kept: that is where the walk is slow.
    lengths = np.union1d(np.array(pace.lengths), lengths)
    rounded = on_grid(np.stack([corrected(lengths), pace.positions_at(lengths)]))
    rounded[:, 0], rounded[:, -1] = 0, 1
    kept = np.append(True, np.diff(rounded[0]) > 0) & (rounded[0] < 1)
    kept[-1] = True
    lengths, places = rounded[:, kept]
    return Pace(pace.loops, tuple(lengths.tolist()), tuple(places.tolist()), pace.before, pace.after)
