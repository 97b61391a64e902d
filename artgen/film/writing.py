"""Frames -> a film: H.264 in MP4, in the colours that players show. Imports no torch.

Films of neural networks commonly come out in other colours than their pictures: FFmpeg converts RGB by the matrix of
BT.601 and tags nothing, and players take HD for BT.709. Here `yuv420` converts by the matrix of BT.709, and the file
says so. Its transfer is tagged BT.709 too, and not sRGB: players that manage colours would change the tones.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray

from artgen import files
from artgen.data.images import MAX_PIXELS, shown
from artgen.errors import ArtgenError, DataError
from artgen.film.colour import levels, planes
from artgen.film.encoding import LADDERS, encoded, first_working
from artgen.film.reading import opened, probe, read_frames
from artgen.videos import OutputOptions

ENCODERS = LADDERS["mp4"]
"""FFmpeg's names, the best first."""


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
        refuse_existing(self.path, replace)

    def __enter__(self) -> Self:
        self._written = self._writing()
        with self._trouble():
            self._written.__enter__()
        return self

    def add(self, frame: NDArray[Any]) -> None:
        """Add a frame, (H, W, 3): uint8, or float in [-1, 1].

        Raises:
            ResourceError: The disk is full.
            ArtgenError: The encoder failed.
        """
        if frame.shape != (*self.size, 3):
            raise ValueError(f"a frame {frame.shape}, where {(*self.size, 3)} was promised")
        with self._trouble():
            self._add(yuv420(frame))
        self.frames += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._trouble():
            self._written.__exit__(kind, error, trace)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """The file, from its beginning to its name; frames are added where it yields."""
        output = OutputOptions(format="mp4", crf=self.crf)
        encoding = first_working(ENCODERS, output, self.size, self.frames_per_second)
        with files.replacing(self.path, new=not self.replace) as temporary:
            with encoded(temporary, encoding, note=self.note, movflags=INDEX_FIRST) as self._add:
                yield
                require_frames(self.frames, self.path)
            verify(temporary, self.path, encoding.coded_size, self.frames, self.frames_per_second)

    def _trouble(self) -> Any:
        return trouble(self.path)


INDEX_FIRST = "+faststart"
"""The index of an MP4 comes first, so that a browser plays what it has."""


@contextmanager
def trouble(path: Path) -> Iterator[None]:
    """Errors of the disk and of the encoder in the body become those of artgen, and name the film."""
    try:
        with files.disk_trouble(path, "the film cannot be written"):
            yield
    except FFmpegError as error:
        said = shown(error.strerror or str(error))
        raise ArtgenError(
            f"the film cannot be encoded: {said}", place=shown(path), remedy="Nothing was kept; run again."
        ) from error


def refuse_existing(path: Path, replace: bool) -> None:
    """Raise a DataError if something has the name of a film that is to be new."""
    if not replace and os.path.lexists(path):
        raise _refusal(path, "there is such a file already", "Choose another name, or move it away.")


def require_frames(frames: int, path: Path) -> None:
    """Raise a DataError if there are none."""
    if not frames:
        raise _refusal(path, "a film of no frames", "Add one.")


def verify(
    file: Path,
    place: Path,
    size: tuple[int, int],
    frames: int,
    frames_per_second: Fraction,
    *,
    exact: bool = True,
) -> None:
    """Read a film back, all of it.

    Args:
        file: The film, under a name that is not yet its own.
        place: Its name.
        size: (height, width) that is meant, in pixels.
        frames: How many are meant.
        frames_per_second: The rate that is meant.
        exact: The file holds the rate. Where it holds rounded times, the film must be as long as is meant.

    Raises:
        ArtgenError: It is not the film that was meant.
    """
    found = probe(file)
    decoded = sum(1 for _ in read_frames(file))
    rate = found.frames_per_second
    if not exact:
        seconds = frames / frames_per_second
        rate = frames_per_second if abs(_seconds(file) - seconds) <= Fraction(1, 50) + seconds / 1000 else rate
    read = (found.height, found.width, found.frames, decoded, rate)
    meant = (*size, frames, frames, frames_per_second)
    if read != meant:
        raise ArtgenError(
            "height, width, frames, frames decoded and frames a second should be "
            f"{', '.join(map(str, meant))}, and read back as {', '.join(map(str, read))}",
            place=shown(place),
            remedy="Nothing was kept. The disk or the encoder may be at fault.",
        )


def _seconds(file: Path) -> Fraction:
    """How long a film lasts, by what its file tells of the whole, or of each frame."""
    with opened(file) as (container, stream):
        if container.duration is not None:
            return Fraction(container.duration, 1_000_000)  # FFmpeg's unit
        return sum(
            (Fraction(packet.duration or 0) * packet.time_base for packet in container.demux(stream)), Fraction(0)
        )


def yuv420(frame: NDArray[Any]) -> NDArray[np.uint8]:
    """RGB, (H, W, 3), uint8 or float in [-1, 1] -> one frame of 8 bits, (3/2 H, W) uint8, as `as_frames` tells it."""
    rgb = frame.astype(np.float32) if frame.dtype == np.uint8 else levels(frame, 255)
    made: NDArray[np.uint8] = planes(np.moveaxis(rgb, 2, 0)[None], "yuv420-8")[0]
    return made


def _refusal(path: Path, cause: str, remedy: str = "") -> DataError:
    return DataError(cause, place=shown(path), remedy=remedy)
