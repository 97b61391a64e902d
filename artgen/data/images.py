"""The one door for picture files. Whatever a file holds comes in as uint8 RGB, (H, W, 3), upright. Imports no torch.

Every format is read by Pillow. For JPEG it decodes at 1/2, 1/4 or 1/8 of the size where that suffices, nearly as fast
as OpenCV, and it refuses truncated data where OpenCV fills the rest with grey.

Conversions, each applied once:

- EXIF orientation: turned upright.
- Transparency: laid over white, as on paper; `read_with_alpha` tells it too.
- Grey: repeated. Palette: looked up. 16 bits a channel: the high byte. CMYK: to RGB.
- Embedded colour profile other than sRGB: to sRGB. An unusable profile is ignored.
- Several frames or pages: the first.

A map of labels may hold class numbers in place of colours: see `LABEL_COLOURS`.

What goes out is sRGB and says so by a colour profile: 8 bits a channel, or 16, as PNG or TIFF (`encode`).
"""

from __future__ import annotations

import functools
import io
import json
import stat
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageCms
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile, PngInfo
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from artgen import files
from artgen.errors import DataError

Picture = NDArray[np.uint8]
"""One RGB picture, (H, W, 3), uint8."""

Alpha = NDArray[np.uint8]
"""How opaque each pixel of a picture is, (H, W), uint8."""

Format = Literal["png", "png-16", "tiff-16"]
"""How a picture is written: PNG of 8 bits a channel, PNG or TIFF of 16."""
ENDINGS: Mapping[Format, str] = {"png": ".png", "png-16": ".png", "tiff-16": ".tif"}
"""What the name of a file of each format ends with."""

MAX_PIXELS = 100_000_000
"""A header that announces more is refused before anything is decoded."""
MAX_BYTES = 1 << 30
"""A larger file is not opened."""
ALPHA_OVER = (255, 255, 255)
"""The colour under transparent pixels: line drawings are mostly black on nothing."""


def _label_colours() -> NDArray[np.uint8]:
    number, colours = np.arange(256), np.zeros((256, 3), np.int64)
    for bit in range(8):
        channel, place = bit % 3, 7 - bit // 3
        colours[:, channel] |= (number >> bit & 1) << place
    return colours.astype(np.uint8)


LABEL_COLOURS = _label_colours()
"""The colour of each class number, (256, 3) uint8, where a map of labels brings none of its own.

The table of PASCAL VOC: the bits of the number, the lowest first, are dealt out to red, green and blue, the highest bit
of each first. So 0 is black, 1 is (128, 0, 0), 2 (0, 128, 0), 3 (128, 128, 0), 4 (0, 0, 128), and no two are alike.
"""

# Pillow's readers by the first bytes. They are called directly: `Image.open` knows 40 formats more, and plugins add to
# them; each is a parser that hostile files could reach.
_READERS: tuple[tuple[bytes, type[ImageFile]], ...] = (
    (b"\xff\xd8\xff", JpegImageFile),
    (b"\x89PNG\r\n\x1a\n", PngImageFile),
    (b"GIF87a", GifImageFile),
    (b"GIF89a", GifImageFile),
    (b"BM", BmpImageFile),
    (b"II*\x00", TiffImageFile),
    (b"MM\x00*", TiffImageFile),
    (b"II+\x00", TiffImageFile),
    (b"MM\x00+", TiffImageFile),
)
_FORMATS = "JPEG, PNG, WebP, GIF, BMP or TIFF"
HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1", b"avif", b"avis")
"""What stands behind `ftyp` in a picture of HEIC or AVIF, in place of a film."""
_NOTE = "artgen"
_IMAGE_DESCRIPTION = 270  # a tag of TIFF 6.0
_PNG_HEAD_BYTES = 8 + 4 + 4 + 13 + 4  # the signature; then length, name, content and checksum of the chunk IHDR

# EXIF orientation -> what turns the picture upright (Exif 2.3, tag 0x0112).
_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_LYING = (5, 6, 7, 8)  # height and width change places


@dataclass(frozen=True)
class Header:
    """What a file says about its picture; `height` and `width` are those of the upright picture, in pixels."""

    format: str
    height: int
    width: int
    turned: bool
    animated: bool


