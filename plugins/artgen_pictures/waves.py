"""A built-in style: a sea under a red sun in flat colours and ink lines, after the woodblock prints of Edo."""

from __future__ import annotations

import numpy as np

from artgen_pictures.canvas import Brush, Draw, Field, blend, lots, noise, plane, points, ramp, rgb, rough, smoothstep

_INK, _PAPER, _FOAM, _SUN = rgb("#14233f"), rgb("#ecdfc0"), rgb("#f6f0de"), rgb("#c8452f")
_SKY = [(0.0, "#c9cdb4"), (0.12, "#dcd3ae"), (0.35, "#ecdfc0"), (0.6, "#efd9b0"), (1.0, "#e6c196")]
# The height at which each row of waves begins, far to near, and its blue.
_ROWS = (
    (0.42, "#8fb4bd"),
    (0.49, "#5f93ad"),
    (0.57, "#3b739b"),
    (0.67, "#255683"),
    (0.79, "#1a3d69"),
    (0.93, "#142f55"),
)
# Share of the width and height of the middle of each cloud; how long and how thick it is.
_CLOUDS = (
    (0.06, 0.10, 0.40, 0.028),
    (0.02, 0.145, 0.34, 0.022),
    (0.95, 0.09, 0.36, 0.024),
    (0.58, 0.27, 0.34, 0.020),
    (0.72, 0.305, 0.42, 0.024),
    (0.36, 0.30, 0.42, 0.022),
    (0.24, 0.335, 0.36, 0.020),
    (0.92, 0.36, 0.30, 0.022),
    (0.46, 0.07, 0.24, 0.018),
)


def waves(rows: int, columns: int) -> Field:
    """Paint it: (H, W, 3) from 0 to 1."""
    wide, draw = columns / rows, lots("waves")
    x, y = plane(rows, columns)
    brush = Brush(_sky(x, y))
    brush.dot((0.72 * wide, 0.22), 0.135, _SUN)
    _mountain(brush, draw, 0.27 * wide)
    for share, height, length, thick in _CLOUDS:
        ends = points((share * wide, height), (-length / 2, 0), (length / 2, 0))
        brush.line(ends, _INK, thick + 0.008)
        brush.line(ends, _FOAM, thick)
        brush.line(ends + np.array([0.012, 0.35 * thick]), rgb("#d9cba4"), 0.25 * thick)
    for row, (top, blue) in enumerate(_ROWS):
        near = row / (len(_ROWS) - 1)
        length, high = 0.20 + 0.24 * near, 0.030 + 0.085 * near
        start = -draw.uniform(1, 2) * length
        for index, share in enumerate(draw.uniform(0.85, 1.15, 64)):  # as many as the widest picture needs
            left = start + index * length
            if left < wide:
                _wave(brush, (left, top), length, high * share, rgb(blue))
    return _printed(brush.done(), x, y)


def _sky(x: Field, y: Field) -> Field:
    """Paper, with the lines of the wind."""
    wind = np.sin(160 * (y + 0.02 * rough(1.5 * x, 2 * y, 3)))
    return blend(ramp(y * 2.1, _SKY), rgb("#b9a77c"), 0.30 * smoothstep(0.80, 1.0, wind))


def _mountain(brush: Brush, draw: Draw, middle: float) -> None:
    """A far cone with snow on it, its slopes drawn in falling lines."""
    top, foot = 0.115, 0.47

    def down(share: Field | float, depth: Field) -> Field:
        """Points on the cone, from its left side (-1) to its right (1), from its top (0) to its foot (1)."""
        return np.column_stack([middle + share * (0.022 + 0.50 * depth**1.35), top + (foot - top) * depth])

    depth = np.linspace(0, 1, 30)
    left, right = down(-1, depth), down(1, depth)
    brush.fill(np.concatenate([left, right[::-1]]), rgb("#5f7f96"))
    teeth = np.where(np.arange(23) % 2, 0.30, 0.17) + draw.uniform(-0.03, 0.03, 23)
    edge, snow = down(np.linspace(-1, 1, 23), teeth), depth < 0.2
    brush.fill(np.concatenate([left[snow][::-1], right[snow], edge[::-1]]), _FOAM)
    for share, begin in zip(np.linspace(-0.92, 0.92, 25), draw.uniform(0.25, 0.6, 25), strict=True):
        brush.line(down(share, depth[depth > begin]), rgb("#3f6079"), 0.0026)
    for side in (left, right):
        brush.line(side, _INK, 0.005)


def _wave(brush: Brush, foot: tuple[float, float], length: float, high: float, blue: Field) -> None:
    """A wave that rises slowly from its foot on the left, and breaks to the right with a claw of foam."""
    left, top = foot
    t = np.linspace(0, 1, 60)
    back = np.column_stack([left + 0.95 * length * t, top - high * np.sin(np.pi * t / 2) ** 2.4])
    turn, radius = np.linspace(-0.5 * np.pi, 1.05 * np.pi, 48), 0.30 * high
    middle = back[-1] + np.array([0, radius])
    curl = middle + radius * np.linspace(1, 0.55, 48)[:, None] * np.column_stack([1.35 * np.cos(turn), np.sin(turn)])
    tip, bow, end = curl[-1], (left + 0.80 * length, top + 0.15 * high), (left + 1.32 * length, top + 0.02)
    s = np.linspace(0, 1, 40)[:, None]
    hollow = (1 - s) ** 2 * tip + 2 * s * (1 - s) * np.array(bow) + s**2 * np.array(end)
    outline = np.concatenate([back, curl, hollow])
    brush.fill(np.concatenate([outline, [(end[0], 1.2), (left, 1.2)]]), blue)
    light = blue + 0.55 * (_FOAM - blue)
    for number in range(1, 7):  # lines that follow the back, and the hollow
        drop, tone = 0.19 * number * high, light if number % 2 else _INK
        below = back + np.column_stack([np.full(60, 0.10 * drop), drop * (0.55 + 0.75 * t)])
        brush.line(below[: 60 - 3 * number], tone, 0.05 * high + 0.0012)
        brush.line(hollow[14:] + np.array([0.25 * drop, 0.9 * drop]), tone, 0.04 * high + 0.001)
    foam = np.concatenate([back, curl])[34::3]
    sizes = 0.15 * high * np.linspace(0.35, 1.0, len(foam))
    for place, size in zip(foam, sizes, strict=True):
        brush.dot(place, size + 0.005, _INK)
    brush.line(outline, _INK, 0.0035 + 0.012 * high)
    for place, size in zip(foam, sizes, strict=True):
        brush.dot(place, size + 0.0022, _FOAM)
    for drop_number, angle in enumerate(np.linspace(-0.9, 1.08, 7)):  # drops thrown ahead
        away = radius * (1.55 + 0.25 * (drop_number % 3))
        brush.dot(middle + away * np.array([1.35 * np.cos(angle), np.sin(angle)]), 0.05 * high + 0.001, _FOAM)


def _printed(picture: Field, x: Field, y: Field) -> Field:
    """The grain of the block, and paper that shows through."""
    grain = noise(3 * x + 0.4 * noise(4 * x, 2 * y), 90 * y + 1.5 * noise(5 * x, 3 * y))
    fibre = rough(60 * x, 60 * y, 2)
    worn = 0.10 * smoothstep(0.3, 1.8, grain) + 0.05 * smoothstep(0.6, 2.2, fibre)
    return blend(picture, _PAPER, worn) * (1 - 0.035 * smoothstep(-0.2, -1.8, grain))[..., None]
