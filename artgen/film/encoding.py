"""How a film is encoded: by which encoder of those that are there, and all that its bytes depend on. Imports no torch.

Whatever is encoded here is the same bytes each time on machines that have the same libraries. So each encoder has one
thread (x264's output depends on their number; films are encoded side by side), keeps dates, versions and random numbers
out of the file, and leaves out what was found to be inexact:

- x264: mbtree, whose AVX-512 code gives other bytes now and then (core 165).
- x265: pictures that are no wider than one coding tree unit, of which nearly each film was another one; and pictures
  that are less than 64 px wide, with which it wrote beyond its memory (FFmpeg 8.1.2).

Pieces of a film are encoded by encoders of their own, so that no picture refers to one of another piece.
"""

from __future__ import annotations

import functools
import io
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import av
import numpy as np
import PIL
from av import library_versions
from av.codec import Codec
from av.codec.codec import UnknownCodecError
from av.error import FFmpegError
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from artgen.data.images import shown
from artgen.errors import ArtgenError, DataError
from artgen.film.colour import PixelForm, even, frame_dtype, frame_shape
from artgen.videos import Format, OutputOptions

if TYPE_CHECKING:
    from typing import IO

    from av.container import OutputContainer
    from av.video.codeccontext import VideoCodecContext
    from av.video.stream import VideoStream

LADDERS: dict[Format, tuple[str, ...]] = {
    "mp4": ("libx264", "libopenh264", "mpeg4"),
    "hevc": ("libx265", "libx264", "libopenh264", "mpeg4"),
    "av1": ("libsvtav1", "libaom-av1", "libx264", "libopenh264", "mpeg4"),
    "webm": ("libvpx-vp9", "libsvtav1", "libaom-av1"),  # VP8 has the colours of BT.601 by definition
    "prores": ("prores_ks", "prores"),
    "gif": ("png",),
    "apng": ("png",),
    "png": ("png",),
    "png-16": ("png",),
}
"""FFmpeg's names of the encoders of each format, the best first. What is made of PNG is joined from PNG."""

_BITEXACT = {"flags": "+bitexact"}
_TAGS = {"colorspace": "bt709", "color_primaries": "bt709", "color_trc": "bt709", "color_range": "tv"}
_BT709, _LIMITED = 1, 1
"""FFmpeg's numbers of these tags (ISO/IEC 23091-2)."""
_PIXELS: dict[PixelForm, str] = {
    "yuv420-8": "yuv420p",
    "yuv420-10": "yuv420p10le",
    "yuv422-10": "yuv422p10le",
    "rgb-8": "rgb24",
    "rgb-16": "rgb48be",
}
"""FFmpeg's names."""
_FIXED_FORMS: dict[Format, PixelForm] = {
    "prores": "yuv422-10",
    "gif": "rgb-8",
    "apng": "rgb-8",
    "png": "rgb-8",
    "png-16": "rgb-16",
}
_CRF = {
    "libx264": (18, 51),
    "libopenh264": (18, 51),
    "mpeg4": (18, 51),
    "libx265": (20, 51),
    "libsvtav1": (24, 63),
    "libaom-av1": (24, 63),
    "libvpx-vp9": (24, 63),
}
"""The constant rate factor of each encoder that has one: one whose loss is not seen, and the largest."""
_X265_DELAY = 2
"""Frames by which its pictures are decoded before they are shown. What it says itself is, for a film of one frame or
two, whatever lay in memory (FFmpeg 8.1.2)."""
_AT_LEAST = {"libx265": (16, 64), "libsvtav1": (16, 16)}
"""(height, width) in pixels that an encoder can be trusted with, where it takes less."""
_TEN_BITS = ("libx265", "libsvtav1", "libaom-av1", "libvpx-vp9")
"""Encoders whose films of 10 bits are played; those of H.264 are not, by browsers and phones."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Encoding:
    """How one film is encoded."""

    format: Format
    """The kind of file."""
    encoder: str
    """FFmpeg's name of the encoder."""
    form: PixelForm
    """What frames it takes."""
    size: tuple[int, int]
    """(height, width) of the pictures in pixels; the film may have a row and a column more (`coded_size`)."""
    frames_per_second: Fraction
    crf: int | None
    """The constant rate factor, where the encoder has one."""
    options: tuple[tuple[str, str], ...]
    """What the encoder is told, as FFmpeg names it."""

    @property
    def coded_size(self) -> tuple[int, int]:
        """(height, width) of the film in pixels: the sides of yuv forms are even."""
        return self.size if self.form.startswith("rgb") else even(self.size)

    @property
    def container(self) -> str:
        """FFmpeg's name of the container of its pieces."""
        return "webm" if self.format == "webm" else "mov" if self.format in _FIXED_FORMS else "mp4"

    @property
    def depends_on(self) -> dict[str, Any]:
        """All that the bytes of a film depend on, beside its frames and its note; fit for JSON."""
        return {
            "format": self.format,
            "encoder": self.encoder,
            "options": dict(self.options),
            "form": self.form,
            "size": list(self.size),
            "frames_per_second": str(self.frames_per_second),
            "av": av.__version__,
            **({"pillow": PIL.__version__} if self.format == "gif" else {}),
            "libraries": {name: ".".join(map(str, version)) for name, version in library_versions.items()},
        }

    def prepare(self, context: VideoCodecContext) -> None:
        """Tell an encoder what comes and how good it should be."""
        if self.encoder == "libsvtav1":
            os.environ.setdefault("SVT_LOG", "0")  # it tells standard error of each film otherwise
        context.height, context.width = self.coded_size
        context.pix_fmt = _PIXELS[self.form]
        context.time_base, context.framerate = 1 / self.frames_per_second, self.frames_per_second
        context.thread_count = 1
        context.options = dict(self.options)
        context.qscale = "global_quality" in context.options
        if self.encoder == "libx265":
            context.codec_tag = "hvc1"  # players of Apple take no other


