"""Published files: downloaded once, checked by digest, and only the part that is used is kept.

A download that was broken off goes on where it ended. Whatever is opened has been hashed before, each time.
"""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from io import BufferedReader
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from artgen import files
from artgen.errors import CheckpointError, DataError, ResourceError
from artgen.run.lock import Lock

TIMEOUT_SECONDS = 30.0
"""So long a server may be silent."""
STALLED_SECONDS = 120.0
"""So long another process, which downloads the same file, may make no headway."""
CONNECTIONS = 5
"""So many are tried for one download; each goes on where the one before it broke off."""

_CHUNK_BYTES = 1 << 20
_ALL_THERE = 416  # the range begins at the end of the file: nothing is left to send


@dataclass(frozen=True)
class Published:
    """A file on the network.

    Args:
        url: Where it is.
        sha256: Its digest in hexadecimal digits; where no more of it is known, the first ones.
    """

    url: str
    sha256: str

    @property
    def name(self) -> str:
        """Its file name."""
        return self.url.rpartition("/")[2]

    def fits(self, sha256: str) -> bool:
        """Whether it is the file that has this digest, in hexadecimal digits."""
        return sha256.startswith(self.sha256)


def kept_part(
    published: Published, path: Path, cut: Callable[[BufferedReader, str], bytes], at_hand: Sequence[Path] = ()
) -> Path:
    """Make `path` from a published file, unless it is there; of several processes one downloads and the others wait.

    Args:
        published: The whole file.
        path: Where the part is kept. Beside it lies its digest, `NAME.sha256`, which is checked at every call: a part
            that it does not fit is made anew.
        cut: Turns the whole file, opened at its start, into the content of `path`; it is told the file's SHA-256.
        at_hand: Where the whole file may be already. It stays there; what was downloaded does not.

    Returns:
        `path`.

    Raises:
        DataError: The file is nowhere, and cannot be downloaded or has another digest.
        ResourceError: The part cannot be written, or another process downloads it and makes no headway.
    """
    if pinned(path):
        return path
    found = []
    with files.disk_trouble(path.parent, "a download cannot be kept"):
        files.make_folder(path.parent)
        for whole in at_hand:
            found.append(f"{whole} (not there)")
            if whole.is_file():
                with whole.open("rb") as file:
                    if published.fits(sha256 := _digest(file)):
                        _keep(path, cut(file, sha256))
                        return path
                found[-1] = f"{whole} (another SHA-256)"
        partial = path.with_name(f"{published.name}.part")
        with _sole(path.with_name(f"{published.name}.lock"), partial):
            if pinned(path):  # by the process that was waited for
                return path
            try:
                sha256 = _download(published, partial)
            except DataError as error:
                raise DataError(
                    f"{published.name} is needed, and {error.cause}; looked for in {', '.join(found)}",
                    place=published.url,
                    remedy=f"Where there is a network: `curl -fLO {published.url}`; then put the file at "
                    f"{(*at_hand, path)[0]}",
                ) from error
            with partial.open("rb") as file:
                _keep(path, cut(file, sha256))
            partial.unlink()
    return path


def pinned(path: Path) -> bool | None:
    """Whether a file has the SHA-256 that lies beside it in `NAME.sha256`, as sha256sum writes it; None without one."""
    try:
        wanted = files.read(_pin(path), 4096).split()[0].decode()
        with path.open("rb") as file:
            return _digest(file) == wanted
    except FileNotFoundError:
        return None
    except (OSError, ValueError, IndexError):
        return False


def _pin(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _keep(path: Path, content: bytes) -> None:
    files.replace(path, content)
    files.replace(_pin(path), f"{hashlib.sha256(content).hexdigest()}  {path.name}\n".encode())


def _digest(file: BufferedReader) -> str:
    """SHA-256 of an opened file, which is left at its start: what is read then is what was hashed."""
    digest = hashlib.file_digest(file, "sha256").hexdigest()
    file.seek(0)
    return digest


def _download(published: Published, partial: Path) -> str:
    """Fill `partial` until its digest fits.

    Returns:
        The digest.

    Raises:
        DataError: With the cause alone.
    """
    cause = ""
    for _ in range(CONNECTIONS):
        had_bytes = partial.stat().st_size if partial.exists() else 0
        cause = f"the connection to {published.url} breaks off (it goes on from there when it is tried again)"
        if not _receive(published, partial, had_bytes):
            continue
        with partial.open("rb") as file:
            sha256 = _digest(file)
        if published.fits(sha256):
            return sha256
        cause = f"{published.url} has the SHA-256 {sha256}, not {published.sha256}"
        partial.unlink()
        if not had_bytes:
            break  # a second one would be the same; but one that went on may have begun as another file
    raise DataError(cause)


def _receive(published: Published, partial: Path, had_bytes: int) -> bool:
    """Append what is still to come; whether it came to its end."""
    from tqdm import tqdm

    wanted = {"User-Agent": "artgen"} | ({"Range": f"bytes={had_bytes}-"} if had_bytes else {})
    try:
        answer = urlopen(Request(published.url, headers=wanted), timeout=TIMEOUT_SECONDS)
    except HTTPError as error:
        error.close()
        if error.code == _ALL_THERE and had_bytes:
            return True
        raise DataError(f"{published.url} answers {error.code} {error.reason}") from error
    except (OSError, HTTPException) as error:
        why = getattr(error, "reason", error)
        raise DataError(f"{published.url} cannot be reached ({why})") from error
    with answer:
        if answer.status == 206 and not answer.headers.get("Content-Range", "").startswith(f"bytes {had_bytes}-"):
            partial.unlink()
            return False
        had_bytes = had_bytes if answer.status == 206 else 0  # some servers know no ranges and send all of it
        length = answer.headers.get("Content-Length", "")
        total_bytes = had_bytes + int(length) if length.isdecimal() else None
        with (
            partial.open("ab" if had_bytes else "wb") as file,
            tqdm(total=total_bytes, initial=had_bytes, desc=published.name, unit="B", unit_scale=True,
                 file=sys.stderr, disable=None, leave=False) as bar,
        ):  # fmt: skip
            while True:
                try:
                    chunk = answer.read1(_CHUNK_BYTES)  # what is there, so none of it is lost
                except (OSError, HTTPException):
                    return False
                if not chunk:
                    return total_bytes is None or file.tell() == total_bytes
                file.write(chunk)
                bar.update(len(chunk))


@contextmanager
def _sole(path: Path, partial: Path) -> Iterator[None]:
    """Be the only process in the body; wait for another one as long as its `partial` grows."""
    size_bytes, moved_at = -1, time.monotonic()
    while True:
        try:
            lock = Lock(path)
            break
        except CheckpointError as error:
            now_bytes = partial.stat().st_size if partial.exists() else 0
            if now_bytes != size_bytes:
                size_bytes, moved_at = now_bytes, time.monotonic()
            elif time.monotonic() - moved_at > STALLED_SECONDS:
                raise ResourceError(
                    f"another process downloads this and makes no headway ({error.cause.partition(': ')[2]})",
                    place=str(partial),
                    remedy="End it; the download goes on from there.",
                ) from error
            time.sleep(0.2)
    try:
        yield
    finally:
        lock.release()
