"""A disk that fails, or a process that dies, at the n-th change to the disk."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

WRITING = {"open", "write", "fsync", "mkdir"}
NAMES = {"rename", "replace", "unlink", "rmdir", "ftruncate", *WRITING}


class Killed(BaseException):
    """What `kill -9` is to the code under test: nothing catches it, and nothing can be written after it."""


class FaultyDisk:
    """Stands between the code and `os`. `fault`: None, "kill", "torn" (kill in the middle of a write), or an errno.

    An errno fails operation `at`; with `lasting`, every later one that writes too. `power_cut` then takes away what was
    never flushed: the contents (half of each such file stays) and, if asked, the names.
    """

    def __init__(self, monkeypatch, fault=None, at=0, lasting=False):
        self.fault, self.at, self.lasting = fault, at, lasting
        self.count, self.dead = 0, False
        self._paths, self._dirty, self._names = {}, set(), []
        for name in NAMES:
            monkeypatch.setattr(os, name, self._watched(name, getattr(os, name)))
        self._close = os.close
        monkeypatch.setattr(os, "close", self._closed)

    def _watched(self, name, real):
        def call(*arguments, **options):
            if name == "open" and not (arguments[1] & os.O_CREAT):
                descriptor = real(*arguments, **options)
                self._paths[descriptor] = Path(arguments[0])
                return descriptor
            self._step(name, real, arguments)
            if name == "fsync":
                return self._flushed(arguments[0])
            before = self._before(name, arguments)
            result = real(*arguments, **options)
            self._after(name, arguments, result, before)
            return result

        return call

    def _step(self, name, real, arguments):
        self.count += 1
        if self.dead:
            raise Killed
        due = self.count == self.at or (self.lasting and self.count > self.at and name in WRITING)
        if due and isinstance(self.fault, int):
            raise OSError(self.fault, os.strerror(self.fault))
        if due and self.fault in ("kill", "torn"):
            self.dead = True
            if self.fault == "torn" and name == "write":
                real(arguments[0], arguments[1][: len(arguments[1]) // 2])
            raise Killed

    def _flushed(self, descriptor):
        path = self._paths[descriptor]
        self._dirty.discard(path)
        self._names = [entry for entry in self._names if entry[1].parent != path]

    def _before(self, name, arguments):
        target = Path(arguments[1]) if name == "replace" else None
        return target.read_bytes() if target is not None and target.exists() else None

    def _after(self, name, arguments, result, before):
        if name == "open":
            self._paths[result] = Path(arguments[0])
            self._names.append(("made", Path(arguments[0]), None, None))
        elif name == "write":
            self._dirty.add(self._paths[arguments[0]])
        elif name == "mkdir":
            self._names.append(("made", Path(arguments[0]), None, None))
        elif name in ("rename", "replace"):
            source, target = Path(arguments[0]), Path(arguments[1])
            self._dirty = {moved(path, source, target) for path in self._dirty}
            self._names = [(kind, moved(path, source, target), *rest) for kind, path, *rest in self._names]
            self._names.append(("moved", target, source, before))

    def _closed(self, descriptor):
        self._paths.pop(descriptor, None)
        self._close(descriptor)

    def end_process(self):
        """The kernel closes what a killed process has open, and so frees its locks."""
        for descriptor in list(self._paths):
            self._closed(descriptor)

    def power_cut(self, names: bool):
        """Lose what was not flushed to disk. Call it after `monkeypatch.undo()`."""
        for path in self._dirty:
            if path.exists():
                os.truncate(path, path.stat().st_size // 2)
        while names and self._names:
            kind, path, source, before = self._names.pop()
            if not path.exists():
                continue
            if kind == "moved":
                path.rename(source)
                self._names = [(kind, moved(other, path, source), *rest) for kind, other, *rest in self._names]
                if before is not None:
                    path.write_bytes(before)
            elif path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()


def moved(path, source, target):
    """Where a path lies after `source` was renamed to `target`."""
    return target / path.relative_to(source) if path.is_relative_to(source) else path
