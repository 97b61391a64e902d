"""A whole collection: painted once by several processes, then opened from the cache."""

from __future__ import annotations

import functools
import multiprocessing
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any

import cv2

from artgen import ResourceError
from artgen.data import Dataset, Workshop
from artgen.data.cache import kept, key_of
from artgen.data.images import Picture
from artgen_atelier import AtelierOptions
from artgen_atelier.painter import PAINTER_VERSION, portrait

_FEW_PICTURES = 64  # so many are painted before a second process has started
_CHUNK_PICTURES = 16
_BLAS_THREADS = "OPENBLAS_NUM_THREADS"


def paint_collection(options: AtelierOptions, workshop: Workshop) -> Dataset:
    """Paint `options.count` portraits, or open them where they have been painted before.

    Args:
        options: Which collection, how many pictures, at which size.
        workshop: Cache, progress bar and number of processes.

    Raises:
        ResourceError: Disk or memory is exhausted.
    """
    size, seed, count = options.size, options.collection_seed, options.count

    def make(notes: dict[str, Any]) -> Iterator[Picture]:
        notes["painted"] = count
        with workshop.progress("Painting the atelier", count) as advance:
            for picture in _portraits(seed, count, size, workshop.workers):
                advance(1)
                yield picture

    # `mirror` is not part of the key: it changes how pictures are shown, not what they are.
    key = key_of("atelier", str(PAINTER_VERSION), f"{seed} {count} {size[0]}x{size[1]}")
    entry = kept(workshop.cache, key, size, count, make)
    return Dataset(entry.pictures, entry.fingerprint, notes=entry.notes)


def _portraits(seed: int, count: int, size: tuple[int, int], workers: int) -> Iterator[Picture]:
    paint_one = functools.partial(portrait, seed, size=size)
    if workers <= 1 or count <= _FEW_PICTURES:
        yield from map(paint_one, range(count))
        return
    # Processes: a small picture is many short array operations, through which threads take turns (measured at 64 px).
    # "spawn": a fork of a process that runs torch's threads may hang.
    executor = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _enter_worker)
    try:
        with _one_thread_each():
            painted = executor.map(paint_one, range(count), chunksize=_CHUNK_PICTURES)
        yield from painted
    except BrokenProcessPool as error:
        raise ResourceError(
            "a process that painted pictures was ended from outside",
            place="data 'atelier'",
            remedy="Memory may be short: ask for a lower resolution, or for one worker. "
            "A script of your own must call artgen below `if __name__ == '__main__':`.",
        ) from error
    finally:
        executor.shutdown(cancel_futures=True)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Processes that are started within it multiply matrices by one thread.

    Otherwise each has as many as there are cores, which wait for each other by spinning: minutes in place of seconds.
    """
    before = os.environ.get(_BLAS_THREADS)
    os.environ[_BLAS_THREADS] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_BLAS_THREADS]
        else:
            os.environ[_BLAS_THREADS] = before


def _enter_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that waits
    cv2.setNumThreads(1)
