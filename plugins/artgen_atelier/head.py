"""The head: a score of ellipsoids for skull and features, then the colours of the skin, eyes, brows and mouth."""

from __future__ import annotations

import numpy as np

from artgen_atelier.canvas import (
    FAR,
    Ellipsoid,
    Field,
    Frame,
    Pose,
    bell,
    blend,
    blurred,
    noise,
    own_space,
    paint,
    relief,
    smoothstep,
)
from artgen_atelier.scene import Layer
from artgen_atelier.sitter import Sitter

EYE_Y = 0.0


def eye_x(sitter: Sitter) -> float:
    """Distance of an eye from the middle of the face."""
    return 0.285 + 0.03 * (sitter.eye_gap - 0.5)


def _bodies(s: Sitter) -> list[Ellipsoid]:
    """Skull and features, facing the viewer, the eyes at y = 0 and the chin at about y = 1."""
    wide, jaw, chin = 0.90 + 0.16 * s.weight, 0.40 + 0.16 * s.jaw + 0.06 * s.weight, 0.94 + 0.10 * (s.length - 0.5)
    nose_y, mouth_y, ex = 0.38 + 0.08 * (s.length - 0.5), 0.60 + 0.06 * (s.length - 0.5), eye_x(s)
    old, thin = max(0.0, s.age - 0.5), max(0.0, 0.6 - s.weight)
    hatted = s.hat not in ("none", "coif")
    bodies = [
        Ellipsoid(
            (0, -0.26, -0.10), (0.70 * wide, 0.60 if hatted else 0.74, 0.80 if hatted else 0.84)
        ),  # skull, pressed by a hat
        Ellipsoid((0, 0.18, 0.10), (0.59 * wide, 0.78, 0.60)),  # face
        Ellipsoid((0, 0.55, 0.14), (jaw, 0.40, 0.52)),  # jaw
        Ellipsoid((0, chin - 0.14, 0.46), (0.17 + 0.07 * s.jaw, 0.16, 0.20)),  # chin
        Ellipsoid((0, 0.59, 0.46), (0.30, 0.22, 0.24)),  # round the mouth
        Ellipsoid((0, -0.36, 0.34), (0.46, 0.22 if hatted else 0.34, 0.36 if hatted else 0.40)),  # forehead
        # Nose: ridge, tip, wings.
        Ellipsoid(
            (0, 0.5 * nose_y - 0.03, 0.66), (0.075 + 0.02 * s.nose_width, 0.33, 0.16 + 0.05 * s.nose), (0, -0.42, 0)
        ),
        Ellipsoid((0, nose_y - 0.03, 0.75 + 0.07 * s.nose), (0.095 + 0.04 * s.nose_width, 0.10 + 0.02 * s.nose, 0.14)),
        Ellipsoid((0, mouth_y - 0.035, 0.665), (0.17 + 0.05 * s.mouth, 0.030 + 0.02 * s.lips, 0.065)),
        Ellipsoid((0, mouth_y + 0.050, 0.660), (0.13 + 0.05 * s.mouth, 0.035 + 0.03 * s.lips, 0.07)),
    ]
    for side in (-1, 1):
        bodies += [
            Ellipsoid((side * 0.30, 0.22, 0.26), (0.23, 0.24 + 0.05 * s.weight, 0.27 + 0.05 * thin)),  # cheekbone
            Ellipsoid((side * 0.33, 0.46 + 0.10 * old, 0.26), (0.20, 0.26, 0.14 + 0.14 * s.weight)),  # cheek
            Ellipsoid((side * 0.22, -0.20, 0.44), (0.27, 0.13, 0.16 + 0.06 * s.brow), (0, 0, side * 0.12)),  # brow
            Ellipsoid((side * (0.10 + 0.03 * s.nose_width), nose_y, 0.64), (0.08, 0.075, 0.12)),  # wing of the nose
            Ellipsoid((side * 0.70 * wide, 0.10, -0.10), (0.07, 0.19, 0.12), (side * 0.4, 0, side * 0.12)),  # ear
            Ellipsoid((side * ex, 0.01, 0.44), (0.15, 0.125, 0.15)),  # eyeball in its lids
        ]
    return bodies


