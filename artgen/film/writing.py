"""Frames -> a film: H.264 in MP4, in the colours that players show. Imports no torch.

Films of neural networks commonly come out in other colours than their pictures: FFmpeg converts RGB by the matrix of
BT.601 and tags nothing, and players take HD for BT.709. Here `yuv420` converts by the matrix of BT.709, and the file
says so. Its transfer is tagged BT.709 too, and not sRGB: players that manage colours would change the tones.

The same frames give the same bytes on every machine that has the same encoder: the conversion is made of single
additions and multiplications; x264, whose output depends on its number of threads, has one, and leaves out what is not
exact (mbtree).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

import av
import numpy as np
from av.codec import CodecContext
from av.error import FFmpegError
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from artgen import files
from artgen.data.images import MAX_PIXELS, shown
from artgen.errors import ArtgenError, DataError
from artgen.film.reading import probe, read_frames

if TYPE_CHECKING:
    from av.video.codeccontext import VideoCodecContext
    from av.video.stream import VideoStream

ENCODERS = ("libx264", "mpeg4")
"""FFmpeg's names, the best first."""
RED, GREEN, BLUE = np.float32(0.2126), np.float32(0.7152), np.float32(0.0722)
"""Shares of luma (ITU-R BT.709-6, item 3.2)."""
_TAGS = {
    "colorspace": "bt709",
    "color_primaries": "bt709",
    "color_trc": "bt709",
    "color_range": "tv",
    "chroma_sample_location": "center",
}

log = logging.getLogger(__name__)


class FilmWriter:
    """Writes a film frame by frame: `with FilmWriter(path, (height, width), 30) as film: film.add(frame)`.

    The file gets its name when it is whole: it is written under another one beside it, read back frame by frame,
    flushed to disk and then renamed. Whatever the block raises, and a kill too, leaves nothing under `path`.

    Sides must be even, since four pixels share a colour: in a film of an odd height or width the last row or column is
    there twice, so that nothing is lost.

    Args:
        path: The film, in a folder that is there.
        size: (height, width) of the frames in pixels.
        frames_per_second: Their rate.
        crf: The constant rate factor of H.264, from 0 to 51. With 18 the loss is not seen; 6 more halve the file.
        note: Kept in the file; `note_in` finds it.
        replace: Take the place of a file that is there; without it there must be none.

    Raises:
        DataError: There is such a file, or no film can have this size or rate.
    """

    def __init__(
        self,
        path: str | Path,
        size: tuple[int, int],
        frames_per_second: Fraction | int,
        *,
        crf: int = 18,
        note: str = "",
        replace: bool = False,
    ) -> None:
        self.path, self.size, self.frames_per_second = Path(path).absolute(), size, Fraction(frames_per_second)
        self.crf, self.note, self.replace, self.frames = crf, note, replace, 0
        if min(size) < 1 or size[0] * size[1] > MAX_PIXELS or self.frames_per_second <= 0:
            raise _refusal(self.path, f"a film of {size[1]}x{size[0]} px at {self.frames_per_second} frames a second")
        if not replace and os.path.lexists(self.path):
            raise _refusal(self.path, "there is such a file already", "Choose another name, or move it away.")

    def __enter__(self) -> Self:
        self._written = self._writing()
        with self._disk_trouble():
            self._written.__enter__()
        return self

    def add(self, frame: NDArray[Any]) -> None:
        """Add a frame, (H, W, 3): uint8, or float in [-1, 1].

        Raises:
            ResourceError: The disk is full.
        """
        if frame.shape != (*self.size, 3):
            raise ValueError(f"a frame {frame.shape}, where {(*self.size, 3)} was promised")
        coded = VideoFrame.from_ndarray(yuv420(frame), "yuv420p")
        coded.pts, coded.time_base = self.frames, 1 / self.frames_per_second
        with self._disk_trouble():
            self._container.mux(self._stream.encode(coded))
        self.frames += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._disk_trouble():
            self._written.__exit__(kind, error, trace)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """The file, from its beginning to its name; frames are added where it yields."""
        even = self.size[0] + self.size[0] % 2, self.size[1] + self.size[1] % 2
        encoder = choose_encoder(even, self.frames_per_second, self.crf)
        # faststart: the index comes first, so that a browser plays what it has. bitexact: no version of the library.
        options = {"movflags": "+faststart", "fflags": "+bitexact"}
        with files.replacing(self.path, new=not self.replace) as temporary:
            with av.open(str(temporary), "w", format="mp4", options=options) as self._container:
                if self.note:
                    self._container.metadata["comment"] = self.note
                self._stream = cast("VideoStream", self._container.add_stream(encoder, rate=self.frames_per_second))
                _set_up(self._stream.codec_context, encoder, even, self.frames_per_second, self.crf)
                self._container.start_encoding()
                yield
                if not self.frames:
                    raise _refusal(self.path, "a film of no frames", "Add one.")
                self._container.mux(self._stream.encode(None))
            self._verify(temporary, even)

    def _verify(self, file: Path, size: tuple[int, int]) -> None:
        """Read the film back, all of it.

        Raises:
            ArtgenError: It is not the film that was meant.
        """
        found = probe(file)
        decoded = sum(1 for _ in read_frames(file))
        read = (found.height, found.width, found.frames, decoded, found.frames_per_second)
        meant = (*size, self.frames, self.frames, self.frames_per_second)
        if read != meant:
            raise ArtgenError(
                "height, width, frames, frames decoded and frames a second should be "
                f"{', '.join(map(str, meant))}, and read back as {', '.join(map(str, read))}",
                place=shown(self.path),
                remedy="Nothing was kept. The disk or the encoder may be at fault.",
            )

    def _disk_trouble(self) -> Any:
        return files.disk_trouble(self.path, "the film cannot be written")


