"""Pictures with known colours, and pieces of films of them."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from artgen.film.colour import as_frames
from artgen.film.encoding import choose_encoding
from artgen.film.segments import SegmentWriter
from artgen.videos import OutputOptions

COLOURS = np.array(
    [
        [(0, 0, 0), (255, 255, 255), (255, 0, 0), (0, 255, 0)],
        [(0, 0, 255), (0, 170, 0), (255, 255, 0), (128, 128, 128)],
        [(200, 120, 90), (20, 40, 60), (250, 5, 130), (90, 200, 220)],
    ],
    np.uint8,
)
CARD = COLOURS.repeat(16, 0).repeat(16, 1)  # (48, 64, 3)


def worst(frame, card=CARD):
    """The largest difference from a card, away from the edges of its 4 by 3 squares."""
    side = card.shape[0] // 3
    difference = np.abs(frame.astype(int) - card).reshape(3, side, 4, side, 3)
    return difference[:, side // 4 : -side // 4, :, side // 4 : -side // 4].max()


def as_pictures(frames):
    """Frames, (N, H, W, 3) uint8 -> (N, 3, H, W) float in [-1, 1]."""
    return (np.asarray(frames).transpose(0, 3, 1, 2) / 127.5 - 1).astype(np.float32)


def waves(count, height, width):
    """A smooth picture that moves: (N, H, W, 3) uint8."""
    y, x = np.mgrid[:height, :width] / max(height, width)
    hues = np.array([1, 1.3, 1.7])
    times = np.arange(count)[:, None, None, None] / 20
    drawn = np.sin(6 * x[..., None] * hues + 9 * times + np.sin(5 * y[..., None] + 4 * times) * hues)
    return (128 + 100 * drawn).astype(np.uint8)


def encoding_of(kind, size, rate=25, **options):
    return choose_encoding(OutputOptions(format=kind, **options), size, Fraction(rate))


def in_pieces(folder, encoding, frames, lengths):
    """Write frames, (N, H, W, 3) uint8, as pieces of these lengths."""
    coded, paths, start = as_frames(as_pictures(frames), encoding.form), [], 0
    for number, length in enumerate(lengths):
        paths.append(folder / f"piece-{number}")
        with SegmentWriter(paths[-1], encoding) as piece:
            for frame in coded[start : start + length]:
                piece.add(frame)
        start += length
    assert start == len(frames)
    return paths