def choose_encoding(output: OutputOptions, size: tuple[int, int], frames_per_second: Fraction) -> Encoding:
    """The best encoding that is there for an output of a film; where it is not the best of all, a warning says so.

    Args:
        output: What is asked for.
        size: (height, width) of the pictures in pixels.
        frames_per_second: Their rate.

    Raises:
        DataError: The format has no such rate.
        ArtgenError: No encoder makes a film of this size and rate; all that were tried are named.
    """
    if output.format in ("gif", "apng") and frames_per_second < Fraction(1, 655):
        raise DataError(
            f"{output.format}: a picture that is shown for {float(1 / frames_per_second):,.0f} seconds",
            remedy="The format holds a picture for 655 seconds at most: raise fps, or choose mp4.",
        )
    return first_working(LADDERS[output.format], output, size, frames_per_second)


def first_working(
    ladder: tuple[str, ...], output: OutputOptions, size: tuple[int, int], frames_per_second: Fraction
) -> Encoding:
    """The encoding by the first encoder that is there and encodes such a film, as `choose_encoding` tells it."""
    failures = []
    for encoder in ladder:
        encoding = _encoding(encoder, output, size, frames_per_second)
        if failure := _failure(encoding):
            failures.append(f"{encoder}: {failure}")
            continue
        if failures:
            _say(f"{output.format} is encoded by {encoder}, which is not the best encoder: {'; '.join(failures)}")
        if output.bits == 10 and encoding.form == "yuv420-8":
            _say(f"{output.format} is encoded with 8 bits, since {encoder} here has no 10 that players show")
        return encoding
    raise ArtgenError(
        f"{output.format}: no encoder makes a film of {size[1]}x{size[0]} px at {frames_per_second} frames a second: "
        + "; ".join(failures),
        remedy="Choose another size, rate or format; or install PyAV as its makers pack it: "
        "pip install --force-reinstall av",
    )


@contextmanager
def encoded(
    file: Path | IO[bytes], encoding: Encoding, *, note: str = "", **muxing: str
) -> Iterator[Callable[[NDArray[Any]], None]]:
    """Write a film: yield what encodes a frame and adds it.

    The frame's array may be written over as soon as that returns. The file is whole when the block ends.

    Raises:
        ArtgenError: The encoder did not give one picture for each frame.
    """
    rate, frames, packets = encoding.frames_per_second, 0, 0
    with opened_for_writing(file, encoding.container, note, **muxing) as container:
        stream = cast("VideoStream", container.add_stream(encoding.encoder, rate=rate))
        encoding.prepare(stream.codec_context)
        container.start_encoding()

        def mux(frame: VideoFrame | None) -> None:
            nonlocal packets
            for packet in stream.encode(frame):
                if encoding.encoder == "libx265":
                    packet.dts = packets - _X265_DELAY
                container.mux(packet)
                packets += 1

        def add(frame: NDArray[Any]) -> None:
            nonlocal frames
            coded = _video_frame(frame, encoding)
            coded.pts, coded.time_base = frames, 1 / rate
            mux(coded)
            frames += 1

        yield add
        mux(None)
        if packets != frames:
            raise ArtgenError(f"{encoding.encoder} was given {frames:,} frames and gave {packets:,}")


@contextmanager
def opened_for_writing(file: Path | IO[bytes], container: str, note: str, **muxing: str) -> Iterator[OutputContainer]:
    """A film's file, before its streams are added. It says nothing of dates and libraries."""
    options = {"fflags": "+bitexact", **muxing}
    if container == "mov":  # its own place for notes holds 64 kB
        options["movflags"] = options.get("movflags", "") + "+use_metadata_tags"
    target = str(file) if isinstance(file, Path) else file
    with av.open(target, "w", format=container, options=options) as opened:
        if note:
            opened.metadata["comment"] = note
        yield opened


