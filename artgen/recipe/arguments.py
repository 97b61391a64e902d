"""The layers that the command line adds to a recipe: `--set` and `--data`."""

from __future__ import annotations

import json
import os
import re
import tomllib
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from artgen.components import DataOptions, Options
from artgen.errors import Fault, PluginError
from artgen.plugins import Plugins
from artgen.recipe.inline import inline
from artgen.recipe.layers import Layer, Origin, cleaned
from artgen.recipe.model import GrowthOptions, PhaseOptions
from artgen.recipe.source import Source
from artgen.recipe.spans import Key, Span
from artgen.recipe.toml import LONG_NUMBER

MAX_LENGTH, MAX_PARTS = 10_000, 64

_HOW = "Write --set key.of.table=value."


def read_override(argument: str) -> tuple[Layer, list[Fault]]:
    """The layer of one `--set a.b=c`: any TOML value; bare words are text."""
    source = Source("--set", argument, os.getcwd())  # noqa: PTH109  # as text
    key, equals, value = argument.partition("=")
    if not equals:
        return Layer({}), [source.fault((), "E-set", "there is no '='", _HOW)]
    if len(argument) > MAX_LENGTH or key.count(".") > MAX_PARTS:
        return Layer({}), [source.fault((), "E-limit", "this is too long", "Write it into a recipe.")]
    try:
        table = tomllib.loads(argument)
    except RecursionError:
        return Layer({}), [source.fault((), "E-limit", "not a TOML value: it is nested too deep", _HOW)]
    except ValueError as error:
        try:
            table = _with_text(tomllib.loads(f"{key}=0"), value.strip())
        except ValueError as wrong:
            return Layer({}), [_not_toml(source, "key", wrong)]
        if value.strip()[:1] in ("[", "{", '"', "'"):
            return Layer({}), [_not_toml(source, "value", error)]
    return cleaned(table, source)


def _not_toml(source: Source, what: str, error: ValueError) -> Fault:
    cause, argument = f"not a TOML {what}", source.text or ""
    if not isinstance(error, tomllib.TOMLDecodeError):
        return source.fault((), "E-set", f"{cause}: {LONG_NUMBER}", _HOW)
    if what == "key":
        return source.fault((), "E-set", cause, _HOW, at=Span(0, max(1, argument.index("="))))
    from artgen.recipe.syntax import mistake

    told, found, *_ = mistake(argument, str(error))
    more = {"expected": told.expected, "found": found}
    return source.fault((), "E-set", f"{cause}: {told.cause}", told.remedy, at=told.span, **more)


def _with_text(table: dict[str, Any], text: str) -> dict[str, Any]:
    return {name: _with_text(value, text) if isinstance(value, dict) else text for name, value in table.items()}


def into_an_array(layer: Layer, over: Layer) -> list[Fault]:
    """Refuse `--set phase.images=5`, as an array is replaced whole. Tells what to write, with the values at hand."""
    tables, given = layer.values.get("phase"), over.values.get("phase")
    if not isinstance(tables, list) or not isinstance(given, dict) or not all(isinstance(one, dict) for one in tables):
        return []
    changed, (index, change) = [dict(table) for table in tables], next(iter(given.items()), ("0", {}))
    from artgen.recipe.explain import short, shown

    is_number = bool(re.fullmatch("[0-9]{1,4}", index))
    number, change = (int(index), change) if is_number else (0, given)
    cause = f"phase is an array of {len(tables)}, not one table; --set replaces it whole"
    if number >= len(tables):
        cause = f"there is no phase {number + 1}: {cause}"
    elif not isinstance(change, dict):
        cause = f"a phase is a table, not {shown(change)}"
    elif unknown := [name for name in change if name not in _keys_of(tables[number] | change)]:
        cause = f"this phase has no key '{short(unknown[0])}'; {cause}"
    elif inner := [name for name, value in change.items() if isinstance(value, dict)]:
        cause = f"'{inner[0]}' of a phase is no table; {cause}"
    else:
        length = {"images", "steps"}
        gone = length - change.keys() if length & change.keys() else set()  # a phase has one of the two
        changed[number] = {name: one for name, one in (tables[number] | change).items() if name not in gone}
    del over.values["phase"]
    source = over.place(()).source
    whole = inline(changed)
    fits = len(whole) <= 200 and all(_can_be_read(phase) for phase in changed)
    remedy = f"Write it whole: --set 'phase={whole}'." if fits else "Write all phases, in a recipe."
    return [source.fault(("phase",), "E-set", cause, remedy, expected="an array of tables", found="a table")]


def _options_of(phase: dict[str, Any]) -> type[Options]:
    """What a `[[phase]]` is read as, by what it says."""
    return GrowthOptions if "from" in phase or "to" in phase else PhaseOptions


def _keys_of(phase: dict[str, Any]) -> list[str]:
    return [field.alias or name for name, field in _options_of(phase).model_fields.items()]


def _can_be_read(phase: dict[str, Any]) -> bool:
    try:
        _options_of(phase).model_validate_json(json.dumps(phase))
    except ValidationError:
        return False
    return True


def read_data(layer: Layer, data: str, plugins: Plugins, before: Any = None) -> tuple[Layer, list[Fault]]:
    """The layer of `--data`: the `path` or `content` of the recipe's data, or a folder of the same size in its place.

    Args:
        layer: The recipe with every `--set`.
        data: The argument.
        plugins: Where the component is looked up.
        before: The tables of its data before any `--set`. One that only names the folder (`data.folder.resolution=32`)
            says something of what is to take their place: the rest stays as it was.
    """
    source = Source("--data", data, os.getcwd())  # noqa: PTH109  # as text
    if len(data) > MAX_LENGTH:
        return Layer({}, unknown={("data",)}), [source.fault((), "E-limit", "this is too long", "Name a folder.")]
    label, table, fields = _data_table(layer.values.get("data"), plugins)
    was, table_before, fields_before = _data_table(before, plugins)
    if label == "folder" != was and "path" not in fields_before:
        kept = {name: value for name, value in _shared(table_before, fields_before).items() if name not in table}
        return cleaned({"data": {label: {"path": data, **kept}}}, source)
    if named := next((name for name in ("path", "content") if name in fields), None):
        return cleaned({"data": {label: {named: data}}}, source)
    kept = _shared(table, fields)
    over, faults = cleaned({"data": {"folder": {"path": data, **kept}}}, source)
    origins: dict[Key, Origin] = {
        ("data", "folder", name): layer.place(("data", label, name)) for name in kept if name in table
    }
    over.origins |= origins
    return over, faults


def _data_table(tables: Any, plugins: Plugins) -> tuple[str, dict[str, Any], dict[str, FieldInfo]]:
    """The one table of a recipe's data: its label, its keys, and the fields of its component."""
    label, table = next(iter(tables.items())) if isinstance(tables, dict) and len(tables) == 1 else ("folder", {})
    table = table if isinstance(table, dict) else {}
    try:
        return label, table, plugins.component("data", str(table.get("use", label))).options.model_fields
    except PluginError:
        return label, table, {}


def _shared(table: dict[str, Any], fields: dict[str, FieldInfo]) -> dict[str, Any]:
    """What any data set has, as a table or its defaults say it."""
    defaults = {name: field.default for name, field in fields.items() if not field.is_required()}
    return {name: (defaults | table)[name] for name in DataOptions.model_fields if name in defaults | table}
