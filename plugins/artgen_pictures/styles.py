"""From files to styles: pictures as large as they should be beside the content, and masks on either."""

from __future__ import annotations

import stat
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from artgen import DataError
from artgen.data import StylePicture
from artgen.data.images import MAX_PIXELS, read, read_with_alpha, resize, shown
from artgen_pictures import RepaintingOptions, StyleOptions
from artgen_pictures.studio import builtin, half

Mask = NDArray[np.uint8]

_BUILTIN_SHAPE = 4 / 5  # height over width
_SHAPES_DIFFER = 0.02  # of what is one shape, the ratios of the sides may differ so far: one side may be rounded


def read_styles(
    options: RepaintingOptions, size: tuple[int, int]
) -> tuple[tuple[StylePicture, ...], dict[str, list[str]]]:
    """The styles of contents of (height, width) pixels, and what the user should know of them.

    Raises:
        DataError: A file cannot be read, or a mask does not fit or is black.
    """
    longer_px = max(4, round(options.style_scale * max(size)))
    styles, enlarged = [], []
    for style in options.style:
        read_style, is_enlarged = _read(style, longer_px, size)
        styles.append(read_style)
        if is_enlarged:
            enlarged.append(_name(style))
    notes = {"styles": [_name(style) for style in options.style]}
    return tuple(styles), notes | ({"enlarged_styles": enlarged} if enlarged else {})


def is_folder(path: str, remedy: str) -> bool:
    """Whether this is a folder rather than a file.

    Raises:
        DataError: There is neither.
    """
    try:
        return stat.S_ISDIR(Path(path).stat().st_mode)
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise DataError(reason, place=shown(path), remedy=remedy) from error


def _name(style: StyleOptions) -> str:
    return style.path if style.path.startswith("builtin:") else shown(Path(style.path).name)


def _read(style: StyleOptions, longer_px: int, size: tuple[int, int]) -> tuple[StylePicture, bool]:
    """A style whose longer side has so many pixels, and whether it had fewer before."""
    where = _mask(style.where, size, "the content") if style.where else None
    if style.path.startswith("builtin:"):
        picture = builtin(style.path, (max(4, round(_BUILTIN_SHAPE * longer_px)), longer_px))
        alpha, share = None, 1.0
    else:
        if is_folder(style.path, "Give a picture as `style`."):
            raise DataError(
                "a style is one picture, and this is a folder",
                place=shown(style.path),
                remedy="Name pictures: they are blended. `artgen translate RECIPE --style FOLDER` makes one for each.",
            )
        picture, alpha = read_with_alpha(style.path)
        share = longer_px / max(picture.shape)
        height, width = (max(4, round(side * share)) for side in picture.shape[:2])
        if height * width > MAX_PIXELS:
            raise DataError(
                f"it would be taken at {width}x{height} px; the limit is {MAX_PIXELS:,} pixels in all",
                place=shown(style.path),
                remedy="Lower `style_scale`.",
            )
        picture = resize(picture, (height, width))
        alpha = None if alpha is None or alpha.min() == 255 else resize(alpha, (height, width))
    part = _mask(style.part, picture.shape[:2], "the style") if style.part else None
    if alpha is not None:  # what is transparent is no part of a style
        part = alpha if part is None else np.minimum(part, alpha)
    if part is not None and not part.any():
        raise DataError(
            "nothing of this style is left: it is transparent where it is meant",
            place=_name(style),
            remedy="Give it a background, or another `part`.",
        )
    return StylePicture(picture, style.weight, where, part), share > 1


def _mask(path: str, size: tuple[int, int], of: str) -> Mask:
    """A grey picture (H, W), of (height, width) pixels: 255 for what is meant. The program paints halves itself."""
    if path.startswith("builtin:"):
        return half(path, size)
    grey = cv2.cvtColor(read(path), cv2.COLOR_RGB2GRAY)
    across, down = grey.shape[1] * size[0], size[1] * grey.shape[0]
    if abs(across - down) > _SHAPES_DIFFER * max(across, down):
        raise DataError(
            f"this mask has {grey.shape[1]}x{grey.shape[0]} px, another shape than {of}, which has {size[1]}x{size[0]}",
            place=shown(path),
            remedy=f"Draw it over {of}.",
        )
    fitted = cv2.resize(grey, size[::-1], interpolation=cv2.INTER_AREA)
    if not fitted.any():
        raise DataError(
            "this mask is black: the style would be wanted nowhere",
            place=shown(path),
            remedy="White is where it is wanted.",
        )
    return np.asarray(fitted, np.uint8)
