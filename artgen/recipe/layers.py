"""Recipes as layers of tables: read from files, laid over each other, each value knowing where it came from."""

from __future__ import annotations

import datetime
import re
import stat
import tomllib
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from artgen.errors import Fault

Key = tuple[str | int, ...]

ONE_OF_A_KIND = ("data", "augment", "generator", "critic", "features", "trainer")
"""Tables in which exactly one component is chosen: another one in a later layer takes the place of the first."""

MAX_BYTES, MAX_DEPTH, MAX_VALUES = 2**20, 64, 10_000

# Linear in the length of the file; tomllib takes quadratic time for a key of many parts.
_KEY_PART = r"""(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')"""
_LONG_KEY = re.compile(rf"(?<![\w-]){_KEY_PART}(?:[ \t]*+\.[ \t]*+{_KEY_PART}){{{MAX_DEPTH}}}")


class Origin(NamedTuple):
    """Where a value came from: file (or argument of the command line), its key there, folder of its relative paths."""

    file: str
    key: Key
    folder: str


@dataclass
class Layer:
    """Tables, and the origin of each value in them. An origin holds for everything below its key."""

    values: dict[str, Any]
    origins: dict[Key, Origin] = field(default_factory=dict)

    def place(self, key: Key) -> Origin:
        """Where this key came from; of a missing one, where it should be."""
        for length in range(len(key), -1, -1):
            if origin := self.origins.get(key[:length]):
                return origin._replace(key=origin.key + key[length:])
        return Origin("", key, "")

    def lay(self, over: Layer) -> None:
        """Lay another layer over this one: tables merge, everything else is replaced."""
        self._merge(self.values, over.values, over, ())

    def _merge(self, below: dict[str, Any], above: Mapping[str, Any], over: Layer, path: Key) -> None:
        for name, value in above.items():
            key = (*path, name)
            old: Any = below.get(name)
            merges = isinstance(old, dict) and isinstance(value, dict)
            if name in ONE_OF_A_KIND and not path:
                merges = merges and value.keys() <= old.keys()
            if merges:
                self._merge(old, value, over, key)
                continue
            self._forget(old, key)
            below[name] = deepcopy(value)
            self._adopt(value, key, over)
            self.origins[key] = over.place(key)

    def _adopt(self, value: Any, key: Key, over: Layer) -> None:
        if key in over.origins:
            self.origins[key] = over.origins[key]
        for name, inner in value.items() if isinstance(value, dict) else ():
            self._adopt(inner, (*key, name), over)

    def _forget(self, value: Any, key: Key) -> None:
        self.origins.pop(key, None)
        for name, inner in value.items() if isinstance(value, dict) else ():
            self._forget(inner, (*key, name))


def read_layer(path: Path) -> tuple[Layer, list[Fault]]:
    """Read one file, whatever it is."""
    origin = Origin(str(path), (), str(path.absolute().parent))
    try:
        text = _text(path)
        if match := _LONG_KEY.search(text):
            raise ValueError(f"a key in line {text.count(chr(10), 0, match.start()) + 1} has over {MAX_DEPTH} parts")
        values = tomllib.loads(text)
    except RecursionError:
        return Layer({}), [Fault((), f"tables or arrays are nested more than {MAX_DEPTH} deep", file=origin.file)]
    except tomllib.TOMLDecodeError as error:
        return Layer({}), [Fault((), f"not valid TOML: {error}", file=origin.file)]
    except (OSError, ValueError) as error:
        cause = error.strerror or str(error) if isinstance(error, OSError) else str(error)
        return Layer({}), [Fault((), cause[:1].lower() + cause[1:], file=origin.file)]
    return cleaned(values, origin)


def cleaned(values: Mapping[str, Any], origin: Origin) -> tuple[Layer, list[Fault]]:
    """A layer of what a recipe can hold; the rest is left out and reported."""
    faults: list[Fault] = []
    count = 0

    def clean(value: Any, key: Key) -> Any:
        nonlocal count
        count += 1
        if count > MAX_VALUES:
            return None
        if fault := _fault(value, key):
            faults.append(Fault(key, fault, file=origin.file))
            return None
        if isinstance(value, dict):
            kept = {name: clean(one, (*key, name)) for name, one in value.items()}
            return {name: one for name, one in kept.items() if one is not None}
        if isinstance(value, list):
            return [one for i, item in enumerate(value) if (one := clean(item, (*key, i))) is not None]
        return value

    table = clean(dict(values), ()) or {}
    if count > MAX_VALUES:
        return Layer({}), [Fault((), f"holds more than {MAX_VALUES} values", file=origin.file)]
    return Layer(table, {(): origin}), faults


def _fault(value: Any, key: Key) -> str:
    if key and isinstance(key[-1], str) and not key[-1].isprintable():
        return f"the key {key[-1]!a} holds characters that cannot be printed"
    if len(key) > MAX_DEPTH:
        return f"tables or arrays are nested more than {MAX_DEPTH} deep"
    if isinstance(value, datetime.date | datetime.time):
        return "a date or time is no value here; write text in quotes"
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return "this number does not fit into 64 bits"
    if isinstance(value, str) and ("\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value)):
        return "this text holds a NUL or bytes that are no text"
    return ""


def _text(path: Path) -> str:
    """The text of a regular file of modest size; never waits, as a pipe or a device would make it."""
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        raise ValueError("this is a folder, not a recipe")
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("this is no regular file")
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ValueError(f"larger than {MAX_BYTES:,} bytes, which no recipe is")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(f"line {line} is not UTF-8 text (byte {content[error.start]:#04x})") from None


def listed(names: Iterable[str]) -> str:
    """'a', 'b', 'c'."""
    return ", ".join(f"'{name}'" for name in names)