def yuv420(frame: NDArray[Any]) -> NDArray[np.uint8]:
    """RGB, (H, W, 3), uint8 or float in [-1, 1] -> luma and two differences of colour, by the matrix of BT.709.

    8 bits, limited range: luma from 16 to 235, differences from 16 to 240. Each difference is that of the mean colour
    of 2x2 pixels. An odd height or width repeats the last row or column.

    Returns:
        (3/2 H, W) uint8: the plane of luma, (H, W), then those of blue and red, (H/2, W/2), each read row by row.
    """
    levels = frame.astype(np.float32) if frame.dtype == np.uint8 else (frame.clip(-1, 1).astype(np.float32) + 1) * 127.5
    height, width = levels.shape[:2]
    if height % 2 or width % 2:
        levels = np.pad(levels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    red, green, blue = np.moveaxis(levels, 2, 0)
    luma = RED * red + GREEN * green + BLUE * blue  # 0 to 255
    luma_of_4, red_of_4, blue_of_4 = _sums_of_4(luma), _sums_of_4(red), _sums_of_4(blue)
    planes = (
        luma * np.float32(219 / 255) + 16,
        (blue_of_4 - luma_of_4) * (np.float32(224 / 255 / 4) / (2 * (1 - BLUE))) + 128,
        (red_of_4 - luma_of_4) * (np.float32(224 / 255 / 4) / (2 * (1 - RED))) + 128,
    )
    return np.concatenate([plane.ravel() for plane in planes]).round().astype(np.uint8).reshape(-1, levels.shape[1])


def _sums_of_4(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    rows = plane[::2] + plane[1::2]
    return rows[:, ::2] + rows[:, 1::2]


def choose_encoder(size: tuple[int, int], frames_per_second: Fraction, crf: int) -> str:
    """The first of `ENCODERS` that is there and encodes a frame of this size.

    Raises:
        ArtgenError: None of them does.
    """
    failures = []
    for name in ENCODERS:
        try:
            context = cast("VideoCodecContext", CodecContext.create(name, "w"))
            _set_up(context, name, size, frames_per_second, crf)
            context.encode(VideoFrame(size[1], size[0], "yuv420p"))
            context.encode(None)
        except (FFmpegError, ValueError) as error:
            failures.append(f"{name}: {error}")
            continue
        if failures:
            log.warning("Films are encoded by %s, which is not the best encoder: %s", name, "; ".join(failures))
        return name
    raise ArtgenError(
        f"no encoder makes a film of {size[1]}x{size[0]} px: {'; '.join(failures)}",
        remedy="Choose another size; or install PyAV as its makers pack it: pip install --force-reinstall av",
    )


def _set_up(
    context: VideoCodecContext, encoder: str, size: tuple[int, int], frames_per_second: Fraction, crf: int
) -> None:
    """Tell an encoder what comes and how good it should be."""
    context.height, context.width = size
    context.pix_fmt = "yuv420p"
    context.time_base, context.framerate = 1 / frames_per_second, frames_per_second
    context.thread_count = 1
    if encoder == "libx264":  # without mbtree, whose AVX-512 code gives other bytes now and then (x264, core 165)
        quality = {"crf": str(crf), "mbtree": "0"}
    else:  # MPEG-4 has a quantiser from 1 to 31 in place of the rate factor: FFmpeg's unit of it is 118
        quality = {"global_quality": str(118 * max(1, crf // 6))}
    context.options = _TAGS | quality
    context.qscale = "global_quality" in quality


def _refusal(path: Path, cause: str, remedy: str = "") -> DataError:
    return DataError(cause, place=shown(path), remedy=remedy)
