"""The one door for films: whatever the file holds comes in as uint8 RGB frames, (H, W, 3), upright. Imports no torch.

FFmpeg's libraries decode. They know hundreds of formats, each a parser that hostile files could reach, and some of them
open further files or addresses; so the first bytes must be those of a format named here, the codec must be named
here too, and the libraries get an open file, from which they cannot name another.

Conversions, each applied once:

- Rotation, as phones note it: turned upright.
- Matrix and range of the colours: by the file's tags. What is not tagged is taken as players take it: the matrix of
  BT.709 from 1280 px of width or above 576 px of height, of BT.601 below (mpv's rule), and limited range.
- Transparency: laid over white, as on paper.
- More than 8 bits a channel: rounded to 8.

Pixels that are not square stay as they are stored, and the tones of high dynamic range (PQ, HLG) are not mapped. Where
the frame rate varies, frames come as they are, each of them once.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
from av.video.reformatter import Colorspace, Interpolation
from av.video.stream import VideoStream

from artgen.data import images
from artgen.data.images import ALPHA_OVER, HEIF_BRANDS, MAX_PIXELS, Picture, shown
from artgen.errors import DataError

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame

_FORMATS = (  # where in the file, what stands there, FFmpeg's name of the format
    (4, b"ftyp", "mov"),
    (4, b"moov", "mov"),
    (4, b"mdat", "mov"),
    (4, b"wide", "mov"),
    (4, b"free", "mov"),
    (4, b"skip", "mov"),
    (0, b"\x1aE\xdf\xa3", "matroska"),
    (8, b"AVI ", "avi"),
    (0, b"GIF87a", "gif"),
    (0, b"GIF89a", "gif"),
    (37, b"acTL", "apng"),  # behind the first chunk of a PNG, where its writers put it
)
_CODECS = frozenset((
    "av1", "libaom-av1", "libdav1d", "h264", "hevc", "libvpx", "libvpx-vp9", "vp8", "vp9",
    "mpeg1video", "mpeg2video", "mpeg4", "msmpeg4", "dnxhd", "dvvideo", "prores", "mjpeg",
    "ffv1", "ffvhuff", "huffyuv", "qtrle", "rawvideo", "png", "apng", "gif",
))  # fmt: skip
_REMEDY = (
    "It may be MP4, MOV, MKV, WebM, AVI or an animated GIF or PNG; "
    "play it, and convert or copy it anew if it is damaged."
)

_THREADS = 4
"""That decode at once, at most: each of them holds frames."""
_RATE = Fraction(25)
"""Of a film that says nothing of it, in frames per second."""
_UNTAGGED = 2
"""What FFmpeg calls the matrix of colours that a file says nothing of (ISO/IEC 23091-2)."""
# Chroma is interpolated at full width, and every machine gives the same pixels.
_ACCURATE = Interpolation.BILINEAR | Interpolation.FULL_CHR_H_INT | Interpolation.ACCURATE_RND | Interpolation.BITEXACT


@dataclass(frozen=True)
class FilmInfo:
    """What a film is: how many frames, how fast on average, and their size when upright, in pixels."""

    frames: int
    frames_per_second: Fraction
    height: int
    width: int


def probe(path: str | Path) -> FilmInfo:
    """Look at a film: its first frame is decoded, the others are counted. A damaged film may then give fewer.

    Raises:
        DataError: It is not a film that can be read; `cause` says why.
    """
    with opened(path) as (container, stream):
        frames, first = 0, None
        for packet in container.demux(stream):
            if first is None:
                first = next(iter(packet.decode()), None)
            frames += bool(packet.size) and not packet.is_discard
        if first is None:
            raise _refusal(path, "it holds no frame that can be decoded")
        height, width = (first.width, first.height) if _quarter_turns(first) % 2 else (first.height, first.width)
        return FilmInfo(frames, Fraction(stream.average_rate or stream.guessed_rate or _RATE), height, width)


def read_frames(path: str | Path, first: int = 0, count: int | None = None) -> Iterator[Picture]:
    """Read frames, in the order in which they are shown. One is in memory at a time, beside those being decoded.

    Args:
        path: The film.
        first: The first frame that is wanted, from 0. Those before it are decoded too: a jump may miss.
        count: How many; None: all to the end. There may be fewer.

    Raises:
        DataError: It is not a film that can be read, or damaged before what was wanted has come; `cause` says why.
    """
    with opened(path) as (container, stream):
        size: tuple[int, int] | None = None
        for frame in islice(_decoded(path, container, stream), first, None if count is None else first + count):
            if size not in (None, (frame.height, frame.width)):
                raise _refusal(path, "its frames have different sizes")
            size = frame.height, frame.width
            yield _picture(frame)


def note_in(path: str | Path) -> str:
    """The note that was left in a film, an animated picture or the first file of a folder of PNG files, or nothing."""
    if Path(path).is_dir():
        first = min(Path(path).glob("*.png"), default=None)
        return "" if first is None else images.note_in(first)
    if note := images.note_in(path):
        return note
    try:
        with opened(path) as (container, _):
            return next((str(text) for key, text in container.metadata.items() if key.lower() == "comment"), "")
    except DataError:
        return ""


def format_of(start: bytes) -> str | None:
    """FFmpeg's name of the format of a film that starts with these bytes (64 suffice), or None if it is none."""
    if start[4:8] == b"ftyp" and start[8:12] in HEIF_BRANDS:
        return None
    return next((name for at, magic, name in _FORMATS if start[at:].startswith(magic)), None)