def _encoding(encoder: str, output: OutputOptions, size: tuple[int, int], frames_per_second: Fraction) -> Encoding:
    form = _FIXED_FORMS.get(output.format)
    if form is None:
        deep = output.bits == 10 and encoder in _TEN_BITS and _takes(encoder, "yuv420-10")
        form = "yuv420-10" if deep else "yuv420-8"
    crf = None
    if encoder in _CRF:
        default, largest = _CRF[encoder]
        crf = default if output.crf is None else min(output.crf, largest)
    options = _BITEXACT | _told(encoder, crf or 0, *even(size))
    if not form.startswith("rgb"):
        options |= _TAGS | {"chroma_sample_location": "left" if form == "yuv422-10" else "center"}
    return Encoding(output.format, encoder, form, size, frames_per_second, crf, tuple(sorted(options.items())))


def _told(encoder: str, crf: int, height: int, width: int) -> dict[str, str]:
    """What an encoder is told of quality and speed; presets for two cores that have a generator to run too."""
    match encoder:
        case "libx264":
            return {"preset": "veryfast", "crf": str(crf), "mbtree": "0"}
        case "libopenh264":
            return {"rc_mode": "quality", "qmin": str(crf), "qmax": str(crf)}
        case "mpeg4":  # a quantiser from 1 to 31 in place of the rate factor: FFmpeg's unit of it is 118
            return {"global_quality": str(118 * max(1, crf // 6))}
        case "libx265":  # a picture must hold one coding tree unit, and be wider
            unit = next((unit for unit in (64, 32) if width > unit <= height), 16)
            told = f"pools=none:frame-threads=1:open-gop=0:log-level=none:info=0:ctu={unit}"
            return {"preset": "medium", "crf": str(crf), "x265-params": told}
        case "libsvtav1":
            return {"preset": "8", "crf": str(crf), "svtav1-params": "lp=1"}
        case "libaom-av1":
            return {"usage": "good", "cpu-used": "6", "row-mt": "0", "crf": str(crf), "b": "0"}
        case "libvpx-vp9":
            return {"deadline": "good", "cpu-used": "4", "row-mt": "0", "crf": str(crf), "b": "0"}
        case "prores_ks":
            return {"profile": "hq", "vendor": "apl0"}
        case "prores":
            return {"profile": "3"}
        case "png":
            return {"compression_level": "4", "pred": "paeth"}
        case _:
            return {}


@functools.lru_cache(maxsize=256)
def _failure(encoding: Encoding) -> str:
    """Why an encoding does not work here, or nothing: two frames are encoded."""
    height, width = _AT_LEAST.get(encoding.encoder, (1, 1))
    if encoding.coded_size[0] < height or encoding.coded_size[1] < width:
        return f"smaller than {width}x{height} px"
    try:
        blank = np.zeros(frame_shape(encoding.form, encoding.size), frame_dtype(encoding.form))
        with encoded(io.BytesIO(), encoding) as add:
            add(blank)
            add(blank)
    except UnknownCodecError:
        return "not there"
    except (ArtgenError, FFmpegError, ValueError, OverflowError) as error:
        return shown(getattr(error, "strerror", None) or str(error) or type(error).__name__)
    return ""


def _takes(encoder: str, form: PixelForm) -> bool:
    """Whether an encoder is there and takes such frames."""
    try:
        return any(found.name == _PIXELS[form] for found in Codec(encoder, "w").video_formats or ())
    except (FFmpegError, ValueError):
        return False


def _video_frame(frame: NDArray[Any], encoding: Encoding) -> VideoFrame:
    """A frame as FFmpeg has it. Its pixels are copied: encoders look ahead, and the array may be used again."""
    shape, dtype = frame_shape(encoding.form, encoding.size), np.dtype(frame_dtype(encoding.form))
    if frame.shape != shape or frame.dtype != dtype:
        raise ValueError(f"a frame {frame.shape} of {frame.dtype}, where {shape} of {dtype} was promised")
    kept = VideoFrame(*encoding.coded_size[::-1], _PIXELS[encoding.form])
    lines = np.ascontiguousarray(frame.astype(">u2") if encoding.form == "rgb-16" else frame).view(np.uint8).ravel()
    if not encoding.form.startswith("rgb"):  # some encoders ask the frame, not what they were told
        kept.colorspace = kept.color_primaries = kept.color_trc = _BT709
        kept.color_range = _LIMITED
    across = dtype.itemsize * (3 if encoding.form.startswith("rgb") else 1)
    for plane in kept.planes:
        size = plane.height * plane.width * across
        rows = np.frombuffer(cast("Any", plane), np.uint8).reshape(plane.height, -1)
        rows[:, : plane.width * across] = lines[:size].reshape(plane.height, -1)
        lines = lines[size:]
    return kept


@functools.cache
def _say(text: str) -> None:
    """A warning, once."""
    log.warning("%s", text)
