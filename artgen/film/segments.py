"""Pieces of a film, and the film that is joined of them. Imports no torch.

A piece is encoded by an encoder of its own, so pieces can be made side by side, on many machines, and kept: the film is
made of their packets, which are copied. What is lossless (PNG, APNG) and what is reduced at last (GIF) is joined from
PNG pictures; those too are copied, into files or chunks, except for the GIF, whose colours can be chosen when all of
the film is there.

The same pieces and the same note give the same film, byte for byte.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

from numpy.typing import NDArray

from artgen import files
from artgen.data.images import shown
from artgen.errors import DataError
from artgen.film.encoding import Encoding, encoded, opened_for_writing
from artgen.film.pictures import gif_frames, write_apng, write_folder, write_gif
from artgen.film.reading import opened
from artgen.film.writing import INDEX_FIRST, refuse_existing, require_frames, trouble, verify

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream


class SegmentWriter:
    """Writes a piece of a film: `with SegmentWriter(path, encoding) as piece: piece.add(frame)`.

    The piece is written to `path` itself, and removed if the block raises; who wants a name for whole pieces only, on
    disk, writes it within `files.replacing`.

    Raises:
        DataError: It has no frames.
        ResourceError: The disk is full.
        ArtgenError: The encoder failed.
    """

    def __init__(self, path: str | Path, encoding: Encoding) -> None:
        self.path, self.encoding, self.frames = Path(path).absolute(), encoding, 0

    def __enter__(self) -> Self:
        self._written = self._writing()
        with trouble(self.path):
            self._written.__enter__()
        return self

    def add(self, frame: NDArray[Any]) -> None:
        """Add a frame, as `as_frames` makes it for `encoding.form`; its array may be used again at once."""
        with trouble(self.path):
            self._add(frame)
        self.frames += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with trouble(self.path):
            self._written.__exit__(kind, error, trace)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            with encoded(self.path, self.encoding) as self._add:
                yield
                require_frames(self.frames, self.path)
        except BaseException:
            with suppress(OSError):
                self.path.unlink()
            raise


def join(
    segments: Sequence[Path], path: str | Path, encoding: Encoding, frames: int, note: str = "", replace: bool = False
) -> None:
    """Make a film of its pieces. It has its name when it is whole, read back frame by frame, and on disk.

    Args:
        segments: The pieces, in their order, each written with this encoding.
        path: The film, or the folder of PNG files 000001.png, 000002.png, ..., in a folder that is there.
        encoding: That of the pieces.
        frames: How many there must be.
        note: Kept in the film, and in each PNG file; `note_in` finds it.
        replace: Take the place of what is there; without it there must be nothing.

    Raises:
        DataError: There is such a file, or the pieces are damaged, do not fit together, or are not all.
        ResourceError: The disk is full.
        ArtgenError: The film does not read back as it should.
    """
    path = Path(path).absolute()
    refuse_existing(path, replace)
    pieces = [_look_at(segment, encoding) for segment in segments]
    if sum(piece.frames for piece in pieces) != frames or not frames:
        raise DataError(
            f"pieces with {sum(piece.frames for piece in pieces):,} frames, where {frames:,} are to be joined",
            place=shown(path),
        )
    rate = encoding.frames_per_second

    def pictures() -> Iterator[bytes]:
        return (bytes(packet) for piece in pieces for packet in _packets(piece.path))

    with trouble(path):
        if encoding.format in ("png", "png-16"):
            write_folder(pictures(), path, frames, encoding.size, note, replace)
            return
        with files.replacing(path, new=not replace) as temporary:
            if encoding.format == "gif":
                write_gif(pictures, temporary, frames, rate, encoding.size, note)
                kept = gif_frames(frames, rate)
                verify(temporary, path, encoding.size, kept, rate * kept / frames, exact=False)
            elif encoding.format == "apng":
                write_apng(pictures(), temporary, frames, rate, note)
                verify(temporary, path, encoding.size, frames, rate, exact=False)
            else:
                _write_packets(pieces, temporary, encoding, note)
                verify(temporary, path, encoding.coded_size, frames, rate, exact=encoding.container != "webm")


@dataclass(frozen=True)
class _Piece:
    path: Path
    frames: int
    delay: int
    """Frames by which showing must come later than decoding, so that no frame is shown before it is decoded."""
    head: bytes
    """What decoders must know before the first packet."""


def _look_at(path: Path, encoding: Encoding) -> _Piece:
    """What a piece holds. Its packets are read, and none is decoded.

    Raises:
        DataError: It is damaged, or of another encoding.
    """
    places = [_place(packet, encoding) for packet in _packets(path)]
    if sorted(places) != list(range(len(places))):
        raise DataError("the times of its frames are not even", place=shown(path), remedy="Make this piece again.")
    with opened(path) as (_, stream):
        context = stream.codec_context
        if (context.height, context.width) != encoding.coded_size:
            raise DataError(
                f"a piece of {context.width}x{context.height} px of a film of "
                f"{encoding.coded_size[1]}x{encoding.coded_size[0]} px",
                place=shown(path),
            )
        head = bytes(context.extradata or b"")
    return _Piece(path, len(places), max((at - place for at, place in enumerate(places)), default=0), head)


def _packets(path: Path) -> Iterator[Packet[VideoStream]]:
    """The encoded frames of a piece, in the order of decoding."""
    with opened(path) as (container, stream):
        for packet in container.demux(stream):
            if packet.is_corrupt:
                raise DataError("it breaks off", place=shown(path), remedy="Make this piece again.")
            if packet.size:
                yield packet


def _place(packet: Packet[VideoStream], encoding: Encoding) -> int:
    """Which frame of its piece a packet is."""
    return round((packet.pts or 0) * Fraction(packet.time_base) * encoding.frames_per_second)


def _write_packets(pieces: Sequence[_Piece], file: Path, encoding: Encoding, note: str) -> None:
    """Copy packets. Where pictures refer to later ones, these are decoded before: the times of decoding are anew."""
    for piece in pieces:
        if piece.head != pieces[0].head:
            raise DataError(f"it is encoded in another way than {shown(pieces[0].path)}", place=shown(piece.path))
    rate, delay, before, at = encoding.frames_per_second, max(piece.delay for piece in pieces), 0, 0
    muxing = {"cues_to_front": "1"} if encoding.container == "webm" else {"movflags": INDEX_FIRST}
    with opened_for_writing(file, encoding.container, note, **muxing) as container:
        stream = _stream_like(pieces[0].path, container, encoding)
        for piece in pieces:
            for packet in _packets(piece.path):
                place = before + _place(packet, encoding)
                packet.stream, packet.time_base = stream, 1 / rate
                packet.pts, packet.dts, packet.duration = place, at - delay, 1
                container.mux(packet)
                at += 1
            before += piece.frames


def _stream_like(path: Path, container: OutputContainer, encoding: Encoding) -> VideoStream:
    """The stream of a film for the packets of a piece."""
    if encoding.container == "webm":  # the frame rate goes into the file only so
        stream = cast("VideoStream", container.add_stream(encoding.encoder, rate=encoding.frames_per_second))
        encoding.prepare(stream.codec_context)
        return stream
    with opened(path) as (_, template):
        stream = container.add_stream_from_template(template, opaque=True)
    stream.time_base = 1 / encoding.frames_per_second
    stream.codec_context.codec_tag = "hvc1" if encoding.encoder == "libx265" else "\0\0\0\0"
    return stream
