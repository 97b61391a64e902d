"""A text that values of a recipe come from, and the faults that point into it."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from artgen.errors import Fault
from artgen.recipe.spans import Key, Place, Span

MAX_BYTES, MAX_LINE = 2**20, 2**16


@dataclass(eq=False)
class Source:
    """A file, or an argument of the command line.

    Args:
        name: How messages name it: the file as it was given; `--set` or `--data`.
        text: What it says; None if it cannot be read.
        folder: Where relative paths in it begin.
        via: The recipes that lead to it by `extends`, from the outermost.
        readable: The text with blanks for what makes no sense, if there is such.
    """

    name: str
    text: str | None
    folder: str = ""
    via: tuple[str, ...] = ()
    readable: str | None = None

    @cached_property
    def places(self) -> dict[Key, Place]:
        """Where its keys and values stand. Read when first asked for: a recipe without fault needs none of it."""
        from artgen.recipe.locate import Scan  # only a fault needs it, or a question for origins

        return Scan(self.readable or self.text or "").places

    @property
    def is_argument(self) -> bool:
        return self.name.startswith("--")

    def span(self, key: Key, at: Literal["key", "value"] = "key") -> Span:
        """The text of a key or of its value; of one that is missing, the header of the table that lacks it."""
        for length in range(len(key), 0, -1):
            if place := self.places.get(key[:length]):
                return place.key if at == "key" and length == len(key) else place.value
        return Span(0, len(self.text or "") if self.is_argument else 1)

    def line(self, offset: int) -> int:
        """The line, from 1, that holds a character."""
        return (self.text or "").count("\n", 0, offset) + 1

    def fault(
        self,
        key: Key,
        code: str,
        cause: str,
        remedy: str = "",
        *,
        at: Literal["key", "value"] | Span = "key",
        **more: Any,
    ) -> Fault:
        """A fault at a key, at its value, or at any part of the text; `more` are further fields of `Fault`."""
        if self.text is None:
            return Fault(key, cause, remedy, self.name, code, via=self.via, **more)
        start, end = at if isinstance(at, Span) else self.span(key, at)
        begin, stop = self.text.rfind("\n", 0, start) + 1, self.text.find("\n", start)
        source = self.text[begin : stop if stop >= 0 else None].removesuffix("\r")
        column = min(start - begin, len(source)) + 1
        end_column = max(column, min(end - begin, len(source)) + 1)
        line = self.line(start)
        return Fault(key, cause, remedy, self.name, code, line, column, end_column, source, via=self.via, **more)


def read_source(path: Path, via: tuple[str, ...] = ()) -> tuple[Source, list[Fault]]:
    """The text of a file, whatever it is. Never waits, as a pipe or a device would make it."""
    unread = Source(str(path), None, str(path.absolute().parent), via)
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            return unread, [unread.fault((), "E-file", "this is a folder, not a recipe", "Name a file in it.")]
        if not stat.S_ISREG(status.st_mode):
            return unread, [unread.fault((), "E-file", "this is no regular file", "Write the recipe into a file.")]
        with open(path, "rb", opener=_without_waiting) as file:  # Path.open takes no opener
            content: bytes | None = file.read(MAX_BYTES + 1)
        if content is None:  # some files of the system say that they are regular
            raise BlockingIOError("this is no regular file: it waits for something to read")
    except (OSError, ValueError) as error:
        cause = (error.strerror if isinstance(error, OSError) else None) or str(error)
        return unread, [unread.fault((), "E-file", cause[:1].lower() + cause[1:], "Name a file that can be read.")]
    if len(content) > MAX_BYTES:
        cause = f"larger than {MAX_BYTES:,} bytes, which no recipe is"
        return unread, [unread.fault((), "E-limit", cause, "Is this the right file?")]
    # A mark of byte order at the beginning, which Windows writes, is no part of the text.
    source = Source(unread.name, content.decode(errors="replace").removeprefix("\ufeff"), unread.folder, via)
    return source, [fault for fault in (_not_utf8(source, content), _long_line(source)) if fault]


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # Windows has none


def _not_utf8(source: Source, content: bytes) -> Fault | None:
    try:
        content.decode()
    except UnicodeDecodeError as error:
        if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
            unread = Source(source.name, None, source.folder, source.via)
            return unread.fault((), "E-file", "this is UTF-16, not UTF-8 text", "Save it as UTF-8.")
        text = content[: error.start].decode().removeprefix("\ufeff")
        cause = f"line {source.line(len(text))} is not UTF-8 text (byte {content[error.start]:#04x})"
        return source.fault((), "E-file", cause, "Save the file as UTF-8.", at=Span(len(text), len(text) + 1))
    return None


def _long_line(source: Source) -> Fault | None:
    text = source.text or ""
    start = 0
    for line in text.split("\n"):
        if len(line) > MAX_LINE:
            cause = f"this line is longer than {MAX_LINE:,} characters"
            unread = Source(source.name, None, source.folder, source.via)
            return unread.fault((), "E-limit", f"line {source.line(start)}: {cause}", "Break it into several.")
        start += len(line) + 1
    return None
