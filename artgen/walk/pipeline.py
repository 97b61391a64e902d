"""Pieces of films, rendered: each by one thread, which makes its pictures batch by batch and encodes them.

Several threads are at work at once. On a CPU each has a core to itself, for the network as for the encoder: then no
core waits for another, and a picture does not depend on how many there are. A GPU makes one batch at a time, whoever
asks, while other threads encode theirs. A thread holds one batch: memory is the same whatever the length of the films.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Lock
from typing import Any, TypeVar

import torch
from numpy.typing import NDArray
from torch import Tensor

from artgen import files
from artgen.device import one_core_each
from artgen.errors import ArtgenError, DataError, PluginError, ResourceError, StoppedError
from artgen.film.colour import PixelForm, as_frames
from artgen.film.encoding import Encoding
from artgen.film.segments import SegmentWriter
from artgen.isolation import cause_of
from artgen.run.tasks import digest_of
from artgen.walk.shots import DRAWING, Shot

_RECORD_BYTES = 1 << 16

T = TypeVar("T")


@dataclass(frozen=True)
class Segment:
    """A stretch of a film in one of its formats: the unit of what is done or not done.

    Args:
        path: Its file, beside which a record `.json` says what it holds.
        key: The hash of all that it depends on.
        frames: How many.
        encoding: How they are encoded.
    """

    path: Path
    key: str
    frames: int
    encoding: Encoding

    @property
    def record(self) -> Path:
        return self.path.with_suffix(".json")

    def is_done(self) -> bool:
        """Whether its file is there, and is byte for byte the one that was written for this key."""
        try:
            told = json.loads(files.read(self.record, _RECORD_BYTES))
            known = isinstance(told, dict) and told.get("key") == self.key
            return known and told.get("sha256") == digest_of(self.path)
        except (OSError, ValueError, RecursionError, DataError):
            return False


@dataclass(frozen=True, eq=False)
class Piece:
    """A stretch of a film that is made at once, and the segments that it is wanted for.

    Args:
        film: Whose it is.
        shot: Opens what is seen.
        frames: Which of its frames.
        segments: One for each format that lacks this stretch.
    """

    film: str
    shot: Callable[[], Shot]
    frames: range
    segments: Sequence[Segment]


def render_pieces(
    pieces: Iterable[Piece],
    device: torch.device,
    threads: int,
    advance: Callable[[int], object],
    done: Callable[[Piece, ArtgenError | None], object],
) -> None:
    """Make pieces and encode their segments, each of which is whole or absent afterwards.

    Args:
        pieces: In order; each is looked at when its turn comes.
        device: Where pictures are made.
        threads: How many pieces are under way at once.
        advance: Told how many frames more are made.
        done: Told of each piece, with its fault if it has one; the others go on.

    Raises:
        ResourceError: Memory or disk is full; what was finished before stays.
    """
    work, waiting, at_work = _Work(device, advance), iter(pieces), dict[Future[None], Piece]()
    with _threads(device, threads) as pool:
        try:
            while True:
                while len(at_work) < threads and (piece := next(waiting, None)) is not None:
                    at_work[pool.submit(work.render, piece)] = piece
                if not at_work:
                    return
                for ended in wait(at_work, return_when=FIRST_COMPLETED).done:
                    done(at_work.pop(ended), _fault_of(ended))
        except BaseException:
            work.given_up.set()
            raise


def _fault_of(ended: Future[None]) -> ArtgenError | None:
    """Why a piece could not be made; what others would have to suffer too is raised."""
    fault = ended.exception()
    if isinstance(fault, Exception) and not isinstance(fault, ArtgenError):  # of a plugin, or of artgen
        return PluginError(cause_of(fault), remedy="The plugin of its generator or path may be broken.")
    if isinstance(fault, ArtgenError) and not isinstance(fault, ResourceError | StoppedError):
        return fault
    ended.result()
    return None


def in_order(make: Callable[[int], T], items: Sequence[int], device: torch.device, threads: int) -> Iterator[T]:
    """What is made of each item, in their order, by several threads; few of them are in memory at once."""
    with _threads(device, threads) as pool:
        for start in range(0, len(items), 2 * threads):
            yield from pool.map(make, items[start : start + 2 * threads])


@contextmanager
def _threads(device: torch.device, count: int) -> Iterator[ThreadPoolExecutor]:
    """Threads that compute; on a CPU on one core each, which torch has to be told in each of them."""
    alone = functools.partial(torch.set_num_threads, 1) if device.type == "cpu" else None
    with one_core_each(device), ThreadPoolExecutor(count, "film", alone) as pool:
        yield pool


class _Work:
    """What threads do with a piece, and share while they do it."""

    def __init__(self, device: torch.device, advance: Callable[[int], object]) -> None:
        self.device, self.advance, self.given_up = device, advance, Event()
        self.telling = Lock()
        # A GPU works through what it is given one by one, and batches of several threads would only fill its memory.
        self.making = nullcontext() if device.type == "cpu" else Lock()

    def render(self, piece: Piece) -> None:
        """Make a piece and encode its segments.

        Raises:
            ArtgenError: What the generator or an encoder has to say, or the disk.
        """
        with DRAWING:
            shot = piece.shot()
        host, forms = _Host(self.device), dict.fromkeys(segment.encoding.form for segment in piece.segments)
        with ExitStack() as stack:
            writers = [(stack.enter_context(_written(segment)), segment.encoding.form) for segment in piece.segments]
            pictures = shot.pictures(piece.frames)
            for _ in range(0, len(piece.frames), shot.batch_frames):
                with self.making:
                    batch = next(pictures)
                    frames = {form: host.copied(as_frames(batch, form), form) for form in forms}
                host.wait()
                for writer, form in writers:
                    for frame in frames[form]:
                        writer.add(frame)
                if self.given_up.is_set():
                    raise ArtgenError("the piece was given up")
                with self.telling:
                    self.advance(len(batch))


@contextmanager
def _written(segment: Segment) -> Iterator[SegmentWriter]:
    """A segment to be written; when the block ends it is there, with its record."""
    with files.disk_trouble(segment.path, "a piece of a film cannot be written"):
        files.make_folder(segment.path.parent)
        with files.replacing(segment.path) as temporary:
            with SegmentWriter(temporary, segment.encoding) as writer:
                yield writer
            digest = digest_of(temporary)
        told = {"key": segment.key, "sha256": digest, "frames": segment.frames}
        files.replace(segment.record, json.dumps(told).encode())


class _Host:
    """Brings batches to the host. From a GPU they come on a stream of their own, into pinned memory, used again."""

    def __init__(self, device: torch.device) -> None:
        self._cuda: Any = torch.cuda  # whose types differ from torch to torch
        self._stream = self._cuda.Stream(device) if device.type == "cuda" else None
        self._pinned: dict[tuple[PixelForm, torch.Size], Tensor] = {}

    def copied(self, frames: Tensor, form: PixelForm) -> NDArray[Any]:
        """A batch on the host; on a GPU not before `wait` has returned."""
        if self._stream is None:
            return frames.cpu().numpy()
        key = form, frames.shape
        if key not in self._pinned:
            self._pinned[key] = torch.empty(frames.shape, dtype=frames.dtype, pin_memory=True)
        self._stream.wait_stream(self._cuda.current_stream(frames.device))
        with self._cuda.stream(self._stream):
            self._pinned[key].copy_(frames, non_blocking=True)
            frames.record_stream(self._stream)
        return self._pinned[key].numpy()

    def wait(self) -> None:
        """Until all that was copied is there."""
        if self._stream is not None:
            self._stream.synchronize()
