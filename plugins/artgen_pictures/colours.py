"""The colours of one picture given to another (Gatys et al. 2017, "Controlling Perceptual Factors in Neural Style
Transfer", arXiv 1611.07865, section 5; Gatys et al. 2016, "Preserving Color in Neural Artistic Style Transfer",
arXiv 1606.05897).

Colours are RGB from 0 to 1. A map x -> T x + b that gives the colours of a picture with covariance A the mean and the
covariance B of another's must have T A T' = B; the ways to choose T differ by a rotation.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from artgen.data import Pictures, StylePicture
from artgen.data.images import Picture

Colours = Literal["free", "style", "content", "luminance"]
Matching = Literal["symmetric", "cholesky", "pca"]
Matrix = NDArray[np.float64]

LUMA = np.array([0.299, 0.587, 0.114])
"""How much of each channel is in the luminance: Y of YIQ."""

_EPSILON = 1e-5  # added to variances, as in the authors' code: a grey picture has none between its channels
_AT_ONCE = 1 << 20  # pixels


class Moments(NamedTuple):
    """Mean (3,) and covariance (3, 3) of colours."""

    mean: Matrix
    covariance: Matrix


class Map(NamedTuple):
    """x -> matrix x + offset."""

    matrix: Matrix
    offset: Matrix

    def __call__(self, picture: Picture) -> NDArray[np.float32]:
        """Recolour a picture (..., 3) of bytes; the result may leave 0 to 1."""
        matrix, offset = self.matrix.T.astype(np.float32) / 255, self.offset.astype(np.float32)
        return np.asarray(picture.astype(np.float32) @ matrix + offset)


def moments(pictures: Iterable[Picture], share: NDArray[Any] | None = None) -> Moments:
    """Mean and covariance of the colours of pictures (H, W, 3) of bytes, together; `share` (H, W) weighs pixels."""
    weight, total, squares = 0.0, np.zeros(3), np.zeros((3, 3))
    for picture in pictures:
        colours = picture.reshape(-1, 3)
        shares = None if share is None else share.reshape(-1, 1)
        for first in range(0, len(colours), _AT_ONCE):
            some = colours[first : first + _AT_ONCE] / 255
            weights = np.ones((len(some), 1)) if shares is None else shares[first : first + _AT_ONCE] / 255
            weight += float(weights.sum())
            total += (weights * some).sum(0)
            squares += (weights * some).T @ some
    mean = total / weight
    return Moments(mean, squares / weight - np.outer(mean, mean))


def mixed(parts: Sequence[Moments], weights: Sequence[float]) -> Moments:
    """The weighted mean of means and of covariances."""
    shares = np.array(weights) / sum(weights)
    means, covariances = (np.stack(column) for column in zip(*parts, strict=True))
    return Moments(np.tensordot(shares, means, 1), np.tensordot(shares, covariances, 1))


def matched(given: Moments, wanted: Moments, matching: Matching) -> Map:
    """The map that gives colours with these moments those that are wanted."""
    a, b = (one.covariance + _EPSILON * np.eye(3) for one in (given, wanted))
    if matching == "cholesky":
        t = np.linalg.cholesky(b) @ np.linalg.inv(np.linalg.cholesky(a))
    elif matching == "pca":
        t = _root(b) @ np.linalg.inv(_root(a))
    else:
        root = _root(a)
        inverse = np.linalg.inv(root)
        t = inverse @ _root(root @ b @ root) @ inverse
    return Map(np.asarray(t), wanted.mean - t @ given.mean)


def matched_luminance(given: Moments, wanted: Moments) -> Map:
    """The map to greys that have the mean and deviation of the luminance that is wanted."""
    variances = [LUMA @ one.covariance @ LUMA + _EPSILON for one in (given, wanted)]
    factor = np.sqrt(variances[1] / variances[0])
    matrix = np.tile(factor * LUMA, (3, 1))
    return Map(matrix, LUMA @ wanted.mean - matrix @ given.mean)


GREY = Map(np.tile(LUMA, (3, 1)), np.zeros(3))
"""The map to the luminance."""


def _root(symmetric: Matrix) -> Matrix:
    """The square root of a symmetric positive matrix, which is one too."""
    values, vectors = np.linalg.eigh(symmetric)
    return np.asarray(vectors * np.sqrt(values.clip(0)) @ vectors.T)


def recoloured(
    contents: Pictures, seen: Sequence[Picture], styles: Sequence[StylePicture], colours: Colours, matching: Matching
) -> tuple[Pictures, tuple[StylePicture, ...]]:
    """Contents (N, H, W, 3) and styles in the colours in which one is to be made of the other.

    One map serves all contents; those `seen` stand for them. A style is looked at where it is meant (`part`), a content
    where the style is wanted (`where`).
    """
    if colours == "free":
        return contents, tuple(styles)
    if colours == "style":
        return _like_styles(contents, seen, styles, matching), tuple(styles)
    made = []
    for style in styles:
        given, wanted = moments([style.picture], style.part), moments(seen, style.where)
        change = matched(given, wanted, matching) if colours == "content" else matched_luminance(given, wanted)
        made.append(replace(style, picture=_as_bytes(change(style.picture))))
    if colours == "luminance":
        contents = np.stack([_as_bytes(GREY(content)) for content in contents])
    return contents, tuple(made)


def _like_styles(
    contents: Pictures, seen: Iterable[Picture], styles: Sequence[StylePicture], matching: Matching
) -> Pictures:
    """Contents in the colours of the styles, region by region; where none is wanted, they stay as they are."""
    regions: dict[bytes, list[StylePicture]] = {}
    for style in styles:
        regions.setdefault(b"" if style.where is None else style.where.tobytes(), []).append(style)
    maps, shares = [], []
    for inside in regions.values():
        wanted = mixed([moments([one.picture], one.part) for one in inside], [one.weight for one in inside])
        where = inside[0].where
        maps.append(matched(moments(seen, where), wanted, matching))
        shares.append(np.ones(contents.shape[1:3], np.float32) if where is None else where.astype(np.float32) / 255)
    total = np.maximum(sum(shares), 1)  # where masks overlap, they share
    kept = np.maximum(1 - sum(shares), 0)[..., None]
    made = np.empty_like(contents)
    for index, content in enumerate(contents):
        parts = [change(content) * (share / total)[..., None] for change, share in zip(maps, shares, strict=True)]
        made[index] = _as_bytes(sum(parts, kept * content / 255))
    return made


def _as_bytes(colours: NDArray[np.floating[Any]]) -> Picture:
    """Colours from 0 to 1, clipped, as bytes."""
    return np.asarray(np.rint(colours.clip(0, 1) * 255), np.uint8)