def read(path: str | Path) -> Picture:
    """Read one picture file at its full size.

    Raises:
        DataError: It is not a picture that can be read; `cause` says why.
    """
    return decode(path)[0]


def read_with_alpha(path: str | Path, *, labels: bool = False) -> tuple[Picture, Alpha | None]:
    """Read one picture file at its full size, and how opaque it is; None if the file says nothing of that.

    Raises:
        DataError: It is not a picture that can be read; `cause` says why.
    """
    picture, alpha, _ = _decoded(path, None, labels)
    return picture, alpha


def decode(
    path: str | Path, at_least: tuple[int, int] | None = None, *, labels: bool = False
) -> tuple[Picture, Header]:
    """Read one picture file, upright.

    Args:
        path: The file. Its name says nothing; the first bytes decide.
        at_least: (height, width) in pixels that suffice. A JPEG may come out smaller than it is stored, in the same
            proportions, but never below this where it was not below it before.
        labels: It is a map of labels. Grey values, of 8 or 16 bits, and the indices of a palette of greys are class
            numbers and get the colours of `LABEL_COLOURS`, but for a JPEG; all else is taken as it is drawn. It is
            never decoded smaller.

    Returns:
        The picture, and what the header said (the full size, whatever `at_least` is).

    Raises:
        DataError: It is not a picture that can be read; `cause` says why.
    """
    picture, _, header = _decoded(path, at_least, labels)
    return picture, header


def _decoded(path: str | Path, at_least: tuple[int, int] | None, labels: bool) -> tuple[Picture, Alpha | None, Header]:
    with _opened(path) as image:
        form, (width, height), orientation = image.format or "", image.size, _orientation(image)
        if at_least and not labels:  # a JPEG would blend the colours of neighbouring labels
            image.draft(None, at_least if orientation in _LYING else at_least[::-1])
        image.load()
        # Asked again: Pillow turns a TIFF while it loads, and a PNG may tell its orientation after the pixels.
        left = _orientation(image)
        turn = _UPRIGHT.get(left)
        picture, alpha = _rgb(_coloured(image) if labels else image)
        upright = picture if turn is None else picture.transpose(turn)
        if alpha is not None and turn is not None:
            alpha = alpha.transpose(turn)
        if form == "TIFF":
            width, height = upright.size
        elif left in _LYING:
            width, height = height, width
        # Not asked of a TIFF: counting its pages means reading the head of each.
        animated = form != "TIFF" and bool(getattr(image, "is_animated", False))
        header = Header(form, height, width, turned=turn is not None or orientation in _UPRIGHT, animated=animated)
        return np.asarray(upright), None if alpha is None else np.asarray(alpha), header


def sniff(start: bytes) -> type[ImageFile] | None:
    """Pillow's reader for a file that starts with these bytes (12 or more), or None if it is no allowed format."""
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return WebPImageFile
    return next((reader for magic, reader in _READERS if start.startswith(magic)), None)


