"""A built-in style: a night of stars in short, loaded strokes along the wind, after the post-impressionists."""

from __future__ import annotations

import cv2
import numpy as np

from artgen_pictures.canvas import Brush, Field, lots, plane, ramp, rough, smoothstep

_NIGHT = [
    (0.0, "#0d1b45"),
    (0.2, "#1c3f86"),
    (0.42, "#2f6fb3"),
    (0.58, "#6fa9cf"),
    (0.72, "#b9d3c4"),
    (0.84, "#f0d879"),
    (1.0, "#fff3bf"),
]
_HILLS = [(0.0, "#0f1f33"), (0.35, "#1f4a55"), (0.6, "#4d7a4a"), (0.8, "#a39a45"), (1.0, "#d9c06a")]

# Share of the width, height, radius, and which way it turns.
_WHIRLS = ((0.44, 0.34, 0.17, 1.0), (0.64, 0.47, 0.11, -1.0), (0.20, 0.46, 0.09, 1.0), (0.86, 0.52, 0.08, 1.0))
# Share of the width, height, radius.
_STARS = (
    (0.85, 0.17, 0.085),
    (0.13, 0.15, 0.045),
    (0.30, 0.10, 0.034),
    (0.52, 0.09, 0.030),
    (0.66, 0.18, 0.040),
    (0.07, 0.36, 0.032),
    (0.95, 0.37, 0.030),
    (0.30, 0.26, 0.026),
)
_COATS = (1700, 0.019), (3000, 0.012), (3200, 0.0075)  # how many strokes, and how wide they are
_POINTS = 9


def swirls(rows: int, columns: int) -> Field:
    """Paint it: (H, W, 3) from 0 to 1."""
    wide = columns / rows
    draw = lots("swirls")
    brush = Brush(_ground(rows, columns, wide))
    for count, thick in _COATS:
        start = np.column_stack([draw.uniform(-0.03, 1.03, count) * wide, draw.uniform(-0.03, 1.03, count)])
        length, width = draw.uniform(0.7, 1.3, count) * (0.02 + 3.2 * thick), draw.uniform(0.7, 1.3, count) * thick
        shade, hue = draw.normal(0, 0.085, count), draw.normal(0, 0.022, (count, 3))
        paths = _along(start, length, wide)
        colours = _colours(start, shade, wide) + hue
        for path, colour, one in zip(paths, colours, width, strict=True):
            _stroke(brush, path, colour, one)
    return brush.done()


def _ground(rows: int, columns: int, wide: float) -> Field:
    """The colours without strokes, for what these leave bare; a small copy will do."""
    x, y = plane(128, round(128 * wide))
    at = np.column_stack([x.ravel(), y.ravel()])
    small = _colours(at, np.zeros(len(at)), wide).reshape(*x.shape, 3)
    return np.asarray(cv2.resize(0.9 * small, (columns, rows), interpolation=cv2.INTER_LINEAR))


def _stroke(brush: Brush, path: Field, colour: Field, width: float) -> None:
    """A loaded brush: a shadow on one side, a light on the other, as of paint that stands off the canvas."""
    brush.line(path + 0.18 * width, 0.72 * colour, width)
    brush.line(path, colour, 0.86 * width)
    brush.line(path - 0.20 * width, colour + 0.07, 0.30 * width)


