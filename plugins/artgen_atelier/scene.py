"""Layers put one before the other by height, then lit by one raking light."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from artgen_atelier.canvas import FAR, Field, Frame, blend, blurred, smoothstep
from artgen_atelier.sitter import Sitter


@dataclass(frozen=True)
class Layer:
    """One body of the scene.

    Args:
        window: Rows and columns of the frame that it fills.
        height: Height towards the viewer (h, w), in heads; `FAR` where it is not.
        colour: Albedo (h, w, 3), linear.
        gloss: Strength of the highlight.
        glow: Light of its own (h, w): the spark in an eye.
        soft: Width over which its edge melts into what is behind it, in heads.
    """

    window: tuple[slice, slice]
    height: Field
    colour: Field
    gloss: Field | float = 0.0
    glow: Field | float = 0.0
    soft: float = 0.02


class Scene:
    """What stands before the ground."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.height = np.full(frame.x.shape, FAR)
        self.colour = np.zeros((*frame.x.shape, 3), np.float32)
        self.gloss = np.zeros(frame.x.shape, np.float32)
        self.glow = np.zeros(frame.x.shape, np.float32)

    def add(self, layer: Layer) -> None:
        """Put a layer into the scene: in front where it is higher, hidden where it is lower."""
        at = layer.window
        behind = self.height[at]
        coverage = smoothstep(-layer.soft, layer.soft, layer.height - behind)
        self.colour[at] = blend(self.colour[at], layer.colour, coverage)
        for total, own in ((self.gloss, layer.gloss), (self.glow, layer.glow)):
            total[at] += (own - total[at]) * coverage
        self.height[at] = np.maximum(behind, layer.height)

    def lit(self, s: Sitter) -> tuple[Field, Field, Field]:
        """Light the scene.

        Returns:
            The picture (H, W, 3) in linear light, the figure's coverage (H, W), and the direction (H, W) in radians
            that a brush takes along the forms.
        """
        pixel, (lx, ly, lz) = self.frame.pixel, s.light
        figure = (self.height > FAR / 2).astype(np.float32)
        there = smoothstep(0.5, 1.0, blurred(figure, 0.025 / pixel + 0.3))
        height = np.maximum(self.height, np.float32(-1.6))
        slope = np.float32(1 / (8 * pixel))
        dx = np.clip(cv2.Sobel(height, cv2.CV_32F, 1, 0, borderType=cv2.BORDER_REPLICATE) * slope, -4, 4)
        dy = np.clip(cv2.Sobel(height, cv2.CV_32F, 0, 1, borderType=cv2.BORDER_REPLICATE) * slope, -4, 4)
        nz = 1 / np.sqrt(1 + dx * dx + dy * dy)
        facing = (-lx * dx - ly * dy + lz) * nz
        shadow = self._shadow(height, s)
        broad = blurred(height, 0.10 / pixel)
        crevice = np.exp(-2.2 * np.maximum(broad - height, 0))
        form = np.arctan2(cv2.Sobel(broad, cv2.CV_32F, 1, 0), -cv2.Sobel(broad, cv2.CV_32F, 0, 1))
        # Half-tones reach a little past the terminator, as flesh does.
        direct = np.maximum(np.float32(1 / 1.06) * (facing + 0.06), 0) * shadow
        pool = np.exp(-np.square(self.frame.x - 0.3 * lx) / 2.6 - np.square(self.frame.y - 0.05) / 2.2)
        direct *= s.light_strength * (0.16 + 0.84 * pool)
        rebound = np.maximum((lx * dx + 0.5 * ly * dy + 0.3) * nz, 0)  # light thrown back by the room
        colour = self.colour * (
            direct[..., None] * np.array((2.15, 1.70, 1.20), np.float32)
            + (crevice * (0.5 + 0.5 * pool))[..., None] * np.array((0.040, 0.030, 0.021), np.float32)
            + (crevice * rebound)[..., None] * np.array((0.055, 0.035, 0.020), np.float32)
        )
        # Blinn-Phong highlight with the half vector between light and viewer.
        hx, hy, hz = lx, ly, lz + 1
        half = np.maximum((-hx * dx - hy * dy + hz) * nz / np.sqrt(hx * hx + hy * hy + hz * hz), 0)
        shine = self.gloss * shadow * half**24 + 0.5 * self.glow * (0.25 + direct)
        colour += shine[..., None] * np.array((1.0, 0.93, 0.80), np.float32)
        return colour, there, form

    def _shadow(self, height: Field, s: Sitter) -> Field:
        """How much of the light reaches each point: steps towards it over the heights, with soft edges."""
        rows, columns = height.shape
        lit = np.ones_like(height)
        for reach in 0.05 * 1.42 ** np.arange(10):
            shift = np.array(
                [[1, 0, s.light[0] * reach / self.frame.pixel], [0, 1, s.light[1] * reach / self.frame.pixel]]
            )
            over = cv2.warpAffine(
                height,
                shift,
                (columns, rows),
                flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                borderMode=cv2.BORDER_CONSTANT,
                borderValue=float(FAR),
            )
            clear = 1 - (over - height - np.float32(s.light[2] * reach)) * np.float32(1 / (0.04 + 0.10 * reach))
            np.minimum(lit, clear, out=lit)
        return blurred(np.clip(lit, 0, 1), 0.018 / self.frame.pixel + 0.3)
