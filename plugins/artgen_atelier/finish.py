"""The ground behind the figure, then what the brush and time do: strokes, varnish, cracks, tone."""

from __future__ import annotations

import cv2
import numpy as np

from artgen_atelier.canvas import Field, Frame, blend, noise, paint, smoothstep
from artgen_atelier.sitter import Sitter


def ground(frame: Frame, s: Sitter) -> Field:
    """A dark ground, scumbled, with a soft lighter place behind the shadowed side of the head. (H, W, 3), linear."""
    x, y, (a, b) = frame.x, frame.y, s.offset
    cloud = 0.6 * noise(0.55 * x + a, 0.55 * y + b) + 0.3 * noise(1.3 * x + b, 1.3 * y + a)
    scumble = noise(3.2 * x + 1.6 * y + a, 5.0 * y - 2.0 * x + b)
    halo = np.exp(-np.square((x - np.float32(1.1 * s.halo_side)) / 1.5) - np.square((y + 0.15) / 1.5))
    tone = 0.26 + 0.85 * s.halo * halo
    tone = tone * np.exp(0.20 * cloud + 0.08 * scumble) * smoothstep(3.6, -0.6, y).clip(0.25, 1)
    return np.asarray(tone[..., None] * paint(s.ground), np.float32)


def brushed(picture: Field, direction: Field, frame: Frame, s: Sitter) -> Field:
    """Drag the paint along `direction` (H, W, radians) in strokes, thicker in the lights.

    The strokes are noise averaged along the direction (line integral convolution, Cabral and Leedom 1993), short enough
    to be seen singly. Their heights push the paint aside and catch the light.
    """
    a, b = s.offset
    along_x, along_y = np.cos(direction), np.sin(direction)
    fine = np.float32(11 / s.stroke)
    strokes = np.zeros_like(frame.x)
    for step in np.linspace(-1, 1, 5, dtype=np.float32):
        away = step * np.float32(0.16 * s.stroke)
        strokes += noise(fine * (frame.x + away * along_x) + a, fine * (frame.y + away * along_y) + b)
    strokes *= np.float32(0.4)
    rows, columns = strokes.shape
    jx, jy = np.meshgrid(np.arange(columns, dtype=np.float32), np.arange(rows, dtype=np.float32))
    push = strokes * np.float32(0.012 * s.stroke / frame.pixel)
    moved = cv2.remap(
        picture, jx - push * along_y, jy + push * along_x, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
    )
    ridge = (
        s.light[0] * cv2.Sobel(strokes, cv2.CV_32F, 1, 0) + s.light[1] * cv2.Sobel(strokes, cv2.CV_32F, 0, 1)
    ) * np.float32(-0.014 / (8 * frame.pixel))
    light = moved.mean(2)
    relief = 1 + np.clip(ridge, -0.5, 0.5) * (0.25 + 0.5 * smoothstep(0.02, 0.4, light))
    hue = np.array((0.14, 0.12, 0.09), np.float32)  # a loaded brush varies in warmth too
    return moved * (relief[..., None] + (strokes * (1 - 0.75 * smoothstep(0.02, 0.3, light)))[..., None] * hue)


def varnished(picture: Field, x: Field, y: Field, s: Sitter) -> Field:
    """Tone curve, old varnish, darker corners and cracks: linear light to sRGB, 0 to 1.

    `x`, `y` (H, W) run from -1 to 1 along the shorter side.
    """
    picture = picture * (1 - 0.55 * s.vignette * smoothstep(0.55, 1.5, np.sqrt(x * x + y * y)))[..., None]
    picture = 1.06 * (1 - np.exp(-1.25 * picture))  # paint saturates in the lights
    glaze = np.array((1.0, 0.91, 0.73), np.float32) ** (0.3 + s.varnish)
    seen = np.power(np.clip(picture * glaze, 0, 1), np.float32(1 / 2.2))
    # The darks of an old varnish are brown, not black.
    seen = seen + (1 - seen) * np.array((0.050, 0.036, 0.022), np.float32) * (0.5 + s.varnish)
    if s.cracks:
        a, b = s.offset
        bend = 0.35 * noise(6 * x + a, 6 * y + b)
        crack = np.maximum(
            *(np.exp(-np.square(noise(11 * x + bend + i * a, 11 * y + b + i * 3.7) / 0.06)) for i in (0, 1))
        )
        seen = blend(seen, 0.55 * seen, 0.18 * s.cracks * crack)
    return np.asarray(np.clip(seen, 0, 1), np.float32)