def shown(name: str | Path) -> str:
    """A file name fit for a message: control characters and bytes that are no UTF-8 are escaped."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in str(name))


def resize(picture: Picture, size: tuple[int, int], *, labels: bool = False) -> Picture:
    """Resize to (height, width): by area where it shrinks, bicubic where it grows.

    With `labels` by nearest neighbour either way, which invents no colour.
    """
    height, width = size
    if picture.shape[:2] == (height, width):
        return picture
    shrinks = height <= picture.shape[0] and width <= picture.shape[1]
    # EXACT: plain INTER_NEAREST takes the upper left pixel of each block, a shift of half a block.
    method = cv2.INTER_NEAREST_EXACT if labels else cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, (width, height), interpolation=method), np.uint8)


def write_png(path: Path, picture: Picture) -> None:
    """Write a picture (H, W, 3) uint8 as PNG; `path` holds the whole picture or what it held before.

    Raises:
        OSError: The file cannot be written.
    """
    files.replace(path, encode_png(picture))


def encode(picture: NDArray[np.floating[Any]], form: Format, note: str = "") -> bytes:
    """A picture (H, W, 3), or (H, W, 4) with alpha, of floats from 0 to 1, as a file. What is beyond is clipped.

    Levels are rounded to the nearest, and nothing is dithered. A note is kept beside the pixels; `note_in` finds it.
    """
    if form == "png":
        return encode_png(np.rint(picture.clip(0, 1) * 255), note)
    levels = np.rint(picture.clip(0, 1) * 65535).astype(np.uint16)
    return _png_16(levels, note) if form == "png-16" else _tiff_16(levels, note)


def encode_png(picture: Picture | NDArray[np.floating[Any]], note: str = "") -> bytes:
    """A picture (H, W, 3) uint8, or (H, W, 4) with alpha, or anything that NumPy takes for one, as a PNG file.

    A note is kept beside the pixels, in a chunk of text; `note_in` finds it.
    """
    file, texts = io.BytesIO(), PngInfo()
    if note:
        texts.add_text(_NOTE, note)
    Image.fromarray(np.asarray(picture, np.uint8)).save(file, "PNG", pnginfo=texts, icc_profile=_srgb())
    return file.getvalue()


def _png_16(levels: NDArray[np.uint16], note: str) -> bytes:
    """Pillow writes no colour of 16 bits; OpenCV does, without profile and note, which go in behind its first chunk."""
    to_bgr = cv2.COLOR_RGB2BGR if levels.shape[2] == 3 else cv2.COLOR_RGBA2BGRA
    file = cv2.imencode(".png", cv2.cvtColor(levels, to_bgr))[1].tobytes()
    return file[:_PNG_HEAD_BYTES] + png_marks(note) + file[_PNG_HEAD_BYTES:]


def png_marks(note: str) -> bytes:
    """The chunks of a PNG file that say sRGB and hold a note; they stand behind its first one."""
    chunks = png_chunk(b"iCCP", b"ICC Profile\0\0" + zlib.compress(_srgb()))
    if note:  # keyword, not compressed, no language and no translated keyword, then the text in UTF-8
        chunks += png_chunk(b"iTXt", _NOTE.encode() + b"\0\0\0\0\0" + note.encode())
    return chunks


def png_chunk(name: bytes, content: bytes) -> bytes:
    """A chunk of a PNG file (W3C, Portable Network Graphics, section 5.3)."""
    return len(content).to_bytes(4) + name + content + zlib.crc32(name + content).to_bytes(4)


def _tiff_16(levels: NDArray[np.uint16], note: str) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(
        file,
        levels,
        photometric="rgb",
        compression="deflate",
        predictor=True,
        extrasamples=["unassalpha"] if levels.shape[2] == 4 else None,
        iccprofile=_srgb(),
        description=json.dumps({_NOTE: note}) if note else None,  # ASCII, as the tag must be
        software="artgen",
        metadata=None,
    )
    return file.getvalue()


@functools.cache
def _srgb() -> bytes:
    """The colour profile of what is written."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    # The date at which it was made (ICC.1:2010, 7.2.8) would make files of one picture differ: 1 January 2000.
    return profile[:24] + b"".join(part.to_bytes(2) for part in (2000, 1, 1, 0, 0, 0)) + profile[36:]


def with_alpha(picture: Picture, alpha: Alpha) -> Picture:
    """A picture (H, W, 4) uint8 that gives back this one, (H, W, 3), where it is laid over white; alpha is (H, W)."""
    share, paper = alpha[..., None] / 255, np.array(ALPHA_OVER)
    colours = np.divide(picture - paper * (1 - share), share, out=np.full(picture.shape, 255.0), where=share > 0)
    return np.dstack([colours.round().clip(0, 255).astype(np.uint8), alpha])


def note_in(path: str | Path) -> str:
    """The note that `encode` or `encode_png` left in a file, or the comment of a GIF, or nothing."""
    try:
        with _opened(path) as image:
            if isinstance(image, GifImageFile):
                return bytes(image.info.get("comment", b"")).decode(errors="replace")
            if isinstance(image, TiffImageFile):
                described = json.loads(str(image.tag_v2.get(_IMAGE_DESCRIPTION)))
                return str(described.get(_NOTE, "")) if isinstance(described, dict) else ""
            return str(image.info.get(_NOTE, ""))
    except DataError:
        return ""


