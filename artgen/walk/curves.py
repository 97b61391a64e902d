"""Smooth curves through points that never overshoot: Fritsch & Carlson 1980 (PCHIP)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

Values = NDArray[np.float64]

_WRAPPED = 3
"""Points that are repeated on either side of a period; slopes look at one."""

GRID = 2.0**40
"""Positions are rounded to a part of this, so that the last bits of a machine's arithmetic do not matter."""


class Curve:
    """A curve through points, with a continuous slope, that rises where they rise and falls where they fall.

    Args:
        places: (n,), rising.
        values: (n,).
        period: After so much the points come again, and the curve goes on without a kink.
        rise: What is added to the values with each period.

    Values are computed place by place, so one does not depend on which others are asked for.
    """

    def __init__(self, places: Values, values: Values, *, period: float | None = None, rise: float = 0.0) -> None:
        if period is not None:
            count = len(places)
            index = np.arange(-_WRAPPED, count + _WRAPPED)
            turns = index // count
            places, values = places[index % count] + turns * period, values[index % count] + turns * rise
        self._constant = float(values[0])
        self._curve = PchipInterpolator(places, values) if len(places) > 1 else None

    def __call__(self, places: Values) -> Values:
        """Values (N,) at places (N,)."""
        if self._curve is None:
            return np.full(np.shape(places), self._constant)
        found: Values = self._curve(places)
        return found


def on_grid(positions: Values) -> Values:
    """Positions, rounded to a part of `GRID`."""
    rounded: Values = np.round(positions * GRID) / GRID
    return rounded