def head(frame: Frame, s: Sitter, pose: Pose) -> Layer:
    """The head as a layer of the scene; its skin is dented by sockets, folds and wrinkles."""
    window, height = relief(frame, _bodies(s), pose, melt=0.075)
    view = frame.crop(window)
    there = height > FAR / 2
    height = np.where(there, blurred(np.maximum(height, -0.6), 0.016 / frame.pixel + 0.2), FAR)  # flesh has no seams
    x, y, z = own_space(view, height, pose)
    front = smoothstep(0.05, 0.25, z) * there
    ax, ex = np.abs(x), eye_x(s)  # the face is symmetric: one pass serves both sides
    nose_y, mouth_y = 0.38 + 0.08 * (s.length - 0.5), 0.60 + 0.06 * (s.length - 0.5)
    old = float(np.clip(s.age * 1.3 - 0.35, 0, 1))

    socket = bell(ax, y, (ex - 0.03, -0.05), (0.17, 0.13))
    inner = bell(ax, y, (0.13, -0.03), (0.07, 0.10))
    ball = bell(ax, y, (ex, 0.01), (0.12, 0.09))
    fold_x = 0.15 + 0.55 * (y - nose_y)
    fold = bell(ax - fold_x, y, (0, 0.5 * (nose_y + mouth_y)), (0.05, 0.11))
    bag = bell(ax, y, (ex, 0.16), (0.13, 0.035))
    philtrum = bell(ax, y, (0, 0.5 * (nose_y + mouth_y)), (0.04, 0.06))
    wrinkles = np.sin(y * np.float32(34) + 2 * x * x + 1.3 * noise(x * 3 + s.offset[0], y * 3)) * bell(
        ax, y, (0, -0.42), (0.40, 0.16)
    )
    dents = (
        0.13 * socket + 0.06 * inner - 0.085 * ball + (0.004 + 0.03 * old) * fold + (0.004 + 0.022 * old) * bag
        + 0.012 * philtrum + 0.007 * old * wrinkles
        + (0.001 + 0.004 * old) * noise(x * 5 + s.offset[1], y * 5)
    )  # fmt: skip
    height = np.where(there, height - np.float32(pose[2, 2]) * dents * front, FAR)

    # Flesh: a ruddy middle of the face, a cooler jaw, a yellow forehead.
    skin = np.broadcast_to(paint(s.skin), (*x.shape, 3)).copy()
    red = (
        0.55
        * s.ruddy
        * (
            bell(ax, y, (0.36, 0.27), (0.20, 0.18))
            + bell(ax, y, (0, nose_y), (0.15, 0.14))
            + 0.5 * bell(ax, y, (0.7, 0.1), (0.15, 0.3))
        )
    )
    skin = blend(skin, paint((0.76, 0.36, 0.26)), np.clip(red + 0.06 * noise(x * 4, y * 4), 0, 0.8))
    skin = blend(skin, paint((0.66, 0.46, 0.36)), 0.55 * np.maximum(socket - 0.4 * ball, 0) * (0.6 + 0.4 * s.age))
    if not s.woman:
        shaven = smoothstep(0.34, 0.62, y - 0.25 * ax) * (1 if s.beard == "stubble" else 0.35)
        shaven = np.maximum(
            shaven,
            bell(ax, y, (0, 0.5 * (nose_y + mouth_y) + 0.02), (0.24, 0.07)) * (0.8 if s.beard == "stubble" else 0.3),
        )
        skin = blend(skin, paint((0.42, 0.33, 0.27)), 0.6 * shaven * front)
    skin = _mouth(skin, s, x, y, mouth_y, front)
    nostril = bell(ax, y, (0.065 + 0.02 * s.nose_width, nose_y + 0.075), (0.040, 0.024))
    skin = blend(skin, paint((0.16, 0.07, 0.05)), 0.85 * nostril * front)
    skin, glint = _eyes(skin, s, x, y, ex, front)
    brow_y = -0.165 - 0.03 * s.brow + 0.35 * np.square(ax - ex - 0.02) + 0.05 * (ex - ax)
    brow = (
        np.exp(-np.square((y - brow_y) * np.float32(1 / (0.026 + 0.022 * s.brow))))
        * smoothstep(0.07, 0.15, ax)
        * smoothstep(0.53, 0.40, ax)
    )
    skin = blend(
        skin,
        0.8 * paint(s.hair_colour),
        (0.45 + 0.4 * s.brow) * brow * front * (1 + 0.25 * noise(x * 22, y * 9)).clip(0, 1),
    )
    oil = 0.10 + 0.16 * (
        bell(ax, y, (0, nose_y - 0.03), (0.09, 0.1))
        + bell(ax, y, (0.1, -0.42), (0.3, 0.16))
        + 0.5 * bell(ax, y, (0.36, 0.2), (0.14, 0.1))
    )
    return Layer(window, height, skin, gloss=oil, glow=glint, soft=0.02)


