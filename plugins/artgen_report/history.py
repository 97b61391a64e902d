"""Which curves a run has, and which of them share a chart."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from artgen_report.curves import Line, Point, chart
from artgen_report.words import finite

_MOST_CHARTS = 24
_CLOCK = ("images", "steps", "phase")

Rows = Sequence[Mapping[str, Any]]


def charts(rows: Rows, metrics: Collection[str], losses: Sequence[str]) -> str:
    """The curves of a run: figures of quality, then losses, then all else. A chart needs a line of two points.

    Args:
        rows: Lines of `metrics.jsonl`. What is not a finite number is left out.
        metrics: Labels of the recipe's metrics.
        losses: Labels of the recipe's losses.
    """
    groups: dict[tuple[int, str], list[Line]] = {}
    for key, points in _series(rows).items():
        rank, title, name = _home(key, metrics, losses)
        groups.setdefault((rank, title), []).append(Line(name, points))
    marks = _phases(rows)
    drawable = [
        (title, lines)
        for (_, title), lines in sorted(groups.items(), key=lambda group: group[0][0])
        if any(len(line.points) > 1 for line in lines)
    ]
    more = len(drawable) - _MOST_CHARTS
    rest = f"<p>{more} more are in metrics.jsonl.</p>" if more > 0 else ""
    return "".join(chart(*_named(title, lines), marks) for title, lines in drawable[:_MOST_CHARTS]) + rest


def images_shown(rows: Rows) -> float:
    """How far the run is, by its record."""
    return max((images for row in rows if (images := finite(row.get("images"))) is not None), default=0)


def latest(rows: Rows, metrics: Collection[str]) -> dict[str, Any]:
    """The newest value of each figure of quality."""
    return {key: value for row in rows for key, value in row.items() if key.partition("/")[0] in metrics}


def _series(rows: Rows) -> dict[str, list[Point]]:
    series: dict[str, list[Point]] = {}
    for row in rows:
        images = finite(row.get("images"))
        for key, raw in row.items() if images is not None else ():
            if key not in _CLOCK and (value := finite(raw)) is not None:
                series.setdefault(key, []).append((images or 0.0, value))
    return series


def _home(key: str, metrics: Collection[str], losses: Sequence[str]) -> tuple[int, str, str]:
    """Rank and title of the chart that a figure belongs to, and the name of its line there.

    The figures of a metric share a chart. So do generator and critic: one for a loss, one for their gradients' norms.
    """
    label, _, figure = key.partition("/")
    if label in metrics:
        return 0, label, figure.replace("_", " ")
    if not figure:
        return 2, label.replace("_", " "), ""
    if figure in losses:
        return 1, f"Loss: {figure}", label
    for side in ("real", "fake"):
        if figure.startswith(f"{side}_"):
            return 2, figure.removeprefix(f"{side}_").replace("_", " "), f"{label}, {side}"
    return 2, figure.replace("_", " "), label


def _named(title: str, lines: list[Line]) -> tuple[str, list[Line]]:
    """A line that is alone needs no name: the title says all."""
    if len(lines) > 1 or not lines[0].name:
        return title, lines
    return f"{title} ({lines[0].name})", [Line("", lines[0].points)]


def _phases(rows: Rows) -> list[float]:
    """Images shown where each phase after the first begins, as near as the record tells."""
    begun: dict[Any, float] = {}
    for row in rows:
        phase, images = finite(row.get("phase")), finite(row.get("images"))
        if phase is not None and images is not None:
            begun.setdefault(phase, images)
    return sorted(begun.values())[1:]
