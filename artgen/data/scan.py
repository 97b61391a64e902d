"""What lies in a folder: which files may be pictures, and what is passed over. Nothing is decoded here."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from artgen.data.images import shown, sniff
from artgen.errors import DataError

# Files that call themselves pictures: worth a word if they are none. Others are opened only to sniff at them.
_SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff",
    ".avif", ".heic", ".heif", ".jp2", ".psd",
)  # fmt: skip


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


@dataclass
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


def look_through(path: str) -> Scan:
    """List the picture files of a folder and the folders below it, without reading them. Hidden ones are left out.

    Links are followed, each folder is visited once. Pipes, sockets and devices are never opened.

    Raises:
        DataError: There is no such folder, or it cannot be listed.
    """
    root = Path(path)
    try:
        if not stat.S_ISDIR(root.stat().st_mode):
            raise DataError(
                "this is not a folder", place=shown(root), remedy="Give the folder that holds the pictures."
            )
        os.scandir(root).close()
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise DataError(reason, place=shown(root), remedy="Give a folder of pictures.") from error
    return _walk(root)


_RUN_FOLDER = {"run.json", "recipe.toml"}


def _walk(root: Path) -> Scan:
    scan = Scan(root)
    seen: set[tuple[int, int]] = {_inode(root)}
    folders = [(str(root), "")]
    while folders:
        folder, prefix = folders.pop()
        try:
            with os.scandir(folder) as entries:
                inside = sorted((entry for entry in entries if not entry.name.startswith(".")), key=_by_name)
        except OSError as error:
            scan.passed_over.append(Skipped(shown(prefix), error.strerror or str(error)))
            continue
        if prefix and {entry.name for entry in inside} >= _RUN_FOLDER:
            # Its previews are no pictures to learn from, and would change while it trains.
            scan.passed_over.append(Skipped(shown(prefix), "the folder of a run"))
            continue
        below = []
        for entry in inside:
            name = prefix + entry.name
            try:
                status = entry.stat()
                if not stat.S_ISDIR(status.st_mode):
                    _sort_in(scan, entry, name, status)
                elif (inode := _inode(Path(entry.path))) not in seen:
                    seen.add(inode)
                    below.append((entry.path, name + "/"))
                else:
                    reason = "a folder that is read already under another name"
                    scan.passed_over.append(Skipped(shown(name), reason))
            except OSError as error:
                reason = "a broken link" if entry.is_symlink() else error.strerror or str(error)
                scan.passed_over.append(Skipped(shown(name), reason))
        folders += reversed(below)
    scan.found.sort(key=lambda file: os.fsencode(file.name))
    return scan


def _sort_in(scan: Scan, entry: os.DirEntry[str], name: str, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        scan.passed_over.append(Skipped(shown(name), "a pipe, socket or device"))
    elif _may_be_picture(entry):
        scan.found.append(Found(entry.path, name, status.st_size, status.st_mtime_ns))
    else:
        scan.others += 1


def _inode(folder: Path) -> tuple[int, int]:
    """What tells one folder from another. (`DirEntry.stat` would not know it on Windows.)"""
    status = folder.stat()
    return status.st_dev, status.st_ino


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
