"""One process owns a run folder. The kernel keeps the lock, so it frees itself however its holder ends."""

from __future__ import annotations

import errno
import json
import logging
import os
import socket
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from artgen.errors import CheckpointError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_BUSY = {errno.EACCES, errno.EAGAIN, errno.EDEADLK}
_UNSUPPORTED = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}

log = logging.getLogger(__name__)


class Lock:
    """Holds `path` until it is released or its process ends; the file itself stays and says who holds it.

    Args:
        path: The lock file; made if absent.

    Raises:
        CheckpointError: If another process holds it, with host, process id and start time.
        OSError: If the file cannot be made.
    """

    def __init__(self, path: Path) -> None:
        while True:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                _lock(self._descriptor)
                # Between opening and locking, the holder may have moved its folder aside and the file with it.
                if path.exists() and os.path.samestat(os.fstat(self._descriptor), path.stat()):
                    break
            except OSError as error:
                if error.errno in _UNSUPPORTED:
                    log.warning("%s: this file system knows no locks: start one process only.", path.parent)
                    break
                holder = _holder(self._descriptor)
                self.release()
                if error.errno not in _BUSY:
                    raise
                raise CheckpointError(
                    f"another process works in this folder: {holder}",
                    place=str(path.parent),
                    remedy="Wait for it to end or stop it, or choose another folder with --out.",
                ) from None
            self.release()
        started = datetime.now(UTC).isoformat(timespec="seconds")
        holder = json.dumps({"host": socket.gethostname(), "pid": os.getpid(), "started_at": started})
        # The lock counts, not this text: a full disk may leave it empty.
        with suppress(OSError):
            os.ftruncate(self._descriptor, 0)
            os.write(self._descriptor, holder.encode())

    def release(self) -> None:
        """Let go; once is enough."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1


def _lock(descriptor: int) -> None:
    if sys.platform == "win32":
        # Windows locks bytes and refuses to read them: lock one far behind the text.
        os.lseek(descriptor, 1 << 30, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        os.lseek(descriptor, 0, os.SEEK_SET)
    else:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _holder(descriptor: int) -> str:
    try:
        os.lseek(descriptor, 0, os.SEEK_SET)
        holder = json.loads(os.read(descriptor, 4096))
        return f"process {holder['pid']} on {holder['host']}, started {holder['started_at']}"
    except (OSError, ValueError, LookupError, TypeError):
        return "it has not said who it is"
