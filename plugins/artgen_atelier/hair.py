"""Hair and beards: bodies covered with locks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from artgen_atelier.canvas import FAR, Ellipsoid, Frame, Pose, noise, own_space, paint, relief
from artgen_atelier.scene import Layer
from artgen_atelier.sitter import Sitter


def hair(frame: Frame, s: Sitter, pose: Pose) -> list[Layer]:
    """The hair of the head."""
    v = s.hair_volume
    hatted = s.hat != "none"
    if s.hat == "coif" or (s.hair == "bald" and s.hat in ("cap", "turban")):
        return []
    shell = Ellipsoid((0, -0.35 - 0.05 * s.age * (not s.woman), -0.17), (0.77 + 0.05 * v, 0.76 + 0.05 * v, 0.83))
    if s.hair == "bald":
        bodies = [Ellipsoid((side * 0.56, 0.0, -0.25), (0.19 + 0.06 * v, 0.36, 0.44)) for side in (-1, 1)]
    elif s.hair == "short":
        bodies = [
            *([] if hatted else [shell]),
            *(Ellipsoid((side * 0.58, -0.06, -0.18), (0.16, 0.42, 0.40)) for side in (-1, 1)),
        ]
    else:
        drop = {"bob": 0.28, "long": 0.62, "curls": 0.30}[s.hair]
        out = {"bob": 0.20, "long": 0.20, "curls": 0.34}[s.hair] + 0.08 * v
        bodies = [] if hatted else [shell]
        for side in (-1, 1):
            bodies += [
                Ellipsoid((side * 0.62, 0.00, -0.18), (out, 0.56, 0.42)),
                Ellipsoid((side * (0.70 + 0.3 * out), 0.2 + drop, -0.22), (out + 0.04, 0.36 + 0.3 * drop, 0.36)),
            ]
            if not hatted:  # parted over the brow
                bodies.append(Ellipsoid((side * 0.42, -0.52, 0.14), (0.36, 0.26 + 0.1 * v, 0.40), (0, 0, side * 0.7)))
    return [_hairy(frame, bodies, s, pose, 0.032 + 0.02 * v, 1.2 if s.hair == "curls" else 0.5)]


def beard(frame: Frame, s: Sitter, pose: Pose) -> list[Layer]:
    """Beard and moustache."""
    mouth_y = 0.60 + 0.06 * (s.length - 0.5)
    bodies: list[Ellipsoid] = []
    if s.beard in ("moustache", "goatee", "full"):
        bodies += [
            Ellipsoid(
                (side * 0.12, mouth_y - 0.075, 0.63),
                (0.15, 0.036 + 0.02 * s.hair_volume, 0.13),
                (0, 0, side * (0.30 - 0.3 * s.smile)),
            )
            for side in (-1, 1)
        ]
    if s.beard == "goatee":
        bodies.append(Ellipsoid((0, mouth_y + 0.30, 0.52), (0.13 + 0.07 * s.hair_volume, 0.20, 0.20)))
    if s.beard == "full":
        length = 0.30 + 0.35 * s.hair_volume
        bodies.append(Ellipsoid((0, mouth_y + 0.22 + 0.4 * length, 0.36), (0.40, length, 0.34), (0, 0.15, 0)))
        bodies += [
            Ellipsoid((side * 0.46, mouth_y + 0.03, 0.20), (0.20, 0.36, 0.32), (0, 0, side * 0.25)) for side in (-1, 1)
        ]
    return [_hairy(frame, bodies, s, pose, 0.022, 0.7)] if bodies else []


def _hairy(frame: Frame, bodies: Sequence[Ellipsoid], s: Sitter, pose: Pose, depth: float, curl: float) -> Layer:
    """Bodies covered with locks: strands run down, waved by `curl`."""
    window, height = relief(frame, bodies, pose, melt=0.06)
    view = frame.crop(window)
    x, y, z = own_space(view, height, pose)
    around = np.arctan2(x, z + 0.6)
    wave = curl * noise(around * 2 + s.offset[0], y * 2.2 + s.offset[1])
    locks = noise(around * 7 + 1.6 * wave + s.offset[1], y * 1.5 + wave)
    strands = noise(around * 22 + 3 * wave, y * 2.5 + s.offset[0])
    wisps = noise(around * 46 + 6 * wave, y * 3 + s.offset[1])
    there = height > FAR / 2
    ragged = np.where(there, height + depth * (0.6 * locks + 0.18 * strands + 0.5 * wave), FAR)
    tone = np.clip(0.80 + 0.18 * locks + 0.22 * strands + 0.24 * wisps, 0.2, 1.7)
    return Layer(
        window, ragged, tone[..., None] * paint(s.hair_colour), gloss=0.10 * np.clip(tone - 0.4, 0, 1), soft=0.10
    )
