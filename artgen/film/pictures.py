"""What is made of a film's PNG pictures: a folder of files, an animated PNG, an animated GIF. Imports no torch.

One picture is in memory at a time, however long the film.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from fractions import Fraction
from itertools import count
from pathlib import Path
from typing import IO

import av
import numpy as np
from av.video.frame import VideoFrame
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from artgen import files
from artgen.data import images
from artgen.data.images import png_chunk, png_marks, shown
from artgen.errors import ArtgenError, DataError

GIF_RATE = 50
"""Frames a second of a GIF, at most: browsers show a frame of one hundredth of a second for ten."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOURS = 255
"""Of a GIF. One number more stands for a pixel that stays as it was."""
_GIF_HEAD_BYTES = 13 + 3 * (_COLOURS + 1)
"""The head of a GIF and its palette (GIF89a, sections 17 to 19)."""
_LOOKED_AT = 24
"""Frames of which the colours of a GIF are chosen."""
_LOOKED_AT_PIXELS = 1 << 19


def write_folder(
    pictures: Iterator[bytes], path: Path, frames: int, size: tuple[int, int], note: str, replace: bool
) -> None:
    """Write 000001.png, 000002.png, ... into a folder, which has its name when all of them are read back and on disk.

    Raises:
        ArtgenError: One does not read back as it should.
        OSError: The disk is full.
    """
    digits, marks = max(6, len(str(frames))), png_marks(note)
    temporary = files.unused(path.parent, files.TEMPORARY)
    try:
        temporary.mkdir()
        for number, picture in enumerate(pictures, start=1):
            head, body = _taken_apart(picture)
            content = (
                _SIGNATURE + png_chunk(b"IHDR", head) + marks + b"".join(png_chunk(b"IDAT", part) for part in body)
            )
            file = temporary / f"{number:0{digits}}.png"
            files.create(file, content + png_chunk(b"IEND", b""))
            if images.read(file).shape != (*size, 3):
                raise ArtgenError(f"picture {number} does not read back as it should", place=shown(path))
        files.sync_folder(temporary)
        _put_in_place(temporary, path, replace)
    except BaseException:
        with suppress(OSError):
            files.remove(temporary)
        raise


def _put_in_place(folder: Path, path: Path, replace: bool) -> None:
    """Give a folder its name, and with `replace` delete what had it."""
    if not (replace and os.path.lexists(path)):
        files.move(folder, path)
        return
    trash = files.unused(path.parent, files.TRASH)
    path.rename(trash)
    try:
        files.move(folder, path)
    except OSError:
        trash.rename(path)
        raise
    with suppress(OSError):  # it has a name that the next start removes
        files.remove(trash)


def write_apng(pictures: Iterator[bytes], file: Path, frames: int, frames_per_second: Fraction, note: str) -> None:
    """Write an animated PNG that is shown for ever (W3C, Portable Network Graphics, third edition, section 11.3.5).

    The compressed pixels are copied.
    """
    delay = (1 / frames_per_second).limit_denominator(65535 if frames_per_second > 1 else 100)
    numbers = count()
    with file.open("wb") as apng:
        for index, picture in enumerate(pictures):
            head, body = _taken_apart(picture)
            if not index:
                apng.write(_SIGNATURE + png_chunk(b"IHDR", head))
                apng.write(png_chunk(b"acTL", frames.to_bytes(4) + (0).to_bytes(4)) + png_marks(note))
            # width and height, place, how long in seconds, then: leave it there, and replace what was there
            control = head[:8] + bytes(8) + delay.numerator.to_bytes(2) + delay.denominator.to_bytes(2) + bytes(2)
            apng.write(png_chunk(b"fcTL", next(numbers).to_bytes(4) + control))
            for part in body:
                apng.write(png_chunk(b"fdAT", next(numbers).to_bytes(4) + part) if index else png_chunk(b"IDAT", part))
        apng.write(png_chunk(b"IEND", b""))


