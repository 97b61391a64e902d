"""What the painter draws with: coordinates, noise, and bodies made of ellipsoids seen from the front.

Lengths are in *heads*: 1 is half the height of the sitter's head. x points right, y down, z to the viewer; the
projection is orthographic. All coordinates are fractions of the frame, never pixels, so a picture is the same at every
resolution.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.floating[Any]]
"""(H, W) or (H, W, 3)."""

Pose = NDArray[np.float64]
"""A rotation (3, 3) from the space of a body to the viewer's."""

FAR = np.float32(-9.0)
"""Height where a body is not."""

_CELLS, _TEXELS = 64, 8


def _noise_tile() -> Field:
    """One periodic tile of smooth noise, zero mean and unit variance, `_TEXELS` texels to a cell."""
    lattice = np.random.Generator(np.random.Philox(1606)).standard_normal((_CELLS, _CELLS), dtype=np.float32)
    padded = np.pad(lattice, 4, mode="wrap")
    side = padded.shape[0] * _TEXELS
    tile = cv2.resize(padded, (side, side), interpolation=cv2.INTER_CUBIC)[
        4 * _TEXELS : -4 * _TEXELS, 4 * _TEXELS : -4 * _TEXELS
    ]
    return np.ascontiguousarray(tile / tile.std(), dtype=np.float32)


_TILE = _noise_tile()


def noise(x: Field, y: Field) -> Field:
    """Smooth noise at any coordinates, one feature a unit; zero mean, unit variance, periodic every 64 units."""
    column, row = (np.asarray(_TEXELS * axis, np.float32) for axis in (x, y))
    return np.asarray(cv2.remap(_TILE, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP), np.float32)


def smoothstep(low: float, high: float, value: Field) -> Field:
    """0 below `low`, 1 above `high`, smooth between; `low` > `high` turns it round."""
    t: Field = np.clip((value - np.float32(low)) * np.float32(1 / (high - low)), 0, 1)
    return t * t * (3 - 2 * t)


def blurred(field: Field, deviation_px: float) -> Field:
    """Gaussian blur."""
    return np.asarray(cv2.GaussianBlur(field, (0, 0), deviation_px), np.float32)


def bell(x: Field, y: Field, at: tuple[float, float], radii: tuple[float, float]) -> Field:
    """A Gaussian spot of height 1."""
    across, along = (x - np.float32(at[0])) / np.float32(radii[0]), (y - np.float32(at[1])) / np.float32(radii[1])
    spot: Field = np.exp(-(across * across) - along * along)
    return spot


def paint(seen: Sequence[float]) -> Field:
    """A colour as seen (0 to 1) turned into linear light (gamma 2.2)."""
    return np.power(np.asarray(seen, np.float32), np.float32(2.2))


def blend(under: Field, colour: Field, coverage: Field) -> Field:
    """Lay a colour (3,) or (H, W, 3) over (H, W, 3) with a coverage (H, W) from 0 to 1."""
    return under + (colour - under) * coverage[..., None]


def turning(yaw: float, pitch: float, roll: float) -> Pose:
    """Rotation (3, 3) in radians: yaw > 0 looks right, pitch > 0 looks down, roll > 0 tilts clockwise."""
    cy, sy, cp, sp, cr, sr = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch), np.cos(roll), np.sin(roll)
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return np.asarray(about_z @ about_x @ about_y)


@dataclass(frozen=True)
class Frame:
    """The picture plane: `x`, `y` (H, W) in heads, with the origin in the middle of the head."""

    x: Field
    y: Field

    @property
    def pixel(self) -> float:
        """Width of a pixel in heads."""
        return float(self.x[0, 1] - self.x[0, 0])

    def crop(self, window: tuple[slice, slice]) -> Frame:
        """The part of the plane in these rows and columns."""
        return Frame(self.x[window], self.y[window])


