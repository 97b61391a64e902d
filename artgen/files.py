"""Durable files: what is written here is whole or absent, through a kill, a full disk or a power cut.

The recipe is that of restic and borg: write under a temporary name, flush the file to disk, rename, flush the folder.
A change to the disk is one call of `os` (`Path` makes the same calls), so a test can fail or stop each one in turn.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import re
import shutil
import stat
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from artgen.errors import ResourceError

TEMPORARY = ".tmp-"
"""Names that begin so are unfinished; the next start removes them."""
TRASH = ".trash-"
"""Names that begin so are being deleted; the next start finishes it."""

_LEFTOVER = re.compile(r"\.(tmp|trash)-[0-9a-f]{32}")
_UNSUPPORTED = {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
_NO_LINKS = _UNSUPPORTED | {errno.EPERM, errno.EMLINK}  # some file systems have none: FAT, network drives
_CHUNK_BYTES = 1 << 24

log = logging.getLogger(__name__)
_told_unsupported = False


def cache_folder() -> Path:
    """Where what can be made or fetched anew is kept: `$ARTGEN_CACHE`, or the user's cache folder."""
    import platformdirs

    return Path(os.environ.get("ARTGEN_CACHE") or platformdirs.user_cache_path("artgen"))


def unused(folder: Path, prefix: str) -> Path:
    """A name in `folder` that nothing has: no clock and no counter, so two starts in one second never meet."""
    return folder / f"{prefix}{uuid.uuid4().hex}"


@contextmanager
def disk_trouble(place: Path, what: str) -> Iterator[None]:
    """Turn an `OSError` of the body into a ResourceError that says what could not be done, where and why."""
    try:
        yield
    except OSError as error:
        in_the_way = error.errno in (errno.EEXIST, errno.ENOTDIR, errno.EISDIR)
        barred = error.errno in (errno.EACCES, errno.EPERM, errno.EROFS)
        remedy = "Free some space or mend the disk, then run again."
        if in_the_way or barred:
            remedy = "Choose another place with --out." if in_the_way else "Choose a folder that you may write."
        raise ResourceError(f"{what}: {error.strerror or error}", place=str(place), remedy=remedy) from error


def require_space(path: Path, needed_bytes: int, what: str) -> None:
    """Refuse early if the disk that will hold `path` has less than `needed_bytes` free.

    Raises:
        ResourceError: With both figures.
    """
    existing = next(parent for parent in (path, *path.absolute().parents) if parent.exists())
    free_bytes = shutil.disk_usage(existing).free
    if free_bytes < needed_bytes:
        raise ResourceError(
            f"{what} needs {needed_bytes / 1e6:,.1f} MB free on the disk, and {free_bytes / 1e6:,.1f} MB are",
            place=str(path),
            remedy="Free some space, or choose a folder on another disk with --out.",
        )


def create(path: Path, content: bytes) -> str:
    """Write a new file and flush it to disk; return its SHA-256 in hexadecimal digits."""
    digest = hashlib.sha256()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        for start in range(0, len(content), _CHUNK_BYTES):
            chunk = memoryview(content)[start : start + _CHUNK_BYTES]
            _write(descriptor, chunk)
            digest.update(chunk)
        _sync(descriptor)
    finally:
        os.close(descriptor)
    return digest.hexdigest()


def replace(path: Path, content: bytes) -> None:
    """Give `path` a new content, in one step: a reader sees the old file or the new one."""
    temporary = unused(path.parent, TEMPORARY)
    try:
        create(temporary, content)
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError:
        with suppress(OSError):
            temporary.unlink()
        raise


@contextmanager
def replacing(path: Path, *, new: bool = False) -> Iterator[Path]:
    """The same for a content too large for memory: yield a temporary path, which takes the place of `path` at the end.

    Whatever the block raises leaves `path` as it was and the temporary file removed. With `new` nothing is replaced: if
    something has the name by then, that is a FileExistsError.
    """
    temporary = unused(path.parent, TEMPORARY)
    try:
        yield temporary
        descriptor = os.open(temporary, os.O_RDWR)
        try:
            _sync(descriptor)
        finally:
            os.close(descriptor)
        if new:
            _rename_new(temporary, path)
        else:
            temporary.replace(path)
        sync_folder(path.parent)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def append(path: Path, line: bytes) -> None:
    """Add to the end of a file, not flushed to disk; where the disk has no room, nothing is added."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o666)
    try:
        before_bytes = os.fstat(descriptor).st_size
        try:
            _write(descriptor, memoryview(line))
        except OSError:
            with suppress(OSError):
                os.ftruncate(descriptor, before_bytes)
            raise
    finally:
        os.close(descriptor)


def read(path: Path, limit_bytes: int) -> bytes:
    """The content of a plain file of at most `limit_bytes`; never follows a link or waits at a pipe.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it is larger, or no plain file.
    """
    found = path.lstat()
    if not stat.S_ISREG(found.st_mode):
        raise ValueError("it is not a plain file")
    if found.st_size > limit_bytes:
        raise ValueError(f"it has {found.st_size:,} bytes where at most {limit_bytes:,} are expected")
    with path.open("rb") as file:
        return file.read(found.st_size)


def make_folder(path: Path) -> None:
    """Make a folder with its parents, durably; nothing happens if it is there."""
    if not path.is_dir():
        make_folder(path.parent)
        path.mkdir(exist_ok=True)
        sync_folder(path.parent)


def move(source: Path, target: Path) -> None:
    """Rename within one folder, durably. A folder that stands at `target` and is not empty is never overwritten."""
    source.rename(target)
    sync_folder(target.parent)


def sync_folder(path: Path) -> None:
    """Flush the names in a folder to disk."""
    if sys.platform == "win32":
        return  # a folder cannot be opened there; NTFS keeps a journal of names
    descriptor = os.open(path, os.O_RDONLY)
    try:
        _sync(descriptor)
    finally:
        os.close(descriptor)


def remove(path: Path) -> None:
    """Delete a file, or a folder that holds files only."""
    if path.is_dir() and not path.is_symlink():
        for entry in path.iterdir():
            entry.unlink()
        path.rmdir()
    else:
        path.unlink()


def is_leftover(path: Path) -> bool:
    """Whether this is the name of something unfinished, and of nothing that anyone else would make."""
    return _LEFTOVER.fullmatch(path.name) is not None


def remove_leftovers(folder: Path) -> None:
    """Delete what an earlier process left unfinished in `folder`. Only the owner of the run folder may call this."""
    for entry in folder.iterdir() if folder.is_dir() else ():
        if is_leftover(entry):
            try:
                remove(entry)
            except OSError as error:
                log.warning("%s: a leftover cannot be removed: %s", entry, error.strerror or error)


def _rename_new(source: Path, target: Path) -> None:
    """Rename a file, unless something has the name: a plain rename would replace it, on POSIX."""
    try:
        target.hardlink_to(source)  # in one step, whatever other processes do
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from error
        source.rename(target)
    else:
        source.unlink()


def _write(descriptor: int, content: memoryview) -> None:
    while content:
        content = content[os.write(descriptor, content) :]


def _sync(descriptor: int) -> None:
    """Flush to disk. Some network and user-space file systems cannot; that is said once and borne."""
    global _told_unsupported
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        if not _told_unsupported:
            log.warning("This file system cannot flush to disk (fsync): a power cut may cost the newest checkpoint.")
            _told_unsupported = True
