"""How anything is written on the page: escaped text, numbers, times. Nothing else puts a value into HTML."""

from __future__ import annotations

import html
import itertools
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

_LARGEST = 1e100
"""A figure beyond it says no more than that it has left all bounds, and its square would leave the floats."""

# Control characters and halves of surrogate pairs may not stand in a document; marks that turn the direction of
# writing could make a recipe read otherwise than it is.
_UNFIT = re.compile("[\0-\b\v\f\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")


def text(value: object, longest: int = 400) -> str:
    """A value as HTML text that is safe between tags and in quoted attributes; cut after `longest` characters."""
    raw = value if isinstance(value, str) else str(value)
    cut = raw if len(raw) <= longest else raw[: longest - 1] + "…"
    return html.escape(_UNFIT.sub("\ufffd", cut))


def finite(value: object) -> float | None:
    """The number that a JSON value is, or None: not a number, not finite, or beyond 1e100."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if -_LARGEST < value < _LARGEST else None


def figure(value: float) -> str:
    """A figure with four significant digits: 0.01235, 12.35, 12,346, 1.235e+09."""
    if value and not 1e-4 <= abs(value) < 1e9:
        return f"{value:.3e}"
    return f"{value:,.0f}" if abs(value) >= 1e4 else f"{value:.4g}"


def short(value: float) -> str:
    """A number for the tick of an axis: 0.25, 40k, 1.2M."""
    for unit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if unit <= abs(value) < 1e12:
            return f"{value / unit:.6g}{letter}"
    return f"{value:.6g}"


def count(value: object, one: str, many: str = "") -> str:
    """So many of something: 1 image, 40,000 images."""
    number = finite(value) or 0
    return f"{number:,.0f} {one if number == 1 else many or one + 's'}"


def duration(seconds: float) -> str:
    """A time in its two largest units: 3 h 12 min."""
    whole = max(0, round(seconds))
    units = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
    for (size, name), (next_size, next_name) in itertools.pairwise(units):
        if whole >= size:
            rest = whole % size // next_size
            return f"{whole // size:,} {name}" + (f" {rest} {next_name}" if rest else "")
    return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"


def moment(value: object) -> datetime | None:
    """The time that `run.json` wrote down, in UTC, or None."""
    try:
        read = datetime.fromisoformat(value) if isinstance(value, str) else None
        return read and (read.astimezone(UTC) if read.tzinfo else read.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        return None


def when(value: datetime) -> str:
    """A time to the minute."""
    return f"{value:%Y-%m-%d %H:%M}"


def plain(value: Any) -> str:
    """Any JSON value as escaped text in one line."""
    if isinstance(value, dict):
        return listed(f"{key}: {one}" for key, one in value.items())
    if isinstance(value, (list, tuple)):
        return listed(value)
    return text(value)


def listed(values: Iterable[object], most: int = 60) -> str:
    """Escaped values with commas between them; past `most` it says how many more there are."""
    every = list(values)
    more = [f"and {len(every) - most:,} more"] if len(every) > most else []
    return ", ".join([*(text(value, 120) for value in every[:most]), *more])