def _along(start: Field, length: Field, wide: float) -> Field:
    """Paths (n, points, 2) that follow the wind from their middle both ways."""
    step = (length / (_POINTS - 1))[:, None]
    ahead, back = [start], [start]
    for _ in range(_POINTS // 2):
        ahead.append(ahead[-1] + step * _wind(ahead[-1], wide))
        back.append(back[-1] - step * _wind(back[-1], wide))
    return np.stack(back[:0:-1] + ahead, axis=1)


def _wind(at: Field, wide: float) -> Field:
    """Which way the brush goes, (n, 2) of length 1."""
    x, y = at[:, 0], at[:, 1]
    bend = 0.35 * np.sin(5 * x + 2) + 0.5 * rough(0.9 * x, 1.3 * y, 2)
    wind = np.column_stack([np.ones_like(x), 0.45 * bend])
    for share, height, radius, turn in _WHIRLS:
        out_x, out_y, near = _near(x, y, share * wide, height, 1.25 * radius)
        pull = 3.2 * turn * near
        wind += pull[:, None] * np.column_stack([-out_y - 0.25 * out_x, out_x - 0.25 * out_y]) / (0.35 * radius)
    for share, height, radius in _STARS:
        out_x, out_y, near = _near(x, y, share * wide, height, 1.15 * radius)
        wind += (14 * near / radius)[:, None] * np.column_stack([-out_y, out_x])
    ground = smoothstep(-0.02, 0.05, y - _ridge(x, wide))
    slope = np.column_stack([np.ones_like(x), 0.55 * np.cos(7 * x + 1.5 * y) - 0.2])
    wind = wind * (1 - ground)[:, None] + slope * ground[:, None]
    tree = _cypress(x, y, wide)
    up = np.column_stack([0.35 * np.sin(26 * y + 30 * (x - 0.16 * wide)), -np.ones_like(x)])
    wind = wind * (1 - tree)[:, None] + up * tree[:, None]
    return np.asarray(wind / (np.linalg.norm(wind, axis=1, keepdims=True) + 1e-6))


def _near(x: Field, y: Field, centre_x: float, centre_y: float, radius: float) -> tuple[Field, Field, Field]:
    """How far right and down of a centre, and how near: 1 there, fading over its radius."""
    out_x, out_y = x - centre_x, y - centre_y
    return out_x, out_y, np.exp(-(((out_x**2 + out_y**2) / radius**2) ** 1.5))


def _colours(at: Field, shade: Field, wide: float) -> Field:
    """(n, 3)."""
    x, y = at[:, 0], at[:, 1]
    tone = 0.24 + 0.10 * rough(1.6 * x + 4, 2.6 * y) + 0.18 * np.sin(19 * (y + 0.05 * np.sin(4 * x) + 0.02 * x)) * 0.5
    for share, height, radius, turn in _WHIRLS:
        out_x, out_y, near = _near(x, y, share * wide, height, 1.2 * radius)
        away = np.hypot(out_x, out_y) / radius
        spiral = np.sin(10 * away - turn * np.arctan2(out_y, out_x) * 2)
        tone = tone * (1 - near) + near * (0.52 + 0.24 * spiral)
    for share, height, radius in _STARS:
        away = np.hypot(x - share * wide, y - height) / radius
        glow = np.exp(-((away / 1.25) ** 2))
        tone = np.maximum(tone, glow * (1.08 + 0.10 * np.cos(9 * away)))
    night = ramp(tone + shade, _NIGHT)
    over = y - _ridge(x, wide)
    rows = 0.42 + 0.32 * np.sin(40 * (over - 0.06 * np.sin(6 * x)) + 2 * x) - 0.5 * over
    hills = ramp(rows + 1.3 * shade, _HILLS)
    colour = night + (hills - night) * smoothstep(-0.005, 0.005, over)[:, None]
    tree = ramp(0.30 + 0.35 * np.sin(60 * (x - 0.16 * wide) + 9 * y) + 1.4 * shade, _TREE)
    return np.asarray(colour + (tree - colour) * (_cypress(x, y, wide) > 0.5)[:, None])


_TREE = [(0.0, "#10160f"), (0.4, "#23351f"), (0.75, "#4b5a2a"), (1.0, "#7c6a33")]


def _ridge(x: Field, wide: float) -> Field:
    """Where the hills begin, from above."""
    return np.asarray(
        0.78 - 0.10 * smoothstep(0.45, 1.0, x / wide) + 0.028 * np.sin(5.5 * x + 0.6) + 0.012 * np.sin(13 * x)
    )


def _cypress(x: Field, y: Field, wide: float) -> Field:
    """1 in a tree like a flame on the left."""
    up = np.clip((1.02 - y) / 0.82, 0, 1)
    half = 0.085 * (1 - up) ** 0.75 * (1 + 0.22 * np.sin(21 * up) + 0.1 * np.sin(47 * up))
    aside = np.abs(x - (0.16 + 0.012 * np.sin(9 * up)) * wide) / (half + 1e-3)
    return np.asarray(smoothstep(1.15, 0.85, aside) * (up > 0.01))
