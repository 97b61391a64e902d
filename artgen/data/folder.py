"""A folder of picture files -> a data set. What cannot be used is collected in one list, each with its reason."""

from __future__ import annotations

import os
import stat
import warnings
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import cv2

from artgen.data.cache import Kept, kept, key_of
from artgen.data.crop import Crop, frame
from artgen.data.dataset import Dataset, Progress, Workshop
from artgen.data.images import Header, Picture, decode, shown, sniff
from artgen.errors import DataError

SKIP_SHARE = 0.05
"""If more than this share of the picture files cannot be read, the folder is refused."""
NAMED = 20
"""How many files an error names."""

# Below this share of the wanted size, enlarging shows.
_SOFT_BELOW = 0.8
# Files that call themselves pictures: worth a word if they are none. Others are opened only to sniff at them.
_SUFFIXES = (
    ".jpg",
    ".jpeg",
    ".jpe",
    ".jfif",
    ".png",
    ".webp",
    ".gif",
    ".bmp",
    ".dib",
    ".tif",
    ".tiff",
    ".avif",
    ".heic",
    ".heif",
    ".jp2",
    ".psd",
)
# Pictures in the making per thread: enough to never wait for one large picture, few enough to fit in memory.
_AHEAD = 8


class Skipped(NamedTuple):
    """A file or folder that is not used, by its name under the root (escaped), and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Found:
    """A file that may be a picture; `name` is relative to the root, with `/`, as the file system gives it."""

    path: str
    name: str
    size_bytes: int
    modified_ns: int


@dataclass(frozen=True)
class Scan:
    """What lies in a folder.

    Args:
        root: The folder.
        found: The picture files, sorted by name.
        passed_over: What is no file, or cannot be reached.
        others: How many files are something else than pictures, and do not claim to be: captions, lists.
    """

    root: Path
    found: list[Found] = field(default_factory=list)
    passed_over: list[Skipped] = field(default_factory=list)
    others: int = 0


class Framed(NamedTuple):
    """A picture of the wanted size, with what its file says; `soft` if it had to be enlarged visibly."""

    found: Found
    picture: Picture
    header: Header
    soft: bool


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
    check_readable(scan, [], skip_share)
    entry = _kept(scan, size, crop, skip_share, workshop)
    skipped = [Skipped(*row) for row in entry.notes["skipped"]]
    check_readable(scan, skipped, skip_share)  # an entry may have been made under a milder limit
    return Dataset(entry.pictures, entry.fingerprint, notes=_notes(scan, entry, skipped))


def look_through(path: str) -> Scan:
    """List the picture files of a folder and the folders below it, without reading them. Hidden ones are left out.

    Links are followed, each folder is visited once. Pipes, sockets and devices are never opened.

    Raises:
        DataError: There is no such folder, or it cannot be listed.
    """
    root = Path(path)
    try:
        status = root.stat()
        if not stat.S_ISDIR(status.st_mode):
            raise DataError(
                "this is not a folder", place=shown(root), remedy="Give the folder that holds the pictures."
            )
        os.scandir(root).close()
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise DataError(reason, place=shown(root), remedy="Give a folder of pictures.") from error
    return _walk(root, (status.st_dev, status.st_ino))


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

    def read(file: Found) -> Framed | Skipped:
        try:
            picture, header = decode(file.path, at_least=size)
        except DataError as error:
            return Skipped(shown(file.name), error.cause)
        share = min if crop == "pad" else max
        soft = share(size[0] / header.height, size[1] / header.width) * _SOFT_BELOW > 1
        return Framed(file, frame(picture, size, crop), header, soft)

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


def _kept(scan: Scan, size: tuple[int, int], crop: Crop, skip_share: float, workshop: Workshop) -> Kept:
    def make(notes: dict[str, Any]) -> Iterator[Picture]:
        skipped, counts = list[Skipped](), Counter[str]()
        for result in frame_all(scan.found, size, crop, workshop.workers, workshop.progress):
            if isinstance(result, Skipped):
                skipped.append(result)
            else:
                header = result.header
                counts.update(upscaled=int(result.soft), turned=int(header.turned), animated=int(header.animated))
                yield result.picture
        check_readable(scan, skipped, skip_share)
        notes.update(skipped=skipped, **counts)

    files = [f"{file.name}\0{file.size_bytes} {file.modified_ns}" for file in scan.found]
    key = key_of("folder", str(scan.root.resolve()), f"{size} {crop}", *files)
    return kept(workshop.cache, key, size, len(scan.found), make)


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


def _walk(root: Path, root_inode: tuple[int, int]) -> Scan:
    found, passed_over, others = list[Found](), list[Skipped](), 0
    seen, folders = {root_inode}, [(str(root), "")]
    while folders:
        folder, prefix = folders.pop()
        try:
            with os.scandir(folder) as entries:
                inside = sorted((entry for entry in entries if not entry.name.startswith(".")), key=_by_name)
        except OSError as error:
            passed_over.append(Skipped(shown(prefix), error.strerror or str(error)))
            continue
        below = []
        for entry in inside:
            name = prefix + entry.name
            try:
                status = Path(entry.path).stat()  # DirEntry.stat() knows no inodes on Windows
            except OSError as error:
                reason = "a broken link" if entry.is_symlink() else error.strerror or str(error)
                passed_over.append(Skipped(shown(name), reason))
                continue
            if stat.S_ISDIR(status.st_mode):
                if (status.st_dev, status.st_ino) in seen:
                    passed_over.append(Skipped(shown(name), "a folder that is read already under another name"))
                    continue
                seen.add((status.st_dev, status.st_ino))
                below.append((entry.path, name + "/"))
            elif not stat.S_ISREG(status.st_mode):
                passed_over.append(Skipped(shown(name), "a pipe, socket or device"))
            elif _may_be_picture(entry):
                found.append(Found(entry.path, name, status.st_size, status.st_mtime_ns))
            else:
                others += 1
        folders += reversed(below)
    found.sort(key=lambda file: os.fsencode(file.name))
    return Scan(root, found, passed_over, others)


def _by_name(entry: os.DirEntry[str]) -> bytes:
    return os.fsencode(entry.name)


def _may_be_picture(entry: os.DirEntry[str]) -> bool:
    if entry.name.lower().endswith(_SUFFIXES):
        return True
    try:
        with Path(entry.path).open("rb") as file:
            return sniff(file.read(16)) is not None
    except OSError:
        return False
