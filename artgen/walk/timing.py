"""When a walk is where: from frames of a film to positions.

T: seconds of the film; s: length along the walk, 0..1; p: position, 0..1. A frame has a time, which lies in a stretch
between two keyframes; its share of that stretch, eased, is a share of the stretch's length; and a length is a position.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from artgen.errors import RecipeError
from artgen.videos import Easing, KeyframeOptions, VideoOptions
from artgen.walk.curves import Values, on_grid

if TYPE_CHECKING:
    from artgen.walk.latents import Walk
    from artgen.walk.speed import Pace

EASINGS: Mapping[Easing, Callable[[Values], Values]] = {
    "linear": lambda share: share,
    "ease-in": lambda share: share * share * (3 - share) / 2,
    "ease-out": lambda share: share * (3 - share * share) / 2,
    "ease-in-out": lambda share: share * share * (3 - 2 * share),
}
"""Share of the time of a stretch -> share of its length. `ease-in-out` is smoothstep, whose speed is 0 at both ends;
`ease-in` and `ease-out` are its first and its second half, drawn out to all of the stretch."""


class Timetable:
    """Where a walk is in each frame of a film.

    Frame i of N is at i/N of the time of a loop, so that the first is not shown twice; at i/(N - 1) of a walk that ends
    elsewhere. Stretches take the seconds that their keyframes say; the others share what is left, by their lengths. So
    where none says any, and nothing is eased, the walk has one speed all the way.

    Args:
        walk: Its stretches, and whether it loops.
        options: How long the film is, and each stretch, and how it is eased.
        pace: Lengths, measured by how pictures change; None: length is the position itself.

    Raises:
        RecipeError: Seconds of stretches do not fit the film, or belong to no stretch.
    """

    def __init__(self, walk: Walk, options: VideoOptions, pace: Pace | None = None) -> None:
        self.frames, self.loops, self.pace = options.frames, walk.loops, pace
        bounds = walk.knots if walk.knots[-1] == 1 else np.append(walk.knots, 1.0)
        self.lengths = bounds if pace is None else pace.lengths_at(bounds)
        seconds, self.easings = _stretches(options, len(bounds) - 1, len(walk.knots))
        self.times = _times(seconds, np.diff(self.lengths), options)

    def positions(self) -> Values:
        """Positions (frames,) in 0..1."""
        return self.positions_at(np.arange(self.frames) / max(1, self.frames if self.loops else self.frames - 1))

    def positions_at(self, times: Values) -> Values:
        """Positions (N,) in 0..1 at times (N,), 0..1 of the film."""
        stretch = np.clip(np.searchsorted(self.times, times, side="right") - 1, 0, len(self.easings) - 1)
        begins, ends = self.times[stretch], self.times[stretch + 1]
        share = np.divide(times - begins, ends - begins, out=np.zeros(len(times)), where=ends > begins).clip(0, 1)
        eased = np.zeros(len(times))
        for name, ease in EASINGS.items():
            here = np.array([easing == name for easing in self.easings])[stretch]
            eased[here] = ease(share[here])
        lengths = self.lengths[stretch] + eased * (self.lengths[stretch + 1] - self.lengths[stretch])
        positions = lengths if self.pace is None else self.pace.positions_at(lengths)
        return on_grid(positions)


def _stretches(options: VideoOptions, stretches: int, knots: int) -> tuple[list[float | None], tuple[Easing, ...]]:
    """Seconds of each stretch, where its keyframe tells them, and its easing."""
    keyframes: tuple[KeyframeOptions, ...] = () if isinstance(options.keyframes, int) else options.keyframes
    told = [index for index, key in enumerate(keyframes) if key.seconds is not None or key.easing is not None]
    if told and knots != len(keyframes):
        raise RecipeError(
            "its path does not come by its keyframes in turn, so there is no way from one to the next to be timed",
            place=f"keyframes.{told[0]}",
            remedy="Take `seconds` and `easing` of keyframes away, or choose another path.",
        )
    if told and told[-1] >= stretches:
        raise RecipeError(
            "the walk ends at its last keyframe, so no way to a next one can be timed",
            place=f"keyframes.{told[-1]}",
            remedy="Take `seconds` and `easing` of that keyframe away, or let the walk loop.",
        )
    if not told:
        return [None] * stretches, (options.easing,) * stretches
    timed = keyframes[:stretches]
    return [key.seconds for key in timed], tuple(key.easing or options.easing for key in timed)


def _times(seconds: list[float | None], lengths: Values, options: VideoOptions) -> Values:
    """Times, 0..1 of the film, between stretches: (stretches + 1,)."""
    told = sum(given for given in seconds if given is not None)
    silent = np.array([given is None for given in seconds])
    rest = options.seconds - told
    frame = 1 / float(options.frames_per_second)
    if not silent.any() and abs(rest) > frame / 2:
        raise RecipeError(
            f"the ways between its keyframes take {told:g} seconds, and the film {options.seconds:g}",
            place="seconds",
            remedy=f"Write seconds = {told:g}, or leave `seconds` of one of the keyframes out.",
        )
    if silent.any() and rest <= 0:
        raise RecipeError(
            f"ways between its keyframes take {told:g} of the film's {options.seconds:g} seconds, which leaves nothing "
            "for the others",
            place="seconds",
            remedy=f"Write more than seconds = {told:g}.",
        )
    shares = np.where(silent, lengths, 0.0)
    if silent.any() and not shares.sum():
        shares = silent.astype(np.float64)  # nothing changes in any of them: an equal share each
    shares = shares / max(shares.sum(), np.finfo(np.float64).tiny)
    lasts = [share * rest if given is None else given for given, share in zip(seconds, shares.tolist(), strict=True)]
    times: Values = np.concatenate([[0.0], np.cumsum(lasts)])
    times /= times[-1]
    return times