@contextmanager
def _opened(path: str | Path) -> Iterator[ImageFile]:
    """The header of a picture file, checked; what goes wrong here or in the block becomes a DataError."""
    try:
        status = Path(path).stat()
        if not stat.S_ISREG(status.st_mode):
            raise _refusal(path, "not a file")  # a pipe would wait for its writer for ever
        if status.st_size > MAX_BYTES:
            raise _refusal(path, f"{status.st_size:,} bytes; the limit is {MAX_BYTES:,}")
        with Path(path).open("rb") as file:
            start = file.read(64)
            reader = sniff(start)
            if reader is None:
                raise _refusal(path, _what_it_is(start))
            file.seek(0)
            with reader(file, "") as image:
                width, height = image.size
                if width * height > MAX_PIXELS:
                    raise _refusal(path, f"{width}x{height} px; the limit is {MAX_PIXELS:,} pixels in all")
                yield image
    except DataError:
        raise
    except OSError as error:
        raise _refusal(path, error.strerror or f"cannot be decoded: {error}") from error
    except Exception as error:  # Pillow raises nearly anything on a damaged file, struct.error and KeyError included
        raise _refusal(path, f"cannot be decoded: {str(error) or type(error).__name__}") from error


def _refusal(path: str | Path, reason: str) -> DataError:
    return DataError(shown(reason), place=shown(path))


def _what_it_is(start: bytes) -> str:
    """Why a file that starts like this is no picture."""
    text = start.lstrip().lower()
    if not start:
        return "an empty file"
    if text.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer, not the picture itself: run `git lfs pull`"
    if text.startswith((b"<!doctype html", b"<html")):
        return "an HTML page, not a picture"
    if start[4:8] == b"ftyp" and start[8:12] in HEIF_BRANDS:
        return f"HEIC or AVIF: convert it to {_FORMATS}"
    if start[4:8] in (b"ftyp", b"moov") or start[:4] == b"\x1aE\xdf\xa3" or start[8:12] == b"AVI ":
        return "a film, not a picture"
    return f"not {_FORMATS}"


def _orientation(image: ImageFile) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # damaged EXIF says nothing about the pixels
        return 1


def _rgb(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Any mode of Pillow's -> RGB, and its alpha (mode L) if it has one."""
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG"):
        return Image.fromarray((np.asarray(image).astype(np.int32) >> 8).astype(np.uint8)).convert("RGB"), None
    if image.mode in ("I", "F"):
        raise ValueError("32 bits a channel, with no stated white: convert it to 8 or 16 bits")
    if image.has_transparency_data:
        drawn = _in_srgb(image.convert("RGBA"), image)
        paper = Image.new("RGBA", drawn.size, (*ALPHA_OVER, 255))
        return Image.alpha_composite(paper, drawn).convert("RGB"), drawn.getchannel("A")
    known = image if image.mode in ("L", "RGB", "CMYK") else image.convert("RGB")
    picture = _in_srgb(known, image)
    return picture if picture.mode == "RGB" else picture.convert("RGB"), None  # converting RGB to RGB would copy it


def _coloured(image: Image.Image) -> Image.Image:
    """A map of class numbers -> their colours; any other picture as it is."""
    if image.format == "JPEG":  # it is inexact, and a class has no next one
        return image
    if image.mode.startswith("I"):
        numbers = np.asarray(image).astype(np.int64)
    elif image.mode == "L" or (image.mode == "P" and _is_grey(image.getpalette() or [])):
        numbers = np.asarray(image)
    else:
        return image
    if numbers.size and not 0 <= numbers.min() <= numbers.max() < len(LABEL_COLOURS):
        raise ValueError(f"class numbers up to {numbers.max()}; there are colours for 0 to {len(LABEL_COLOURS) - 1}")
    return Image.fromarray(LABEL_COLOURS[numbers])


def _is_grey(palette: list[int]) -> bool:
    return palette[0::3] == palette[1::3] == palette[2::3]


def _in_srgb(picture: Image.Image, file: Image.Image) -> Image.Image:
    """Convert by the colour profile that `file` carries, if it has a usable one other than sRGB."""
    profile = file.info.get("icc_profile")
    if not profile:
        return picture
    try:
        given = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "sRGB" in ImageCms.getProfileDescription(given):
            return picture
        mode = "RGBA" if picture.mode == "RGBA" else "RGB"
        made = ImageCms.profileToProfile(picture, given, ImageCms.createProfile("sRGB"), outputMode=mode)
        return made if made is not None else picture
    except (ImageCms.PyCMSError, OSError, ValueError):
        return picture