@contextmanager
def opened(path: str | Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """A film, checked, and its stream of pictures; what goes wrong here or in the block becomes a DataError."""
    try:
        if not stat.S_ISREG(Path(path).stat().st_mode):
            raise _refusal(path, "not a file")  # a pipe would wait for its writer for ever
        with Path(path).open("rb") as file:
            start = file.read(64)
            format_name = format_of(start)
            if format_name is None:
                raise _refusal(path, "not a film of a format that is read" if start else "an empty file")
            file.seek(0)
            options = {
                "protocol_whitelist": "none",
                "codec_whitelist": ",".join(sorted(_CODECS)),
                "max_pixels": str(MAX_PIXELS),
            }
            with av.open(file, "r", format=format_name, options=options, metadata_errors="replace") as container:
                yield container, _pictures_of(path, container)
    except DataError:
        raise
    except Exception as error:  # FFmpeg's errors are of many classes, and a damaged file may break PyAV itself
        said = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise _refusal(path, f"cannot be read: {said}") from error


def _pictures_of(path: str | Path, container: InputContainer) -> VideoStream:
    stream = container.streams.best("video")
    if not isinstance(stream, VideoStream):
        raise _refusal(path, "it holds no moving pictures")
    context = stream.codec_context
    if context.name not in _CODECS:
        raise _refusal(path, f"its codec, {context.name}, is not read")
    if context.width * context.height > MAX_PIXELS:
        raise _refusal(path, f"{context.width}x{context.height} px; the limit is {MAX_PIXELS:,} pixels in all")
    context.options = {"max_pixels": str(MAX_PIXELS)}  # a frame may be larger than the file's head says
    context.thread_count, context.thread_type = _THREADS, "AUTO"
    return stream


def _decoded(path: str | Path, container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """The frames of a film. A gap that FFmpeg notices, and would fill with what came before, is refused."""
    for packet in container.demux(stream):
        if packet.is_corrupt:
            raise _refusal(path, "it breaks off")
        for frame in packet.decode():
            if frame.is_corrupt:
                raise _refusal(path, "a frame is damaged")
            yield frame


def _quarter_turns(frame: VideoFrame) -> int:
    """How often a frame must be turned by 90 degrees, against the clock."""
    return round(frame.rotation / 90) % 4


def _picture(frame: VideoFrame) -> Picture:
    """A decoded frame as RGB, upright."""
    format_name = "rgba" if any(component.is_alpha for component in frame.format.components) else "rgb24"
    matrix = None
    if frame.colorspace == _UNTAGGED and not frame.format.is_rgb:
        matrix = Colorspace.ITU709 if frame.width >= 1280 or frame.height > 576 else Colorspace.ITU601
    drawn = frame.reformat(format=format_name, src_colorspace=matrix, interpolation=int(_ACCURATE)).to_ndarray()
    if format_name == "rgba":
        share = drawn[..., 3:] / 255
        drawn = (drawn[..., :3] * share + np.array(ALPHA_OVER) * (1 - share)).round().astype(np.uint8)
    return np.ascontiguousarray(np.rot90(drawn, _quarter_turns(frame)))


def _refusal(path: str | Path, reason: str) -> DataError:
    return DataError(shown(reason), place=shown(path), remedy=_REMEDY)
