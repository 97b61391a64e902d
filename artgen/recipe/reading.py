"""The parts of a recipe by themselves: the component that a table names, and the table as that one's Options."""

from __future__ import annotations

import functools
import json
import logging
import re
from collections.abc import Iterator
from typing import Any, TypeVar

from pydantic import ValidationError

from artgen.components import Component, Kind, Options
from artgen.errors import PluginError
from artgen.plugins import UnknownComponentError
from artgen.recipe.findings import Findings
from artgen.recipe.layers import listed
from artgen.recipe.model import PHASE_KEYS, SECTIONS, Heading, RunOptions
from artgen.recipe.spans import Key

LABEL = re.compile(r"[\w-]+", re.ASCII)
"""What the name of a table may be, when `use` says which component it means."""

_log = logging.getLogger(__name__)
OptionsT = TypeVar("OptionsT", bound=Options)


class Reader:
    """Reads components and tables, and tells what is wrong with them."""

    def __init__(self, findings: Findings) -> None:
        self.findings, self.layer, self.plugins = findings, findings.layer, findings.plugins

    def component(self, kind: Kind, name: str, key: Key) -> Component | None:
        """Look a component up; `key` is where the recipe names it."""
        try:
            return self.plugins.component(kind, name)
        except UnknownComponentError:
            self._unknown_component(kind, name, key)
        except PluginError as error:
            self.findings.add(key, "E-plugin", error.cause, error.remedy, at="value" if len(key) > 2 else "key")
            self.findings.blocked += 1
        return None

    def options(self, options: type[OptionsT], table: Any, key: Key) -> OptionsT | None:
        """Read a table as Options."""
        if not isinstance(table, dict):
            from artgen.recipe.shapes import no_table

            no_table(self.findings, table, key)
            return None
        context = {"": self.layer.place(key).source.folder, "homes": self._homes(table, key)}
        try:
            # JSON in strict mode has the strictness of TOML: no "8" for 8, but an array for a tuple.
            read = options.model_validate_json(json.dumps(table), context=context)
        except ValidationError as error:
            self._complain(error, options, table, key)
        except Exception as error:
            cause = f"{options.__module__}.{options.__name__} cannot read this table: {error!r}"
            self.findings.add(key, "E-plugin", cause, "Tell the author of the plugin.", at="value")
            self.findings.blocked += 1
        else:
            self._warn_of_deprecated(read, key)
            return read
        return None

    def _homes(self, table: dict[str, Any], key: Key) -> dict[tuple[str, str], set[str]]:
        """Where relative paths start: (name of a key, text below it) -> the folders of the recipes that say so.

        pydantic does not tell a validator in which table of a table it stands, so a path is known by its text, and by
        the name of its key where that is the name of an option; the name "" stands for any.
        """
        homes: dict[tuple[str, str], set[str]] = {}
        for below, text in _texts(table):
            folder = self.layer.place((*key, *below)).source.folder
            for name in ("", *(part for part in below if isinstance(part, str))):
                homes.setdefault((name, text), set()).add(folder)
        return homes

    def other_tables(self, but: Key) -> dict[Key, list[str]]:
        """Every other table of the recipe and its keys; `()` is the top."""
        found: dict[Key, list[str]] = {
            ("phase",): list(PHASE_KEYS),
            ("run",): list(RunOptions.model_fields),
        }
        if but:
            found[()] = [*Heading.model_fields, "extends", *SECTIONS, "phase", "run", "on"]
        for components in self.findings.components.values():
            for key, component in components:
                if key != but:
                    found[key] = list(component.options.model_fields)
        return found

    def _unknown_component(self, kind: Kind, name: str, key: Key) -> None:
        from artgen.recipe.advice import about_name
        from artgen.recipe.explain import short

        is_label = len(key) == 2
        if self.findings.full or (is_label and () in self.layer.unknown and LABEL.fullmatch(name)):
            return  # a recipe that could not be read may say what the label stands for
        known = self.plugins.components(kind)
        advice = about_name(name, kind, known, {part: self.plugins.components(each) for part, each in SECTIONS.items()})
        cause, remedy, owner = f"no plugin provides the {kind} '{short(name)}'", advice.remedy, ""
        if ":" in name and not self._is_installed(owner := name.rpartition(":")[0]):
            cause += f": '{short(owner)}' is not installed"
            remedy = f"If you trust it: pip install {owner}" if LABEL.fullmatch(owner) else remedy
        more = {"expected": listed(known), "found": short(name), "nearest": advice.nearest}
        self.findings.add(key, "E-component", cause, remedy, at="key" if is_label else "value", **more)

    def _is_installed(self, owner: str) -> bool:
        """Whether there is such a plugin or distribution."""
        return any(owner in (plugin.name, plugin.distribution, str(plugin)) for plugin in self.plugins.plugins)

    def _complain(self, error: ValidationError, options: type[Options], table: dict[str, Any], key: Key) -> None:
        """Tell what pydantic found; first the unknown keys, since one may be what another complaint misses."""
        from artgen.recipe.advice import about_key
        from artgen.recipe.explain import complaints, fields_below

        for one in sorted(complaints(error, options, table), key=lambda one: one.code != "E-key"):
            at = (*key, *one.key)
            more = {name: getattr(one, name) for name in ("expected", "found", "nearest", "about")}
            if one.code == "E-key":
                *table_in_it, name = one.key
                known = fields_below(options, tuple(table_in_it))
                advice = about_key(str(name), known, {} if table_in_it else self.other_tables(but=key))
                self.findings.misnamed(at[:-1], advice)
                more |= {"expected": listed(known), "nearest": advice.nearest}
                self.findings.add(at, one.code, one.cause, advice.remedy, **more)
            elif one.code == "E-missing" or not one.key:
                self.findings.lack(at, one.code, one.cause, one.remedy, **more)
            else:
                self.findings.add(at, one.code, one.cause, one.remedy, at=one.at, **more)

    def _warn_of_deprecated(self, options: Options, key: Key) -> None:
        """Say which keys of a table are going to disappear."""
        for name in options.model_fields_set:
            if reason := type(options).model_fields[name].deprecated:
                source, place = self.layer.place((*key, name))
                where = f"{source.name}:{source.line(source.span(place).start)}: {'.'.join(map(str, place))}"
                _warn(f"{where} is deprecated: {reason if isinstance(reason, str) else 'leave it out'}")


def _texts(value: Any, key: Key = ()) -> Iterator[tuple[Key, str]]:
    """Every text in a table, in those within it and in arrays, with its key."""
    if isinstance(value, str):
        yield key, value
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for part, one in inside:
        yield from _texts(one, (*key, part))


@functools.cache
def _warn(message: str) -> None:
    """Warn once, although a recipe is loaded for several devices."""
    _log.warning("%s", message)
