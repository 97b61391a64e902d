"""Curves as inline SVG: means of at most 120 bins, a pale band for what lies between a bin's extremes.

Colours are the page's CSS variables, so that a curve follows the light or dark mode of its reader.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from artgen_report.words import figure, short, text

MOST_BINS = 120
MOST_LINES = 8
_WIDTH, _HEIGHT = 480, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 54, 14, 12, 40
_PLOT_WIDTH, _PLOT_HEIGHT = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
_ROOM = 4
_FEW = 40
"""Up to so many points each gets a dot."""

Point = tuple[float, float]


@dataclass(frozen=True)
class Line:
    """One curve: its name, and (images shown, value) in the order of time; all finite."""

    name: str
    points: Sequence[Point]


@dataclass(frozen=True)
class Bin:
    """Neighbouring points: their mean place and value, and the extremes of the value."""

    x: float
    mean: float
    low: float
    high: float


def bins(points: Sequence[Point], most: int = MOST_BINS) -> list[Bin]:
    """Group points into at most `most` bins of equal counts; fewer points are a bin each."""
    total, groups = len(points), min(len(points), most)
    return [_bin(points[total * index // groups : total * (index + 1) // groups]) for index in range(groups)]


def _bin(points: Sequence[Point]) -> Bin:
    values = [value for _, value in points]
    return Bin(
        x=math.fsum(x for x, _ in points) / len(points),
        mean=math.fsum(values) / len(values),
        low=min(values),
        high=max(values),
    )


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers from `low` to `high`: steps of 1, 2, 2.5 or 5 times a power of ten."""
    raw = (high - low) / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = power * next(factor for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * (1 - 1e-9))
    return [index * step for index in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def limits(values: Iterable[float]) -> tuple[float, float]:
    """The stretch of values to show: all of it, but not what lies far from nearly all others.

    A single spike would press the rest of the curve flat. So the stretch reaches at most once the spread of the middle
    98 % beyond that middle.
    """
    every = sorted(values)
    low, high = every[len(every) // 100], every[-1 - len(every) // 100]
    spread = high - low
    low, high = max(every[0], low - spread), min(every[-1], high + spread)
    middle, half = (low + high) / 2, (high - low) / 2
    # The margin keeps the line off the frame; the floor gives a constant a place, and the ticks digits to differ in.
    half = max(1.05 * half, 1e-6 * abs(middle))
    half = half if half > 1e-30 else 1.0
    return middle - half, middle + half


def chart(title: str, lines: Sequence[Line], marks: Sequence[float] = ()) -> str:
    """One figure with the curves of a quantity, their axes, and a legend that gives last, lowest and highest value.

    Args:
        title: What is drawn.
        lines: Curves with one point or more each; past the eighth they are left out.
        marks: Images shown at which a phase began; a dotted upright each.
    """
    shown = lines[:MOST_LINES]
    binned = [bins(line.points) for line in shown]
    frame = _frame(binned)
    curves = "".join(_curve(frame, number, every) for number, every in enumerate(binned))
    legend = "".join(_legend(number, line) for number, line in enumerate(shown))
    if len(lines) > MOST_LINES:
        legend += f"<li>and {len(lines) - MOST_LINES} more in metrics.jsonl</li>"
    return (
        f'<figure class="curve"><h3>{text(title)}</h3>'
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{text(title)}">{_axes(frame)}'
        # An inner svg cuts off what lies outside of its box, which has room for half a dot around the plot.
        f'<svg x="{_LEFT - _ROOM}" y="{_TOP - _ROOM}" width="{_PLOT_WIDTH + 2 * _ROOM}" '
        f'height="{_PLOT_HEIGHT + 2 * _ROOM}" '
        f'viewBox="-{_ROOM} -{_ROOM} {_PLOT_WIDTH + 2 * _ROOM} {_PLOT_HEIGHT + 2 * _ROOM}">'
        f'{_uprights(frame, marks)}{curves}</svg></svg><ul class="legend">{legend}</ul></figure>'
    )


@dataclass(frozen=True)
class _Frame:
    """The values at the edges of the plot, and where in it a value lies."""

    first: float
    last: float
    low: float
    high: float

    def across(self, x: float) -> float:
        return (x - self.first) / (self.last - self.first) * _PLOT_WIDTH

    def down(self, y: float) -> float:
        # A browser need not bear a spike a billion times the height of the plot.
        return min(max((self.high - y) / (self.high - self.low), -9), 9) * _PLOT_HEIGHT

    def place(self, x: float, y: float) -> str:
        return f"{self.across(x):.1f},{self.down(y):.1f}"


def _frame(binned: Sequence[Sequence[Bin]]) -> _Frame:
    low, high = limits(edge for every in binned for one in every for edge in (one.low, one.high))
    places = [one.x for every in binned for one in every]
    first, last = min(0.0, *places), max(places)  # from 0 on, so that the charts of a run can be compared
    return _Frame(first, last if last > first else first + max(1.0, abs(first)), low, high)


def _axes(frame: _Frame) -> str:
    floor, right = _TOP + _PLOT_HEIGHT, _LEFT + _PLOT_WIDTH
    parts = []
    for y in ticks(frame.low, frame.high):
        height = _TOP + frame.down(y)
        parts.append(f'<path class="grid" d="M{_LEFT} {height:.1f}H{right}"/>')
        parts.append(f'<text class="y" x="{_LEFT - 8}" y="{height + 4:.1f}">{short(y)}</text>')
    for x in ticks(frame.first, frame.last):
        parts.append(f'<text class="x" x="{_LEFT + frame.across(x):.1f}" y="{floor + 20}">{short(x)}</text>')
    parts.append(f'<path class="axis" d="M{_LEFT} {floor}H{right}"/>')
    parts.append(f'<text class="x" x="{_LEFT + _PLOT_WIDTH / 2}" y="{floor + 36}">images</text>')
    return "".join(parts)


def _uprights(frame: _Frame, marks: Sequence[float]) -> str:
    inside = [frame.across(x) for x in marks if frame.first < x < frame.last]
    return "".join(f'<path class="mark" d="M{x:.1f} 0V{_PLOT_HEIGHT}"/>' for x in inside[:_FEW])


def _curve(frame: _Frame, number: int, every: Sequence[Bin]) -> str:
    middle = [frame.place(one.x, one.mean) for one in every]
    curve = f'<polyline class="line c{number}" points="{" ".join(middle)}"/>'
    if any(one.low < one.high for one in every):
        edge = [frame.place(one.x, one.high) for one in every]
        edge += [frame.place(one.x, one.low) for one in reversed(every)]
        curve = f'<polygon class="band c{number}" points="{" ".join(edge)}"/>{curve}'
    if len(every) <= _FEW:
        for x, y in (place.split(",") for place in middle):
            curve += f'<circle class="dot c{number}" cx="{x}" cy="{y}" r="2.5"/>'
    return curve


def _legend(number: int, line: Line) -> str:
    values = [value for _, value in line.points]
    span = f"between {figure(min(values))} and {figure(max(values))}"
    name = f"<span>{text(line.name)}</span>" if line.name else ""
    return f'<li><i class="c{number}"></i>{name}<b>{figure(values[-1])}</b> <small>{span}</small></li>'
