"""Where each key and value of a TOML text stands.

tomllib tells no positions, so a diagnostic reads the text once more. This reader takes every text that tomllib takes;
of any other it reads as much as makes sense, up to `Scan.at`. It neither checks nor converts values, keeps no stack of
calls, and no expression in it backtracks: its time is linear in the length of the text, whatever the text is.
"""

from __future__ import annotations

import re
import tomllib

from artgen.recipe.spans import Key, Place, Span

MAX_PARTS, MAX_READ = 256, 50_000
"""Reading ends at a path of more parts, and after so many names and values; no recipe may have nearly as many."""

_BLANK = re.compile(r"(?:[ \t\r\n]++|#[^\n]*+)*+")
_SPACE = re.compile(r"[ \t]*+")
_NAME = re.compile(r"[\w-]++", re.ASCII)
_STRING = re.compile(
    r'"""(?:[^"\\]++|\\.|"{1,2}+(?!"))*+"{3,5}+'
    r"|'''(?:[^']++|'{1,2}+(?!'))*+'{3,5}+"
    r'|"(?!"")(?:[^"\\\n]++|\\.)*+"'
    r"|'(?!'')[^'\n]*+'",
    re.DOTALL,
)
_BARE = re.compile(r"[^#\r\n]*+")
_BARE_INSIDE = re.compile(r"[^#\r\n,\]}]*+")


class _Senseless(Exception):
    """The text cannot be read any further."""


class Scan:
    """What could be read of a text.

    Args:
        text: TOML, with any ends of lines.

    Attributes:
        places: Path of keys -> where they stand.
        statement: Offset at which the last line or header that was begun begins.
        path: The path that this last one speaks of.
        table: The table in which it stands.
        open: Offsets of the brackets that it opened and did not close.
        at: Offset at which reading ended; the length of the text if all of it made sense.
    """

    def __init__(self, text: str) -> None:
        self.text, self.at, self.statement = text, 0, 0
        self.places: dict[Key, Place] = {}
        self.path: Key = ()
        self.open: list[int] = []
        self._read = 0
        self.table: Key = ()
        self._counts: dict[Key, int] = {}
        try:
            while self._skip(_BLANK) < len(text) and self._read < MAX_READ:
                self.statement, self.path = self.at, self.table
                if text.startswith("[", self.at):
                    self._header()
                else:
                    path, key = self._named(self.table)
                    self._value(path, key)
        except _Senseless:
            pass

    def _header(self) -> None:
        """`[a.b]` or `[[a.b]]`."""
        start, double = self.at, self.text.startswith("[[", self.at)
        self.path = self.table = ()
        self.at += 2 if double else 1
        *before, (name, key) = self._names()
        self.table = self._below((), before)
        path = self.path = (*self.table, name)
        self.table = path
        self._expect("]]" if double else "]")
        place = Place(key, Span(start, self.at))
        if double:
            self.places.setdefault(path, place)
            index = self._counts[path] = self._counts.get(path, -1) + 1
            self.table = path = (*path, index)
        self.places[path] = place

    def _named(self, table: Key) -> tuple[Key, Span]:
        """`a.b =`: the path, and where its last name stands."""
        *before, (name, key) = self._names()
        path = (*self._below(table, before), name)
        if not self.open:
            self.path = path
        self._expect("=")
        return path, key

    def _below(self, path: Key, names: list[tuple[str, Span]]) -> Key:
        """A path with names added; those of an array of tables mean its newest table."""
        for name, span in names:
            path = (*path, name)
            self.places.setdefault(path, Place(span, span))
            if path in self._counts:
                path = (*path, self._counts[path])
        return path

    def _names(self) -> list[tuple[str, Span]]:
        names: list[tuple[str, Span]] = []
        while True:
            start = self._skip(_SPACE)
            match = _NAME.match(self.text, start) or _STRING.match(self.text, start)
            self._read += 1
            if not match or len(names) > MAX_PARTS:
                raise _Senseless
            self.at = match.end()
            names.append((_unquoted(match[0]), Span(start, self.at)))
            if not self.text.startswith(".", self._skip(_SPACE)):
                return names
            self.at += 1

    def _value(self, path: Key, key: Span | None) -> None:
        """A value, and all that is inside it. `key` is None for an item of an array."""
        tables: list[tuple[Key, Span | None, int]] = []  # arrays and inline tables around: path, key, index or -1
        while True:
            start = self._skip(_SPACE)
            self._read += 1
            if len(path) > MAX_PARTS or self._read > MAX_READ:
                raise _Senseless
            opening = self.text[start : start + 1]
            empty = opening in ("[", "{")
            if empty:
                tables.append((path, key, 0 if opening == "[" else -1))
                self.open.append(start)
                self.at += 1
            else:
                bare = _BARE_INSIDE if tables else _BARE
                match = (_STRING if opening in ("'", '"') else bare).match(self.text, start)
                value = Span(start, start + len(match[0].rstrip()) if match else start)
                if value.start == value.end:
                    raise _Senseless
                self.at = value.end
                self.places[path] = Place(key or value, value)
            while tables:
                comma = self.text.startswith(",", self._skip(_BLANK))
                self.at += comma
                self._skip(_BLANK)
                path, key, index = tables[-1]
                if not self.text.startswith("]" if index >= 0 else "}", self.at):
                    break
                self.at += 1
                value = Span(self.open.pop(), self.at)
                self.places[path] = Place(key or value, value)
                tables.pop()
                empty = False
            else:
                return
            if not (comma or empty):
                raise _Senseless
            if index >= 0:
                tables[-1] = (path, key, index + 1)
                path, key = (*path, index), None
            else:
                path, key = self._named(path)

    def _skip(self, pattern: re.Pattern[str]) -> int:
        match = pattern.match(self.text, self.at)
        self.at = match.end() if match else self.at
        return self.at

    def _expect(self, word: str) -> None:
        if not self.text.startswith(word, self._skip(_SPACE)):
            raise _Senseless
        self.at += len(word)


def _unquoted(name: str) -> str:
    if name[0] == '"' and "\\" in name:
        try:
            return str(tomllib.loads(f"name = {name}")["name"])
        except tomllib.TOMLDecodeError:
            return name
    return name[1:-1] if name[0] in "\"'" else name
