"""A built-in style: a floor of small stones, laid in rings, after Roman mosaics."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from artgen_pictures.canvas import Draw, Field, Stops, blend, lots, noise, plane, rgb, rough, smoothstep

_GROUT = rgb("#4a4038")
_STONE = 0.0185  # its side

# Share of the width, height and radius of each rosette, and which of the palettes it has.
_ROSETTES = (
    (0.50, 0.50, 0.315, 0),
    (0.13, 0.16, 0.120, 1),
    (0.87, 0.16, 0.120, 2),
    (0.13, 0.84, 0.120, 2),
    (0.87, 0.84, 0.120, 1),
)
_PALETTES = (
    [
        (0.0, "#f2d27a"), (0.10, "#d98f35"), (0.22, "#b6472c"), (0.34, "#7c2230"), (0.46, "#f0e2c0"), (0.56, "#2d7f86"),
        (0.68, "#17485f"), (0.80, "#e9c46a"), (0.9, "#b6472c"), (1.0, "#f0e2c0"),
    ],
    [(0.0, "#f2d27a"), (0.3, "#b6472c"), (0.55, "#f0e2c0"), (0.8, "#2d7f86"), (1.0, "#17485f")],
    [(0.0, "#f0e2c0"), (0.3, "#2d7f86"), (0.55, "#17485f"), (0.8, "#e0a042"), (1.0, "#7c2230")],
)  # fmt: skip
_FIELD = [
    (0.0, "#efe3c4"), (0.30, "#d9c49a"), (0.42, "#c9803a"), (0.52, "#efe3c4"), (0.64, "#7fa79b"), (0.76, "#2d7f86"),
    (0.85, "#efe3c4"), (0.94, "#a8552f"),
]  # fmt: skip


def mosaic(rows: int, columns: int) -> Field:
    """Paint it: (H, W, 3) from 0 to 1."""
    wide, draw = columns / rows, lots("mosaic")
    x, y = plane(rows, columns)
    stones = _laid(draw, wide)
    nearest, gap = _cells(stones, rows, columns)
    right, down = x - stones[nearest, 0], y - stones[nearest, 1]  # of the middle of the stone
    # No two stones have quite one colour, and each lies a little aslant.
    colours = _colours(stones, wide) * draw.normal(1, 0.055, (len(stones), 1)) + draw.normal(0, 0.018, (len(stones), 3))
    lean = draw.normal(0, 2.4, (len(stones), 2))[nearest]
    light = 1 + lean[..., 0] * right + lean[..., 1] * down + 0.03 * rough(40 * x, 40 * y, 3)
    worn_edge = smoothstep(0.0075, 0.003, gap) * np.clip(-(right + down) / _STONE, -1, 1)
    picture = np.asarray(colours[nearest] * (light * (1 + 0.16 * worn_edge))[..., None], np.float32)
    grout = _GROUT * (1 + 0.12 * noise(120 * x, 120 * y))[..., None]
    return blend(picture, grout, smoothstep(0.0032, 0.0011, gap))


def _laid(draw: Draw, wide: float) -> Field:
    """The middles of all stones, (n, 2): rings round each rosette, until they meet those of another."""
    laid = []
    for index, (share, height, _, _) in enumerate(_ROSETTES):
        for ring in range(int(np.hypot(wide, 1) / _STONE)):
            count = max(1, round(2 * np.pi * ring))
            angle = 2 * np.pi * (np.arange(count) + 0.5 * (ring % 2)) / count
            stones = np.column_stack([np.cos(angle), np.sin(angle)]) * ring * _STONE + (share * wide, height)
            laid.append(stones[_outside(stones, wide).argmin(axis=1) == index])
    stones = np.concatenate(laid)
    stones = stones[(np.abs(stones - (wide / 2, 0.5)) < (wide / 2 + _STONE, 0.5 + _STONE)).all(axis=1)]
    return np.asarray(stones + draw.normal(0, 0.055 * _STONE, stones.shape))


def _outside(stones: Field, wide: float) -> Field:
    """How far stones lie outside of each rosette, (n, rosettes); negative within."""
    middles = np.array([(share * wide, height) for share, height, _, _ in _ROSETTES])
    radii = np.array([radius for _, _, radius, _ in _ROSETTES])
    return np.asarray(np.linalg.norm(stones[:, None] - middles, axis=2) - radii)


def _colours(stones: Field, wide: float) -> Field:
    x, y = stones.T
    away = _outside(stones, wide).min(axis=1)
    colours = _steps((away + 0.012 * np.sin(9 * x + 4 * y)) / (11 * _STONE) % 1, _FIELD)
    for share, height, radius, palette in _ROSETTES:
        out_x, out_y = x - share * wide, y - height
        away, angle = np.hypot(out_x, out_y) / radius, np.arctan2(out_y, out_x)
        petals = 12 if palette == 0 else 8
        leaf = np.abs(np.cos(petals / 2 * angle + 1.6 * away))
        place = away + 0.16 * (leaf - 0.5) * smoothstep(0.12, 0.35, away) * smoothstep(0.98, 0.86, away)
        own = _steps(place, _PALETTES[palette])
        colours = np.where((away < 1)[:, None], own, colours)
    border = np.minimum.reduce([x, wide - x, y, 1 - y])
    colours[border < 2.7 * _STONE] = rgb("#17485f")
    colours[border < 1.7 * _STONE] = rgb("#e9c46a")
    colours[border < 0.8 * _STONE] = rgb("#7c2230")
    return colours


def _steps(value: Field, palette: Stops) -> Field:
    """The colour of the last place that is passed: stones have one of a few colours."""
    places = [place for place, _ in palette]
    colours = np.array([rgb(code) for _, code in palette])
    return np.asarray(colours[np.clip(np.searchsorted(places, value, side="right") - 1, 0, len(places) - 1)])


def _cells(stones: Field, rows: int, columns: int) -> tuple[NDArray[np.intp], Field]:
    """Which stone each pixel belongs to, the one whose middle is nearest; and how far it is from the gap beside it."""
    free = np.full((rows, columns), 255, np.uint8)
    row, column = (
        np.clip((stones[:, axis] * rows).astype(np.intp), 0, side - 1) for axis, side in ((1, rows), (0, columns))
    )
    free[row, column] = 0
    _, labels = cv2.distanceTransformWithLabels(free, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL)
    stone_of = np.zeros(labels.max() + 1, np.intp)
    stone_of[labels[row, column]] = np.arange(len(stones))
    nearest = stone_of[labels]
    joint = np.zeros((rows, columns), bool)
    joint[1:] |= nearest[1:] != nearest[:-1]
    joint[:, 1:] |= nearest[:, 1:] != nearest[:, :-1]
    gap = cv2.distanceTransform(np.where(joint, 0, 255).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    return nearest, np.asarray(gap / rows, np.float32)