def write_gif(
    pictures: Callable[[], Iterator[bytes]],
    file: Path,
    frames: int,
    frames_per_second: Fraction,
    size: tuple[int, int],
    note: str,
) -> None:
    """Write an animated GIF that is shown for ever: one palette for all of it, and dots where a colour is not there.

    Times are hundredths of a second: each frame begins at the nearest one, so the film is as long as it should be. Of
    more than `GIF_RATE` frames a second some are left out.

    Args:
        pictures: Tells the film, as often as it is called.
        file: Where it is written.
        frames: How many there are.
        frames_per_second: Their rate.
        size: (height, width) in pixels.
        note: Kept as a comment.
    """
    kept = gif_frames(frames, frames_per_second)
    starts = [round(Fraction(100 * index * frames, kept) / frames_per_second) for index in range(kept + 1)]
    palette = _palette(_some(pictures(), frames, min(_LOOKED_AT, frames)), size)
    colours = np.insert(np.array(palette.getpalette(), np.uint8).reshape(-1, 3), 0, 255, axis=1)  # alpha first
    colours[_COLOURS, 0] = 0
    options = {"fflags": "+bitexact", "loop": "0", "final_delay": str(max(2, starts[-1] - starts[-2]))}
    with (
        file.open("wb") as raw,
        av.open(_WithComment(raw, note), "w", format="gif", options=options) as container,
    ):
        stream = container.add_stream("gif", rate=100)
        context = stream.codec_context
        context.height, context.width, context.pix_fmt, context.time_base = *size, "pal8", Fraction(1, 100)
        context.thread_count = 1
        for start, picture in zip(starts, _some(pictures(), frames, kept), strict=False):
            numbers = np.array(picture.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG))
            numbers[numbers == _COLOURS] = 0
            frame = VideoFrame.from_ndarray((numbers, colours), "pal8")  # type: ignore[arg-type]
            frame.pts, frame.time_base = start, Fraction(1, 100)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def gif_frames(frames: int, frames_per_second: Fraction) -> int:
    """How many frames a GIF of a film has."""
    return frames if frames_per_second <= GIF_RATE else max(1, int(frames * GIF_RATE / frames_per_second))


class _WithComment:
    """A file to which a comment is added behind the head of a GIF (GIF89a, section 24)."""

    def __init__(self, file: IO[bytes], comment: str) -> None:
        self._file, self._left = file, _GIF_HEAD_BYTES
        text = comment.encode()
        parts = [text[start : start + 255] for start in range(0, len(text), 255)]
        self._comment = b"".join([b"\x21\xfe", *(bytes([len(part)]) + part for part in parts), b"\0"]) if text else b""

    def write(self, content: bytes) -> int:
        content = bytes(content)
        if self._left and len(content) >= self._left:
            content, length = content[: self._left] + self._comment + content[self._left :], len(content)
            self._left = 0
            self._file.write(content)
            return length
        self._left = max(0, self._left - len(content))
        return self._file.write(content)


def _some(pictures: Iterator[bytes], frames: int, wanted: int) -> Iterator[Image.Image]:
    """`wanted` of the pictures, evenly spread, the first of all among them."""
    indices = [index * frames // wanted for index in range(wanted)]
    at = 0
    for index, picture in enumerate(pictures):
        if at < len(indices) and index == indices[at]:
            at += 1
            yield PngImageFile(io.BytesIO(picture)).convert("RGB")


def _palette(pictures: Iterator[Image.Image], size: tuple[int, int]) -> Image.Image:
    """The colours that suit these pictures best, as an image of Pillow's that has them."""
    step = max(1, round((size[0] * size[1] * _LOOKED_AT / _LOOKED_AT_PIXELS) ** 0.5))
    pixels = np.concatenate([np.array(picture)[::step, ::step].reshape(-1, 3) for picture in pictures])
    palette = Image.fromarray(pixels[None]).quantize(_COLOURS, kmeans=1)
    found = (palette.getpalette() or [])[: 3 * _COLOURS]
    palette.putpalette(found + found[:3] * (_COLOURS + 1 - len(found) // 3))  # 256, with the first one for the rest
    return palette


def _taken_apart(png: bytes) -> tuple[bytes, list[bytes]]:
    """The header of a PNG file and its compressed pixels, without all else that it says."""
    head, body, at = b"", [], len(_SIGNATURE)
    while at < len(png):
        length, name = int.from_bytes(png[at : at + 4]), png[at + 4 : at + 8]
        content = png[at + 8 : at + 8 + length]
        if name == b"IHDR":
            head = content
        elif name == b"IDAT":
            body.append(content)
        at += 12 + length
    if not png.startswith(_SIGNATURE) or not head or not body:
        raise DataError("a picture of a piece is damaged", remedy="Make the pieces again.")
    return head, body
