"""From merged tables to a complete recipe, or every fault at once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

from artgen.components import Kind, naming_key
from artgen.errors import Fault, PluginError, RecipeError
from artgen.plugins import NOT_INSTALLED, Plugins
from artgen.recipe.findings import MAX_FAULTS, Findings, counted
from artgen.recipe.layers import ONE_OF_A_KIND, Layer, listed
from artgen.recipe.model import (
    DEFAULT_PATH,
    SECTIONS,
    Chosen,
    Films,
    GrowthOptions,
    Heading,
    PhaseOptions,
    Recipe,
    RunOptions,
)
from artgen.recipe.reading import LABEL, Reader
from artgen.recipe.references import check_references, check_sizes
from artgen.recipe.spans import Key

REQUIRED = ("data", "generator", "trainer")
OF_FILMS = ("features", "executor", "videos")
"""The tables of a file of films."""
_HEADING_OF_FILMS = ("title", "description")

T = TypeVar("T")


class UnusablePluginError(RecipeError, PluginError):
    """All that is wrong with a recipe is that plugins it needs are broken, clashing or not installed."""

    exit_code = PluginError.exit_code


def checked_recipe(layer: Layer, plugins: Plugins, file: Path, faults: Iterable[Fault] = ()) -> Recipe:
    """Check the merged tables of a recipe.

    Args:
        layer: The tables, and where each value came from.
        plugins: Where the components are looked up.
        file: The recipe's file; names the recipe.
        faults: What was found before.

    Raises:
        RecipeError: There are faults; all of them are told.
    """
    return _checked(layer, plugins, file, faults, _Check.recipe)


def _checked(
    layer: Layer, plugins: Plugins, file: Path, faults: Iterable[Fault], read: Callable[[_Check, Path], T | None]
) -> T:
    """What is read from merged tables, or all that is wrong with them."""
    if not plugins.plugins:
        raise UnusablePluginError("no plugin is installed", place=str(file), remedy=NOT_INSTALLED)
    findings = Findings(layer, plugins, faults)
    made = read(_Check(findings), file)
    found = findings.all()
    if made is None or found:
        kind = UnusablePluginError if findings.blocked == len(found) else RecipeError
        raise kind(counted(found), place=str(file), faults=found[:MAX_FAULTS])
    return made


def holds_films_only(layer: Layer) -> bool:
    """Whether merged tables are those of a file of films, and of no recipe."""
    return "videos" in layer.values and not any(name in layer.values for name in (*REQUIRED, "phase"))


def checked_films(layer: Layer, plugins: Plugins, file: Path, faults: Iterable[Fault] = ()) -> Films:
    """Check the merged tables of a file of films; as `checked_recipe`."""
    return _checked(layer, plugins, file, faults, _Check.films)


class _Check:
    """Puts the parts of a recipe together."""

    def __init__(self, findings: Findings) -> None:
        self.findings, self.values, self.plugins = findings, findings.layer.values, findings.plugins
        self.reader = Reader(findings)

    def recipe(self, file: Path) -> Recipe | None:
        """The recipe, or None where a part of it cannot be read."""
        self.find_components()
        self.unknown_keys()
        top = {key: self.values[key] for key in Heading.model_fields if key in self.values}
        heading = self.reader.options(Heading, top, ())
        chosen = {section: self.chosen(section) for section in SECTIONS}
        phases = self.phases()
        run = self.reader.options(RunOptions, self.values.get("run", {}), ("run",))
        partner = self.partner()
        check_references(self.findings, partner)
        check_sizes(self.findings, chosen["data"], phases)
        if heading is None or run is None or not all(chosen[section] for section in REQUIRED):
            return None
        one: dict[str, Chosen[Any] | None] = {kind: next(iter(chosen[kind]), None) for kind in ONE_OF_A_KIND}
        data, generator, trainer = (cast(Chosen[Any], one[section]) for section in REQUIRED)
        return Recipe(
            name=file.stem,
            file=file,
            **heading.model_dump(),
            data=data,
            source=one["source"],
            augment=one["augment"],
            generator=generator,
            critic=one["critic"] or partner,
            features=one["features"],
            losses=tuple(chosen["losses"]),
            trainer=trainer,
            metrics=tuple(chosen["metrics"]),
            videos=tuple(chosen["videos"]),
            executor=one["executor"],
            phases=tuple(phase.resolved(data.options) for _, phase in phases),
            phase_tables=tuple(table for table, _ in phases),
            run=run,
        )

    def films(self, file: Path) -> Films | None:
        """The films of a file that holds nothing else, or None where a part of it cannot be read."""
        self.find_components()
        self.unknown_keys((*_HEADING_OF_FILMS, *OF_FILMS))
        top = {key: self.values[key] for key in _HEADING_OF_FILMS if key in self.values}
        heading = self.reader.options(Heading, top, ())
        chosen = {section: self.chosen(section) for section in OF_FILMS}
        if heading is None:
            return None
        one: dict[str, Chosen[Any] | None] = {section: next(iter(chosen[section]), None) for section in OF_FILMS}
        return Films(
            name=file.stem,
            file=file,
            title=heading.title,
            features=one["features"],
            executor=one["executor"],
            videos=tuple(chosen["videos"]),
        )

    def find_components(self) -> None:
        """Look up what every table names, before any is read: advice on a key looks at all of them."""
        for section, kind in SECTIONS.items():
            tables = self.values.get(section)
            naming = naming_key(kind)
            for label, table in tables.items() if isinstance(tables, dict) else ():
                use = table.get(naming, _default(kind, label)) if isinstance(table, dict) else None
                if not isinstance(use, str):
                    continue
                key: Key = (section, label)
                component = self.reader.component(kind, use, (*key, naming) if naming in table else key)
                if component:
                    self.findings.components.setdefault(section, []).append((key, component))

    def unknown_keys(self, known: Sequence[str] = (*Heading.model_fields, *SECTIONS, "phase", "run")) -> None:
        """Refuse keys that mean nothing at the top."""
        if any(name not in known for name in self.values):
            from artgen.recipe.shapes import unknown_sections

            unknown_sections(self.findings, known, self.reader.other_tables(but=()))

    def chosen(self, section: str) -> list[Chosen[Any]]:
        """The components that the tables of a section choose."""
        kind, found = SECTIONS[section], dict(self.findings.components.get(section, []))
        known, tables = self.plugins.components(kind), self.values.get(section, {})
        if not isinstance(tables, dict):
            from artgen.recipe.shapes import no_section

            no_section(self.findings, tables, section, known)
            return []
        if not tables and section in REQUIRED:
            remedy = f"Write [{section}.NAME]; there is {listed(known)}." if known else f"No plugin has a {kind}."
            cause = f"the recipe names no {section}"
            self.findings.lack((section,), "E-missing", cause, remedy, expected=f"[{section}.NAME]", found="nothing")
        if len(tables) > 1 and section in ONE_OF_A_KIND:
            cause = f"one {section} is chosen, found {listed(tables)}"
            self.findings.add((section, list(tables)[1]), "E-ref", cause, "Keep one of them.", at="value")
        chosen, naming = [], naming_key(kind)
        for label, table in tables.items():
            key: Key = (section, label)
            if not isinstance(table, dict):
                from artgen.recipe.shapes import no_component

                no_component(self.findings, table, key, known)
                continue
            use = table.get(naming, _default(kind, label))
            if not isinstance(use, str):
                expected, there = f"the name of a {kind}", json.dumps(use)[:40]
                cause, remedy = f"expected {expected}, found {there}", f"There is {listed(known)}."
                self.findings.add((*key, naming), "E-type", cause, remedy, at="value", expected=expected, found=there)
            elif (naming in table or kind == "path") and not LABEL.fullmatch(label):
                cause = f"the label {label!r} must be of letters, digits, '_' and '-'"
                self.findings.add(key, "E-key", cause, "Give the table another name.", found=label)
            elif key in found:
                written = {name: value for name, value in table.items() if name != naming}
                options = self.reader.options(found[key].options, written, key)
                chosen += [Chosen(label, use, found[key], options)] if options is not None else []
        return chosen

    def phases(self) -> list[tuple[int, PhaseOptions]]:
        """The schedule: the phases that can be read, each with the number of its table."""
        tables = self.values.get("phase", [])
        if not isinstance(tables, list):
            from artgen.recipe.shapes import no_phases

            no_phases(self.findings, tables)
            return []
        if not tables:
            cause, remedy = "the recipe has no phase", "Write [[phase]] with `images` and `batch`."
            self.findings.lack(("phase",), "E-missing", cause, remedy, expected="[[phase]]", found="nothing")
        phases: list[tuple[int, PhaseOptions]] = []
        for index, table in enumerate(tables):
            key: Key = ("phase", index)
            if isinstance(table, dict) and ("from" in table or "to" in table):
                for name, remedy in (("resolution", "Take it away."), ("steps", "Write `images`, for each level.")):
                    if name in table:
                        cause = f"a phase with `from` and `to` has no `{name}`"
                        self.findings.add((*key, name), "E-key", cause, remedy, found=name)
                table = {name: value for name, value in table.items() if name not in ("resolution", "steps")}
                growth = self.reader.options(GrowthOptions, table, key)
                before = phases[-1][1] if phases else None
                phases += [(index, phase) for phase in growth.phases(before)] if growth else []
                continue
            if isinstance(table, dict) and "per_doubling" in table:
                cause = "a phase without `from` and `to` has no `per_doubling`"
                self.findings.add((*key, "per_doubling"), "E-key", cause, "Take it away.", found="per_doubling")
                table = {name: value for name, value in table.items() if name != "per_doubling"}
            if phase := self.reader.options(PhaseOptions, table, key):
                phases.append((index, phase))
        return phases

    def partner(self) -> Chosen[Any] | None:
        """The critic that suits the generator, where the recipe names none."""
        generators = self.findings.components.get("generator", [])
        if self.values.get("critic") or len(generators) != 1:
            return None
        key, generator = generators[0]
        name = generator.partner
        component = self.reader.component("critic", name, key) if name is not None else None
        options = self.reader.options(component.options, {}, key) if component else None
        return Chosen(name, name, component, options) if name and component and options else None


def _default(kind: Kind, label: str) -> str:
    """The component of a table that names none: its label says it, but that of a film is its name."""
    return DEFAULT_PATH if kind == "path" else label
