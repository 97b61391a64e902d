"""Pieces of films, rendered: pictures are made in fixed batches, converted where they are, and encoded in threads.

Several pieces are under way at once, each with an encoder of one thread (which gives the same bytes on every machine).
Batches go to them in turn, through queues of bounded length: whoever is slower, generator or encoders, works without a
pause, and memory is the same whatever the length of the films.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import Queue
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from artgen import files
from artgen.errors import ArtgenError, ResourceError
from artgen.film.colour import PixelForm, as_frames
from artgen.film.encoding import Encoding
from artgen.film.segments import SegmentWriter
from artgen.walk.shots import Shot

_WAITING_BATCHES = 2
"""For each encoder, beside the one that it is at."""
_RECORD_BYTES = 1 << 16


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
            with self.path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except (OSError, ValueError, RecursionError):
            return False
        return isinstance(told, dict) and told.get("key") == self.key and told.get("sha256") == digest


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
    encoders: int,
    advance: Callable[[int], object],
    done: Callable[[Piece, ArtgenError | None], object],
) -> None:
    """Make pieces and encode their segments, each of which is whole or absent afterwards.

    Args:
        pieces: In order; each is looked at when its turn comes.
        device: Where pictures are made.
        encoders: How many pieces are under way at once.
        advance: Told how many frames more are made.
        done: Told of each piece, with its fault if it has one; the others go on.

    Raises:
        ResourceError: Memory or disk is full; what was finished before stays.
    """
    waiting, host = iter(pieces), HostBuffers(device)
    at_work, closing = deque[_AtWork](), deque[_AtWork]()

    def attempt(one: _AtWork, step: Callable[[], int]) -> int:
        """Go on with a piece; one that fails is given up."""
        try:
            return step()
        except ResourceError:
            raise
        except ArtgenError as fault:
            one.abort()
            done(one.piece, fault)
            return -1

    def close(one: _AtWork) -> None:
        if attempt(one, one.join) == 0:
            done(one.piece, None)

    try:
        while True:
            while len(at_work) < encoders and (piece := next(waiting, None)) is not None:
                at_work.append(_AtWork(piece, host))
            if not at_work:
                break
            made = attempt(at_work[0], at_work[0].step)
            if made > 0:
                advance(made)
                at_work.rotate(-1)
            else:
                ended = at_work.popleft()
                closing.extend([ended] if made == 0 else [])
            while len(closing) > (encoders if at_work else 0):
                close(closing.popleft())
    except BaseException:
        for one in (*at_work, *closing):
            one.abort()
        raise


class _AtWork:
    """A piece under way: its pictures, and a thread for each of its segments."""

    def __init__(self, piece: Piece, host: HostBuffers) -> None:
        self.piece, self._host = piece, host
        self._pictures: Iterator[Tensor] | None = None
        self._threads = [_Encoder(segment) for segment in piece.segments]
        self._forms = list(dict.fromkeys(segment.encoding.form for segment in piece.segments))

    def step(self) -> int:
        """Make one batch and hand it to the encoders. Returns how many frames; 0: there are no more."""
        for thread in self._threads:
            thread.raise_fault()
        if self._pictures is None:
            self._pictures = self.piece.shot().pictures(self.piece.frames)
        pictures = next(self._pictures, None)
        if pictures is None:
            for thread in self._threads:
                thread.batches.put(None)
            return 0
        for form in self._forms:
            takers = [thread for thread in self._threads if thread.segment.encoding.form == form]
            batch = self._host.copied(as_frames(pictures, form), form, len(takers))
            for thread in takers:
                thread.batches.put(batch)
        return len(pictures)

    def join(self) -> int:
        """Wait until its segments are written."""
        for thread in self._threads:
            thread.join()
            thread.raise_fault()
        return 0

    def abort(self) -> None:
        """Let the encoders end without a result."""
        for thread in self._threads:
            thread.aborted = True
            thread.batches.put(None)
        for thread in self._threads:
            thread.join()


class _Encoder(threading.Thread):
    """Encodes one segment, from a queue of batches that ends with None."""

    def __init__(self, segment: Segment) -> None:
        super().__init__(name=segment.path.stem, daemon=True)
        self.segment, self.aborted, self._ended = segment, False, False
        self.batches: Queue[_Batch | None] = Queue(_WAITING_BATCHES)
        self._fault: BaseException | None = None
        self.start()

    def run(self) -> None:
        batch: _Batch | None = None
        try:
            with files.disk_trouble(self.segment.path, "a piece of a film cannot be written"):
                files.make_folder(self.segment.path.parent)
            with (
                files.disk_trouble(self.segment.path, "a piece of a film cannot be written"),
                files.replacing(self.segment.path) as temporary,
            ):
                with SegmentWriter(temporary, self.segment.encoding) as writer:
                    for batch in self._until_end():
                        for frame in batch.frames():
                            writer.add(frame)
                        batch.done()
                    batch = None
                    if self.aborted:
                        raise InterruptedError("the piece was given up")
                with temporary.open("rb") as file:
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
            told = {"key": self.segment.key, "sha256": digest, "frames": self.segment.frames}
            with files.disk_trouble(self.segment.record, "a piece of a film cannot be written"):
                files.replace(self.segment.record, json.dumps(told).encode())
        except BaseException as fault:  # is raised where the pictures are made
            self._fault = fault
            if batch is not None:
                batch.done()
            for rest in self._until_end():  # whoever waits for room in the queue must not wait for ever
                rest.done()

    def _until_end(self) -> Iterator[_Batch]:
        """The batches that come, up to the None that ends them."""
        while not self._ended:
            batch = self.batches.get()
            self._ended = batch is None
            if batch is not None:
                yield batch

    def raise_fault(self) -> None:
        if self._fault is not None:
            raise self._fault


class _Batch:
    """Frames on the host that several encoders read."""

    def __init__(self, array: NDArray[Any], readers: int, copied: Any, free: Callable[[], object]) -> None:
        self._array, self._readers, self._copied, self._free = array, readers, copied, free
        self._lock = threading.Lock()

    def frames(self) -> NDArray[Any]:
        """(N, ...) as `as_frames` has made them; waits until they have come from the device."""
        if self._copied is not None:
            self._copied.synchronize()
        return self._array

    def done(self) -> None:
        """To be called once by each reader: the last one gives the memory back."""
        with self._lock:
            self._readers -= 1
            last = self._readers == 0
        if last:
            self._free()


class HostBuffers:
    """Brings batches to the host. From a GPU they come through pinned memory, on a stream beside that of the networks.

    Pinned memory is dear to get and cheap to use: a buffer that all have read is used again.
    """

    def __init__(self, device: torch.device) -> None:
        self._cuda: Any = torch.cuda  # whose types differ from torch to torch
        self._stream = self._cuda.Stream(device) if device.type == "cuda" else None
        self._free: dict[tuple[PixelForm, torch.Size], deque[Tensor]] = {}

    def copied(self, frames: Tensor, form: PixelForm, readers: int) -> _Batch:
        """Start to bring a batch to the host."""
        if self._stream is None:
            return _Batch(frames.cpu().numpy(), readers, None, _nothing)
        free = self._free.setdefault((form, frames.shape), deque())
        buffer = free.popleft() if free else torch.empty(frames.shape, dtype=frames.dtype, pin_memory=True)
        self._stream.wait_stream(self._cuda.current_stream(frames.device))
        with self._cuda.stream(self._stream):
            buffer.copy_(frames, non_blocking=True)
            frames.record_stream(self._stream)
            copied = self._cuda.Event()
            copied.record(self._stream)
        return _Batch(np.asarray(buffer.numpy()), readers, copied, lambda: free.append(buffer))


def _nothing() -> None:
    """What memory of the host needs to be given back."""
