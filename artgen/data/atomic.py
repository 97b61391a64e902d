"""Files that appear whole or not at all, also when the process is killed or the power fails."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PARTIAL = ".partial"
"""What temporary files end in; one that is left over belongs to a process that was killed."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; once the block ends well, it is synced and takes the place of `path`.

    Whatever the block raises leaves `path` as it was and the temporary file removed.

    Raises:
        OSError: The file cannot be written.
    """
    # The name is not derived from `path`, whose own may fill the 255 bytes that file systems allow.
    partial = path.with_name(f".{os.getpid()}-{secrets.token_hex(4)}{PARTIAL}")
    try:
        yield partial
        _sync(partial, os.O_RDWR)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    # Makes the new name durable. Windows cannot open a folder, some network file systems cannot sync one.
    with contextlib.suppress(OSError):
        _sync(path.parent, os.O_RDONLY)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
