"""A folder of picture files -> a data set. What cannot be used is collected in one list, each with its reason."""

from __future__ import annotations

import warnings
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import cv2

from artgen.data.cache import Kept, kept, key_of
from artgen.data.crop import Crop, frame
from artgen.data.dataset import Dataset, Progress, Workshop
from artgen.data.images import Header, Picture, decode, shown
from artgen.data.scan import Found, Scan, Skipped, look_through
from artgen.errors import DataError

SKIP_SHARE = 0.05
"""If more than this share of the picture files cannot be read, the folder is refused."""
NAMED = 20
"""How many files an error names."""

# Below this share of the wanted size, enlarging shows.
_SOFT_BELOW = 0.8
# Pictures in the making per thread: enough to never wait for one large picture, few enough to fit in memory.
_AHEAD = 8


class Framed(NamedTuple):
    """A picture of the wanted size, with what its file says; `soft` if it had to be enlarged visibly."""

    found: Found
    picture: Picture
    header: Header
    soft: bool


Read = Callable[[Found], Framed | Skipped]
"""Reads one file of a scan: gives its picture, or says why not."""


def prepare(path: str, size: tuple[int, int], crop: Crop, skip_share: float, workshop: Workshop) -> Dataset:
    """Make a data set of all pictures in a folder and the folders below it.

    Args:
        path: The folder.
        size: (height, width) of the prepared pictures in pixels.
        crop: How they are brought into shape.
        skip_share: Refuse the folder if more than this share of its picture files cannot be read.
        workshop: Where prepared pictures are kept, and with how many threads they are read.

    Raises:
        DataError: No such folder, no pictures in it, or too many that cannot be read.
        ResourceError: No room for the prepared pictures.
    """
    scan = look_through(path)
    key = key_of("folder", str(scan.root.resolve()), f"{size} {crop}", *map(found_part, scan.found))
    entry, notes = keep_all(scan, _framing(size, crop), size, key, skip_share, workshop)
    return Dataset(entry.pictures, entry.fingerprint, notes=notes)


def keep_all(
    scan: Scan, read: Read, size: tuple[int, int], key: str, skip_share: float, workshop: Workshop
) -> tuple[Kept, dict[str, Any]]:
    """Read every file of a scan into an entry of the cache, or open the one that is there.

    Args:
        scan: What lies in the folder.
        read: Gives a picture of `size` for each file of it; called by several threads.
        size: (height, width) of what it gives.
        key: From everything that the pictures depend on.
        skip_share: Refuse the folder if more than this share of its picture files cannot be read.
        workshop: Where prepared pictures are kept, and with how many threads they are read.

    Returns:
        The entry, and what the user should know of it.

    Raises:
        DataError: There are no pictures, or too many that cannot be read.
        ResourceError: No room for the prepared pictures.
    """

    def make(notes: dict[str, Any]) -> Iterator[Picture]:
        skipped, counts = list[Skipped](), Counter[str]()
        for result in read_all(scan.found, read, workshop.workers, workshop.progress):
            if isinstance(result, Skipped):
                skipped.append(result)
            else:
                header = result.header
                counts.update(upscaled=int(result.soft), turned=int(header.turned), animated=int(header.animated))
                yield result.picture
        check_readable(scan, skipped, skip_share)
        notes.update(skipped=skipped, **counts)

    check_readable(scan, [], skip_share)
    entry = kept(workshop.cache, key, size, len(scan.found), make)
    skipped = [Skipped(*row) for row in entry.notes["skipped"]]
    check_readable(scan, skipped, skip_share)  # an entry may have been made under a milder limit
    return entry, _notes(scan, entry, skipped)


def found_part(file: Found) -> str:
    """A file of a folder as part of a key."""
    return f"{file.name}\0{file.size_bytes} {file.modified_ns}"


def check_readable(scan: Scan, skipped: Sequence[Skipped], skip_share: float) -> None:
    """Refuse a folder of which too little can be used.

    Raises:
        DataError: There are no pictures, or more than `skip_share` of them cannot be read.
    """
    total, place = len(scan.found), shown(scan.root)
    if total > len(skipped) and len(skipped) <= skip_share * total:
        return
    listed = [*skipped, *scan.passed_over]
    lines = [f"{name}: {reason}" for name, reason in listed[:NAMED]]
    if len(listed) > NAMED:
        lines.append(f"and {len(listed) - NAMED} more")
    if total == len(skipped):
        cause = f"none of {total} picture files can be read" if total else "there are no pictures in this folder"
        remedy = "It may hold JPEG, PNG, WebP, GIF, BMP and TIFF files, also in folders below it."
    else:
        cause = f"{len(skipped)} of {total} picture files cannot be read; the limit is {skip_share * 100:g} %"
        remedy = "Mend or remove them, or raise `skip_share`; `artgen data check` lists them all."
    raise DataError("\n    ".join([cause, *lines]), place=place, remedy=remedy)


def frame_all(
    found: Sequence[Found], size: tuple[int, int], crop: Crop, workers: int, progress: Progress
) -> Iterator[Framed | Skipped]:
    """Read and frame picture files by threads, in the order given. Each gives a picture or the reason why not."""
    return read_all(found, _framing(size, crop), workers, progress)


def _framing(size: tuple[int, int], crop: Crop) -> Read:
    def read(file: Found) -> Framed | Skipped:
        try:
            picture, header = decode(file.path, at_least=size)
        except DataError as error:
            return Skipped(shown(file.name), error.cause)
        return Framed(file, frame(picture, size, crop), header, is_soft(header.height, header.width, size, crop))

    return read


def is_soft(height: int, width: int, size: tuple[int, int], crop: Crop) -> bool:
    """Whether a picture of this height and width has to be enlarged visibly."""
    share = min if crop == "pad" else max
    return share(size[0] / height, size[1] / width) * _SOFT_BELOW > 1


def read_all(found: Sequence[Found], read: Read, workers: int, progress: Progress) -> Iterator[Framed | Skipped]:
    """Read picture files by threads, in the order given."""
    waiting = deque[Future[Framed | Skipped]]()
    threads, cv_threads = max(1, workers), cv2.getNumThreads()
    with ThreadPoolExecutor(threads) as pool, progress("Reading pictures", len(found)) as advance:
        try:
            with warnings.catch_warnings():  # of Pillow's about metadata, which do not concern the pixels
                warnings.simplefilter("ignore")
                cv2.setNumThreads(1)
                for file in found:
                    waiting.append(pool.submit(read, file))
                    if len(waiting) >= threads * _AHEAD:
                        yield waiting.popleft().result()
                        advance(1)
                while waiting:
                    yield waiting.popleft().result()
                    advance(1)
        finally:
            cv2.setNumThreads(cv_threads)
            pool.shutdown(cancel_futures=True)


def _notes(scan: Scan, entry: Kept, skipped: list[Skipped]) -> dict[str, Any]:
    notes: dict[str, Any] = {"folder": shown(scan.root), "pictures": len(entry.pictures)}
    notes |= {name: entry.notes[name] for name in ("upscaled", "turned", "animated") if entry.notes.get(name)}
    if scan.others:
        notes["other_files"] = scan.others
    everything = [*skipped, *scan.passed_over]
    if everything:
        notes["skipped"] = len(everything)
        notes["skipped_files"] = dict(everything[: NAMED * 5])
    return notes
