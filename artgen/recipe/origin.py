"""A complete recipe, and where each of its values came from."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import groupby
from typing import Any, NamedTuple

import artgen
from artgen.components import Component
from artgen.excerpt import printable
from artgen.plugins import Plugins
from artgen.recipe.inline import dotted, inline
from artgen.recipe.layers import Layer
from artgen.recipe.model import Films, Recipe
from artgen.recipe.spans import Key

_WIDEST = 60


class Traced(NamedTuple):
    """One line of a complete recipe.

    Args:
        table: The table that it is in; it may be `("phase", 0)`.
        key: The key in that table; empty for the table's header.
        value: The value; an empty table for a header.
        origin: Where it came from.
    """

    table: Key
    key: Key
    value: Any
    origin: str


def traced(recipe: Recipe | Films, layer: Layer, plugins: Plugins) -> list[Traced]:
    """Every line of a complete recipe with its origin: `file:line`, `--set ...`, `--data ...`, whose default.

    Args:
        recipe: The complete recipe.
        layer: The merged tables that it was read from.
        plugins: Where its components were looked up.
    """
    return list(_Trace(recipe, layer, plugins).lines())


def toml_with_origins(lines: list[Traced]) -> str:
    """TOML that reads back as the recipe; a comment on each line says where it came from."""
    written: list[str] = []
    for table, group in groupby(lines, key=lambda line: line.table):
        told = [(_header(table) if not one.key else f"{dotted(one.key)} = {inline(one.value)}", one) for one in group]
        width = min(_WIDEST, max(len(text) for text, _ in told))
        written += [""] if written else []
        written += [f"{text:<{width}}  # {_on_one_line(one.origin)}" for text, one in told]
    return "\n".join(written) + "\n"


class _Trace:
    def __init__(self, recipe: Recipe | Films, layer: Layer, plugins: Plugins) -> None:
        self.recipe, self.layer, self.plugins = recipe, layer, plugins

    def lines(self) -> Iterator[Traced]:
        tables, every = self.recipe.tables(), self.recipe.chosen()
        for name in ("title", "description", "seed"):
            if name in tables:
                yield Traced((), (name,), tables[name], self.origin((name,)) or self.default())
        for section, chosen in every.items():
            for one in chosen:
                table: Key = (section, one.label)
                yield Traced(table, (), {}, self.origin(table) or self.partner())
                yield from self.below(table, (), tables[section][one.label], self.default(one.component))
        if isinstance(self.recipe, Films):
            return
        for index, (phase, number) in enumerate(zip(tables["phase"], self.recipe.phase_tables, strict=True)):
            table, written = ("phase", index), ("phase", number)
            yield Traced(table, (), {}, self.origin(written) or self.default())
            for name, value in phase.items():
                origin = self.derived(written, name, value) or self.origin((*written, name)) or self.default()
                yield Traced(table, (name,), value, origin)
        yield Traced(("run",), (), {}, self.origin(("run",)) or self.default())
        yield from self.below(("run",), (), tables["run"], self.default())

    def below(self, table: Key, key: Key, value: Any, default: str) -> Iterator[Traced]:
        """The lines of a table; those of tables in it, too, as their values may come from different places."""
        for name, one in value.items():
            if isinstance(one, dict) and one:
                yield from self.below(table, (*key, name), one, default)
            else:
                yield Traced(table, (*key, name), one, self.origin((*table, *key, name)) or default)

    def origin(self, key: Key) -> str:
        """Where a key of the merged tables stands; empty if they do not hold it."""
        value: Any = self.layer.values
        for part in key:
            inside = part in value if isinstance(value, dict) else isinstance(part, int) and isinstance(value, list)
            if not inside:
                return ""
            value = value[part]
        source, place = self.layer.place(key)
        if source.is_argument:
            return f"{source.name} {source.text}"
        here = f"{os.getcwd()}{os.sep}"  # noqa: PTH109  # as text
        return f"{source.name.removeprefix(here)}:{source.line(source.span(place).start)}"

    def derived(self, phase: Key, name: str, value: Any) -> str:
        """What a value of a phase is computed from; nothing if it stands in the recipe as it is."""
        if name == "images" and (steps := self.origin((*phase, "steps"))):
            return f"steps x batch, {steps}"
        if grown := self.origin((*phase, "to")):
            if name == "resolution":
                return f"from ... to, {grown}"
            if name == "fade" and not value and (fade := self.origin((*phase, "fade"))):
                return f"nothing to be blended with, {fade}"
        elif name == "resolution" and isinstance(self.recipe, Recipe) and not self.origin((*phase, name)):
            return f"the resolution of data.{self.recipe.data.label}"
        return ""

    def partner(self) -> str:
        assert isinstance(self.recipe, Recipe)  # nothing else has a critic that nobody chose
        generator = self.recipe.generator
        return f"partner of the generator '{generator.component.name}' ({self.package(generator.component)})"

    def default(self, component: Component | None = None) -> str:
        return (
            f"default of '{component.name}' ({self.package(component)})"
            if component
            else (f"default (artgen {artgen.__version__})")
        )

    def package(self, component: Component) -> str:
        owner = self.plugins.owner(component)
        return f"{owner.distribution} {owner.version}".strip(" ()")


def _header(table: Key) -> str:
    return f"[[{table[0]}]]" if isinstance(table[-1], int) else f"[{dotted(table)}]"


def _on_one_line(text: str) -> str:
    return printable(text).replace("\n", "\\n")
