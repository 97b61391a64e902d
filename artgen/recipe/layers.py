"""Recipes as layers of tables: laid over each other, each value knowing where it came from."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from artgen.components import Kind
from artgen.errors import Fault
from artgen.recipe.source import Source
from artgen.recipe.spans import Key
from artgen.recipe.toml import MAX_DEPTH

ONE_OF_A_KIND: tuple[Kind, ...] = (
    "data",
    "source",
    "augment",
    "generator",
    "critic",
    "features",
    "trainer",
    "executor",
)
"""Tables in which exactly one component is chosen: another one in a later layer takes the place of the first."""

MAX_VALUES = 10_000


class Origin(NamedTuple):
    """Where a value came from: a text, and its key there."""

    source: Source
    key: Key


@dataclass
class Layer:
    """Tables, and the origin of each value in them. An origin holds for everything below its key.

    `unknown` are the keys of which a fault hides what the recipe says of them, and all that is below them.
    """

    values: dict[str, Any]
    origins: dict[Key, Origin] = field(default_factory=dict)
    unknown: set[Key] = field(default_factory=set)

    def place(self, key: Key) -> Origin:
        """Where this key came from; of a missing one, where it should be."""
        for length in range(len(key), -1, -1):
            if origin := self.origins.get(key[:length]):
                return origin._replace(key=origin.key + key[length:])
        return Origin(Source("", None), key)

    def hides(self, key: Key) -> bool:
        """Whether a fault may hide this key, or something below it."""
        return any(key[: len(hidden)] == hidden[: len(key)] for hidden in self.unknown)

    def lay(self, over: Layer) -> None:
        """Lay another layer over this one: tables merge, everything else is replaced."""
        self._merge(self.values, over.values, over, ())
        self.unknown |= over.unknown

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


def cleaned(values: Mapping[str, Any], source: Source, unknown: Iterable[Key] = ()) -> tuple[Layer, list[Fault]]:
    """A layer of what a recipe can hold; the rest is left out and reported."""
    layer = Layer({}, {(): Origin(source, ())}, set(unknown))
    faults: list[Fault] = []
    count = 0

    def clean(value: Any, key: Key) -> Any:
        nonlocal count
        count += 1
        if count > MAX_VALUES:
            return None
        if wrong := _wrong(value, key):
            faults.append(source.fault(key, *wrong, at="key" if wrong[0] == "E-key" else "value"))
            # An array that lacks an item would be another array.
            layer.unknown.add(next((key[:i] for i, part in enumerate(key) if isinstance(part, int)), key))
            return None
        if isinstance(value, dict):
            kept = {name: clean(one, (*key, name)) for name, one in value.items()}
            return {name: one for name, one in kept.items() if one is not None}
        if isinstance(value, list):
            return [one for i, item in enumerate(value) if (one := clean(item, (*key, i))) is not None]
        return value

    layer.values = clean(dict(values), ()) or {}
    if count > MAX_VALUES:
        fault = source.fault((), "E-limit", f"holds more than {MAX_VALUES} values", "No recipe needs that: shorten it.")
        return Layer({}, layer.origins, {()}), [fault]
    return layer, faults


def _wrong(value: Any, key: Key) -> tuple[str, str, str] | None:
    """Code, cause and remedy of a value that is none for a recipe."""
    if key and isinstance(key[-1], str) and not key[-1].isprintable():
        return "E-key", f"the key {key[-1]!a} holds characters that cannot be printed", "Take them away."
    if len(key) > MAX_DEPTH:
        remedy = "No recipe needs that: make it flat."
        return "E-limit", f"tables or arrays are nested more than {MAX_DEPTH} deep", remedy
    if isinstance(value, datetime.date | datetime.time):
        return "E-type", "a date or time is no value here", f'Write text in quotes: "{value.isoformat()}".'
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return "E-range", "this number does not fit into 64 bits", "Write a smaller number."
    if isinstance(value, str) and ("\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value)):
        return "E-value", "this text holds a NUL or bytes that are no text", "Take them away."
    return None


def listed(names: Iterable[str]) -> str:
    """'a', 'b', 'c'."""
    return ", ".join(f"'{name}'" for name in names)
