"""Neck, gown, cloak and collar, and how cloth falls."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from artgen_atelier.canvas import FAR, Ellipsoid, Field, Frame, Pose, blend, noise, own_space, paint, relief, smoothstep
from artgen_atelier.scene import Layer
from artgen_atelier.sitter import Sitter

LINEN = paint((0.86, 0.82, 0.74))


def neck(frame: Frame, s: Sitter, body: Pose) -> Layer:
    """The neck, in the skin of the face."""
    wide = (0.33 if s.woman else 0.38) + 0.06 * s.weight
    window, height = relief(
        frame,
        [
            Ellipsoid((0, 0.95, -0.22), (wide, 0.85, 0.42), (0, -0.15, 0)),
            Ellipsoid((0, 1.66, -0.34), (0.95, 0.42, 0.44)),
        ],
        body,
        0.10,
    )
    return Layer(window, height, np.broadcast_to(0.85 * paint(s.skin), (*height.shape, 3)), soft=0.03)


def clothes(frame: Frame, s: Sitter, body: Pose) -> list[Layer]:
    """Gown, what is laid on it (a falling collar, a chain), and a cloak."""
    broad = (1.30 if s.woman else 1.50) + 0.3 * s.weight
    torso = [
        Ellipsoid((0, 2.68, -0.30), (0.80 * broad, 1.55, 0.85)),
        Ellipsoid((0, 1.62, -0.42), (0.62 * broad, 0.50, 0.52)),
        *(
            Ellipsoid((side * 0.60 * broad, 1.95, -0.45), (0.52 * broad, 0.58, 0.58), (0, 0, side * 0.42))
            for side in (-1, 1)
        ),
        *(
            Ellipsoid((side * 0.95 * broad, 2.9, -0.35), (0.36 * broad, 1.1, 0.55), (0, 0, -side * 0.10))
            for side in (-1, 1)
        ),
    ]
    gown = cloth(frame, torso, s, body, paint(s.cloth), 0.04, 0.14)
    view = frame.crop(gown.window)
    x, y, _ = own_space(view, gown.height, body)
    if s.chain:
        arc = y - (1.35 + 0.95 * np.sqrt(np.clip(1 - np.square(x / 0.95), 0, 1)))
        gold = np.exp(-np.square(arc / 0.045)) * (np.abs(x) < 0.94) * np.clip(0.6 + 0.6 * np.sin(x * 42), 0, 1)
        gown.colour[:] = blend(gown.colour, paint((0.85, 0.62, 0.25)), 0.9 * gold)
    layers = [gown]
    if s.collar in ("none", "chemise"):
        _neckline(gown, s, x, y)
    if s.collar == "flat":
        layers.append(_falling_collar(gown, s, x, y))
    if s.cloak:
        side = -s.light_side
        drape = [
            Ellipsoid((side * 0.70 * broad, 2.2, -0.25), (0.60 * broad, 0.80, 0.62), (0, 0, side * 0.5)),
            Ellipsoid((side * 0.8 * broad, 3.3, -0.1), (0.6 * broad, 1.4, 0.7)),
            Ellipsoid((-side * 1.0 * broad, 2.8, -0.25), (0.40 * broad, 1.2, 0.62)),
        ]
        layers.append(cloth(frame, drape, s, body, paint(s.cloak), 0.06, 0.10))
    return layers


def _neckline(gown: Layer, s: Sitter, x: Field, y: Field) -> None:
    """Cut the gown open at the neck, round for women and narrow for men; a chemise shows its white edge."""
    wide, deep = (0.80, 0.62) if s.woman else (0.52, 0.30)
    deep += 0.15 * (s.collar_size - 0.5)
    edge = 1.22 + deep * np.sqrt(np.clip(1 - np.square(x * np.float32(1 / wide)), 0, 1))
    bare = smoothstep(0.02, -0.02, y - edge)
    gown.colour[:] = blend(gown.colour, 0.9 * paint(s.skin), bare)
    if s.collar == "chemise":
        frill = smoothstep(0.02, -0.01, y - edge) * smoothstep(0.20, 0.14, edge - y)
        folds = noise(9 * x + s.offset[0], 4 * y + s.offset[1])
        gown.colour[:] = blend(gown.colour, LINEN, frill * np.clip(0.85 + 0.12 * folds, 0, 1))
        bare = bare - frill
    gown.height[:] -= 0.05 * bare


def _falling_collar(gown: Layer, s: Sitter, x: Field, y: Field) -> Layer:
    """White linen on the shoulders: cut to two points for men, round with lace for women."""
    ax = np.abs(x)
    if s.woman:
        edge = 1.85 - 0.22 * ax * ax + 0.03 * np.cos(x * np.float32(26)) + 0.2 * (s.collar_size - 0.5)
    else:
        edge = np.minimum(1.22 + (1.3 + 0.8 * s.weight) * ax, 1.86 - 0.35 * (ax - 0.45) + 0.2 * (s.collar_size - 0.5))
    inside = smoothstep(0.015, -0.015, y - edge) * smoothstep(1.25, 1.15, ax)
    lace = smoothstep(0.14, 0.04, edge - y) * (0.5 + 0.5 * np.sin(x * np.float32(52)))
    folds = noise(5 * x + s.offset[0], 2 * y + s.offset[1])
    height = np.where((inside > 0.5) & (gown.height > FAR / 2), gown.height + 0.045 + 0.008 * folds, FAR)
    linen = (1 - 0.45 * lace + 0.04 * folds)[..., None] * LINEN
    return Layer(gown.window, height, linen, soft=0.02)


def collar(frame: Frame, s: Sitter, body: Pose, tilt: Pose) -> list[Layer]:
    """What is worn about the neck."""
    if s.collar == "ruff":
        ruff = Ellipsoid((0, 1.19, 0.0), (0.92 + 0.2 * s.weight, 0.16, 0.92), (0, -0.40, 0))
        window, height = relief(frame, [ruff], tilt, 0.02)
        view = frame.crop(window)
        x, _, z = own_space(view, height, tilt)
        pleats = np.sin(np.arctan2(x, z) * 26 + 0.5 * noise(x * 3, z * 3))
        rim = smoothstep(0.35, 0.9, np.sqrt(x * x + np.square(z)))
        height = np.where(height > FAR / 2, height + 0.022 * pleats * rim, FAR)
        return [Layer(window, height, (0.80 + 0.20 * pleats * rim)[..., None] * LINEN, soft=0.03)]
    if s.collar == "flat":
        return [
            cloth(frame, [Ellipsoid((0, 1.12, -0.18), (0.46, 0.22, 0.46), (0, -0.2, 0))], s, body, LINEN, 0.015, 0.03)
        ]
    if s.collar == "scarf":
        wraps = [
            Ellipsoid((0, 1.10, -0.14), (0.52, 0.16, 0.52), (0, -0.15, 0.12)),
            Ellipsoid((0, 1.27, -0.14), (0.62, 0.19, 0.58), (0, -0.20, -0.14)),
            Ellipsoid((0, 1.42, -0.16), (0.78, 0.20, 0.60), (0, -0.20, 0.08)),
            Ellipsoid((0.10, 1.75, 0.12), (0.17, 0.42, 0.28), (0, -0.2, 0.1)),
        ]
        tone = paint(s.hat_colour) if s.hat == "turban" else paint((0.55, 0.46, 0.34))
        return [cloth(frame, wraps, s, body, tone, 0.025, 0.06)]
    if s.collar == "gorget":
        steel = [
            Ellipsoid((0, 1.12, -0.18), (0.50, 0.22, 0.48), (0, -0.1, 0)),
            Ellipsoid((0, 1.52, -0.22), (0.98, 0.42, 0.62), (0, -0.25, 0)),
        ]
        return [cloth(frame, steel, s, body, paint((0.26, 0.25, 0.24)), 0.003, 0.05, gloss=0.9)]
    return []


def cloth(
    frame: Frame,
    bodies: Sequence[Ellipsoid],
    s: Sitter,
    pose: Pose,
    colour: Field,
    folds: float,
    melt: float = 0.08,
    gloss: float = 0.02,
) -> Layer:
    """Bodies wrapped in cloth with folds."""
    window, height = relief(frame, bodies, pose, melt)
    view = frame.crop(window)
    x, y, _ = own_space(view, height, pose)
    a, b = s.offset
    creases = noise(1.6 * x + 0.9 * y + a, 1.1 * y - 0.5 * x + b) + 0.5 * noise(3.1 * x - 1.2 * y + b, 2.0 * y + a)
    weave = noise(9 * x + a, 9 * y + b)
    there = height > FAR / 2
    worn = np.clip(0.95 + 0.10 * weave + 0.10 * creases, 0.4, 1.6)
    return Layer(
        window, np.where(there, height + folds * creases, FAR), worn[..., None] * colour, gloss=gloss, soft=0.04
    )