@dataclass(frozen=True)
class Ellipsoid:
    """A body: centre and radii in heads, turned by (yaw, pitch, roll) about its own centre."""

    centre: tuple[float, float, float]
    radii: tuple[float, float, float]
    turn: tuple[float, float, float] = (0, 0, 0)


def relief(frame: Frame, bodies: Sequence[Ellipsoid], pose: Pose, melt: float) -> tuple[tuple[slice, slice], Field]:
    """Height of a group of ellipsoids that melt into each other, as seen from the front.

    An ellipsoid (p - c)^T M (p - c) = 1 is met by the ray of pixel (x, y) where a quadratic in z has its larger root;
    root and discriminant are polynomials of x and y, so the whole group is two matrix products. The heights are joined
    by the smooth maximum `melt` * log(sum(exp(z / melt))).

    Args:
        frame: The picture plane.
        bodies: The ellipsoids, in the space that `pose` (3, 3) turns into the viewer's.
        pose: Rotation about the origin.
        melt: Width of the joints, in heads.

    Returns:
        The window (rows, columns) that holds the group, and the height (h, w) there; `FAR` where no body is.
    """
    centres = np.array([body.centre for body in bodies]) @ pose.T  # (n, 3)
    axes = np.stack([pose @ turning(*body.turn) if any(body.turn) else pose for body in bodies])  # (n, 3, 3)
    radii = np.array([body.radii for body in bodies])[:, None, :]
    reach = np.sqrt(((axes * radii) ** 2).sum(2))  # half extents along x, y, z
    low, high = (centres - reach).min(0), (centres + reach).max(0)
    columns, rows = frame.x[0], frame.y[:, 0]
    window = (
        slice(*np.searchsorted(rows, (low[1], high[1]))),
        slice(*np.searchsorted(columns, (low[0], high[0]))),
    )
    view = frame.crop(window)
    m = (axes / radii**2) @ axes.transpose(0, 2, 1)
    m00, m01, m02, m11, m12, m22 = m[:, 0, 0], m[:, 0, 1], m[:, 0, 2], m[:, 1, 1], m[:, 1, 2], m[:, 2, 2]
    cx, cy, cz = centres.T
    # z = cz - (m02 dx + m12 dy) / m22 + sqrt(disc), disc = 1 / m22 - p dx^2 - 2 q dx dy - r dy^2.
    p, q, r = m00 / m22 - (m02 / m22) ** 2, m01 / m22 - m02 * m12 / m22**2, m11 / m22 - (m12 / m22) ** 2
    plane = np.stack([cz + (m02 * cx + m12 * cy) / m22, -m02 / m22, -m12 / m22], 1)
    disc = np.stack(
        [
            1 / m22 - p * cx**2 - 2 * q * cx * cy - r * cy**2,
            2 * (p * cx + q * cy),
            2 * (q * cx + r * cy),
            -p,
            -2 * q,
            -r,
        ],
        1,
    )
    x, y = view.x.ravel(), view.y.ravel()
    basis = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y])
    inside = disc.astype(np.float32) @ basis
    height = plane.astype(np.float32) @ basis[:3] + np.sqrt(np.maximum(inside, 0))
    height = np.where(inside > 0, height, FAR)
    top = height.max(0)
    # A body fades out at its own outline, or its rim would draw a line on the surface that it melts into.
    share = np.exp((height - top) * np.float32(1 / melt)) * np.clip(inside * 40, 1e-4, 1)
    joined = top + np.float32(melt) * np.log(share.sum(0))
    return window, joined.reshape(view.x.shape)


def own_space(view: Frame, height: Field, pose: Pose) -> tuple[Field, Field, Field]:
    """Where each seen point lies in the space of its body."""

    (a, b, c), (d, e, f), (g, h, i) = pose.astype(np.float32)
    seen_x, seen_y = view.x, view.y
    return (
        a * seen_x + d * seen_y + g * height,
        b * seen_x + e * seen_y + h * height,
        c * seen_x + f * seen_y + i * height,
    )