def _mouth(skin: Field, s: Sitter, x: Field, y: Field, mouth_y: float, front: Field) -> Field:
    half = 0.19 + 0.07 * s.mouth
    ax = np.abs(x)
    line_y = mouth_y + 0.008 - 0.55 * s.smile * x * x + 0.012 * np.cos(x * np.float32(22))
    taper = np.clip(1 - np.square(x * np.float32(1 / half)), 0, 1)
    up, down = (0.035 + 0.035 * s.lips) * taper, (0.045 + 0.05 * s.lips) * np.sqrt(taper)
    above, below = line_y - y, y - line_y
    upper = smoothstep(-0.006, 0.006, above) * smoothstep(0.018, -0.012, above - up) * smoothstep(0, 0.3, taper)
    lower = smoothstep(-0.006, 0.006, below) * smoothstep(0.022, -0.018, below - down) * smoothstep(0, 0.3, taper)
    lip = paint((0.64, 0.27, 0.22) if s.woman else (0.58, 0.29, 0.23))
    skin = blend(skin, 0.58 * lip, (0.45 + 0.45 * s.lips) * upper * front)
    skin = blend(skin, 1.14 * lip, (0.40 + 0.45 * s.lips) * lower * front)
    parting = np.exp(-np.square((y - line_y) * np.float32(1 / 0.017))) * smoothstep(half + 0.05, half - 0.05, ax)
    return blend(skin, paint((0.20, 0.07, 0.05)), 0.85 * parting * front)


def _eyes(skin: Field, s: Sitter, x: Field, y: Field, ex: float, front: Field) -> tuple[Field, Field]:
    half, open_ = 0.145 + 0.025 * s.eye_size, 0.050 + 0.036 * s.eye_size - 0.014 * s.age
    side = np.where(x < 0, np.float32(-1), np.float32(1))
    e = np.abs(x) - np.float32(ex)
    across = e * np.float32(1 / half)
    arch = np.clip(1 - across * across, 0, 1)
    f = y - np.float32(EYE_Y + 0.012) + 0.02 * across  # the outer corner stands a little higher
    upper, lower = -open_ * np.sqrt(arch), 0.62 * open_ * arch
    inside = smoothstep(-0.012, 0.016, np.minimum(f - upper, lower - f)) * smoothstep(0, 0.12, arch)
    white = blend(
        np.broadcast_to(paint((0.70, 0.63, 0.54)), skin.shape),
        paint((0.35, 0.22, 0.17)),
        smoothstep(0.4, 1.0, np.abs(across)),
    )
    gx = e * side - 0.045 * s.gaze[0]
    gy = f + 0.012 - 0.03 * s.gaze[1]
    away = np.sqrt(gx * gx + gy * gy)
    white = blend(white, paint((0.17, 0.11, 0.07)), smoothstep(0.078, 0.058, away))
    white = blend(white, paint((0.02, 0.015, 0.012)), smoothstep(0.042, 0.026, away))
    white = white * (1 - 0.55 * smoothstep(0.05, 0.0, f - upper))[..., None]  # the lid's shadow
    skin = blend(skin, white, inside * front)
    lash = np.exp(-np.square((f - upper + 0.004) * np.float32(1 / 0.017))) * smoothstep(1.15, 0.85, np.abs(across))
    crease = np.exp(-np.square((f - 1.25 * upper + 0.038) * np.float32(1 / 0.018))) * smoothstep(
        1.25, 0.7, np.abs(across)
    )
    rim = np.exp(-np.square((f - lower - 0.012) * np.float32(1 / 0.016))) * smoothstep(1.05, 0.6, np.abs(across))
    skin = blend(skin, paint((0.10, 0.055, 0.04)), 0.88 * lash * front)
    skin = blend(skin, paint((0.36, 0.20, 0.14)), 0.55 * crease * front)
    skin = blend(skin, paint((0.50, 0.26, 0.20)), 0.5 * rim * front)
    spark = np.exp(-(np.square(gx - 0.024 * s.light_side) + np.square(gy + 0.022)) * np.float32(1 / 0.014**2))
    return skin, spark * inside * front
