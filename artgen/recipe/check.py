"""From merged tables to a complete recipe, or every fault at once."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import ValidationError

from artgen.components import Component, Kind, Options, Side
from artgen.errors import Fault, PluginError, RecipeError
from artgen.plugins import NOT_INSTALLED, Plugins, UnknownComponentError
from artgen.recipe.explain import complaints, shown
from artgen.recipe.layers import ONE_OF_A_KIND, Key, Layer, listed
from artgen.recipe.model import Chosen, Heading, PhaseOptions, Recipe, RunOptions

SEVERAL: dict[str, Kind] = {"losses": "loss", "metrics": "metric"}
REQUIRED = ("data", "generator", "trainer")
MAX_FAULTS = 100

_LABEL = re.compile(r"[\w-]+", re.ASCII)
OptionsT = TypeVar("OptionsT", bound=Options)


class UnusablePluginError(RecipeError, PluginError):
    """All that is wrong with a recipe is that plugins it needs are broken, clashing or not installed."""

    exit_code = PluginError.exit_code


def checked_recipe(layer: Layer, plugins: Plugins, source: Path, faults: Iterable[Fault] = ()) -> Recipe:
    """Check the merged tables of a recipe.

    Args:
        layer: The tables, and where each value came from.
        plugins: Where the components are looked up.
        source: The recipe's file; names the recipe.
        faults: What was found before.

    Raises:
        RecipeError: There are faults; all of them are told.
    """
    if not plugins.plugins:
        raise UnusablePluginError("no plugin is installed", place=str(source), remedy=NOT_INSTALLED)
    check = _Check(layer, plugins, list(faults))
    recipe = check.recipe(source)
    if recipe is None:
        kind = UnusablePluginError if check.blocked == len(check.faults) else RecipeError
        count = len(check.faults)
        cause = f"{count} faults" if count > 1 else "a fault"
        cause += f", of which the first {MAX_FAULTS} are" if count > MAX_FAULTS else ""
        raise kind(cause, place=str(source), faults=check.faults[:MAX_FAULTS])
    return recipe


class _Check:
    """Collects faults while the parts of a recipe are read."""

    def __init__(self, layer: Layer, plugins: Plugins, faults: list[Fault]) -> None:
        self.layer, self.plugins, self.faults = layer, plugins, faults
        self.blocked = 0  # faults that lie with a plugin
        self.components: dict[str, list[tuple[Key, Component]]] = {}

    def recipe(self, source: Path) -> Recipe | None:
        """The recipe, or None where there are faults."""
        values = self.layer.values
        heading = self.options(Heading, {key: values[key] for key in Heading.model_fields if key in values}, ())
        one = {section: self.chosen(section, cast(Kind, section)) for section in ONE_OF_A_KIND}
        several = {section: self.chosen(section, kind) for section, kind in SEVERAL.items()}
        phases = self.phases()
        run = self.options(RunOptions, values.get("run", {}), ("run",))
        self.unknown_keys()
        partner = self.partner()
        self.references(partner)
        self.sizes(one["data"], phases)
        if self.faults or heading is None or run is None:
            return None
        found = {section: chosen[0] if chosen else None for section, chosen in one.items()}
        data, generator, trainer = (cast(Chosen[Any], found[section]) for section in REQUIRED)
        return Recipe(
            name=source.stem,
            source=source,
            **heading.model_dump(),
            data=data,
            augment=found["augment"],
            generator=generator,
            critic=found["critic"] or partner,
            features=found["features"],
            losses=tuple(several["losses"]),
            trainer=trainer,
            metrics=tuple(several["metrics"]),
            phases=tuple(phase.resolved(data.options) for phase in phases),
            run=run,
        )

    def fault(self, key: Key, cause: str, remedy: str = "") -> None:
        origin = self.layer.place(key)
        self.faults.append(Fault(origin.key, cause, remedy, origin.file))

    def options(self, options: type[OptionsT], table: Any, key: Key) -> OptionsT | None:
        """Read a table as Options."""
        if not isinstance(table, dict):
            self.fault(key, f"expected a table, found {shown(table)}")
            return None
        folders = {name: self.layer.place((*key, name)).folder for name in table}
        try:
            # JSON in strict mode has the strictness of TOML: no "8" for 8, but an array for a tuple.
            return options.model_validate_json(json.dumps(table), context={**folders, "": self.layer.place(key).folder})
        except ValidationError as error:
            for below, cause, remedy in complaints(error, options, table):
                self.fault((*key, *below), cause, remedy)
        except Exception as error:
            self.fault(key, f"{options.__module__}.{options.__name__} cannot read this table: {error!r}")
            self.blocked += 1
        return None

    def component(self, kind: Kind, name: str, key: Key) -> Component | None:
        """Look a component up."""
        try:
            return self.plugins.component(kind, name)
        except UnknownComponentError as error:
            self.fault(key, error.cause, error.remedy)
        except PluginError as error:
            self.fault(key, error.cause, error.remedy)
            self.blocked += 1
        return None

    def chosen(self, section: str, kind: Kind) -> list[Chosen[Any]]:
        """The components that the tables of a section choose."""
        known = self.plugins.components(kind)
        example = f"Write [{section}.NAME]; there is {listed(known)}." if known else f"No plugin has a {kind}."
        tables = self.layer.values.get(section, {})
        if not isinstance(tables, dict):
            self.fault((section,), f"expected a table [{section}.NAME], found {shown(tables)}", example)
            return []
        if not tables and section in REQUIRED:
            self.fault((section,), f"the recipe names no {section}", example)
        if len(tables) > 1 and section in ONE_OF_A_KIND:
            self.fault((section, list(tables)[1]), f"one {section} is chosen, found {listed(tables)}")
        chosen = []
        for label, table in tables.items():
            key = (section, label)
            if not isinstance(table, dict):
                self.fault(key, f"expected a table [{section}.{label}], found {shown(table)}", example)
                continue
            use = table.get("use", label)
            if not isinstance(use, str):
                self.fault((*key, "use"), f"expected the name of a {kind}, found {shown(use)}")
                continue
            if "use" in table and not _LABEL.fullmatch(label):
                self.fault(key, f"the label {label!r} must be of letters, digits, '_' and '-'")
            component = self.component(kind, use, (*key, "use") if "use" in table else key)
            if component is None:
                continue
            self.components.setdefault(section, []).append((key, component))
            options = self.options(component.options, {k: v for k, v in table.items() if k != "use"}, key)
            if options is not None:
                chosen.append(Chosen(label, use, component, options))
        return chosen

    def sizes(self, data: list[Chosen[Any]], phases: list[PhaseOptions]) -> None:
        """Phases show the data's pictures as they are, or smaller; they neither enlarge nor distort them."""
        if not data:
            return
        height, width = data[0].options.size
        for index, phase in enumerate(phases):
            if not phase.resolution:
                continue
            if phase.size[0] > height or phase.size[1] > width or phase.size[0] * width != phase.size[1] * height:
                self.fault(
                    ("phase", index, "resolution"),
                    f"{phase.size[1]}x{phase.size[0]} px is no smaller copy of the data's {width}x{height} px",
                    f"Give data.{data[0].label} the resolution of the largest phase, and all of them one shape.",
                )

    def phases(self) -> list[PhaseOptions]:
        """The schedule."""
        tables = self.layer.values.get("phase", [])
        if not isinstance(tables, list):
            self.fault(("phase",), f"expected [[phase]], found {shown(tables)}", "Write [[phase]] with two brackets.")
            return []
        if not tables:
            self.fault(("phase",), "the recipe has no phase", "Write [[phase]] with `images` and `batch`.")
        phases = [self.options(PhaseOptions, table, ("phase", index)) for index, table in enumerate(tables)]
        return [phase for phase in phases if phase is not None]

    def unknown_keys(self) -> None:
        """Refuse keys that mean nothing at the top."""
        known = (*Heading.model_fields, *ONE_OF_A_KIND, *SEVERAL, "phase", "run", "on", "extends")
        for name in self.layer.values:
            if name in ("on", "extends"):
                self.fault((name,), f"'{name}' has a meaning only at the top of a recipe's file")
            elif name not in known:
                near = get_close_matches(name[:64], known, n=1, cutoff=0.5)
                remedy = f"Did you mean '{near[0]}'?" if near else f"Known here: {listed(known)}."
                self.fault((name,), f"unknown key '{name}'", remedy)

    def partner(self) -> Chosen[Any] | None:
        """The critic that suits the generator, where the recipe names none."""
        generators = self.components.get("generator", [])
        if self.layer.values.get("critic") or len(generators) != 1:
            return None
        key, generator = generators[0]
        if generator.partner is None:
            return None
        component = self.component("critic", generator.partner, key)
        options = self.options(component.options, {}, key) if component else None
        return Chosen(generator.partner, generator.partner, component, options) if component and options else None

    def references(self, partner: Chosen[Any] | None) -> None:
        """Compare what components need with what others give."""
        for key, metric in self.components.get("metrics", []):
            if metric.needs_features and not self.layer.values.get("features"):
                known = listed(self.plugins.components("features"))
                remedy = f"Add [features.NAME]; there is {known}." if known else ""
                self.fault(key, f"the metric '{metric.name}' measures in a feature space, and there is none", remedy)
        trainers, losses = self.components.get("trainer", []), self.components.get("losses", [])
        if len(trainers) != 1:
            return
        trainer = trainers[0][1]
        for key, loss in losses:
            for side, needs in loss.needs.items():
                if lacking := [name for name in needs if name not in trainer.gives.get(side, ())]:
                    gives = listed(trainer.gives.get(side, ())) or "nothing"
                    self.fault(
                        key,
                        f"the loss '{loss.name}' needs {listed(lacking)} for the {side}, "
                        f"where the trainer '{trainer.name}' gives {gives}",
                        self.suitable_losses(trainer, side),
                    )
        tables = self.layer.values.get("losses", {})
        for side in trainer.gives if isinstance(tables, dict) and len(tables) == len(losses) else ():
            if not any(side in loss.needs for _, loss in losses):
                cause = f"no loss judges the {side}, which the trainer '{trainer.name}' is to train"
                self.fault(("losses",), cause, self.suitable_losses(trainer, side))
        critic = self.layer.values.get("critic") or partner
        if "critic" in trainer.gives and not critic and self.components.get("generator"):
            generator = self.components["generator"][0][1]
            if generator.partner is None:
                cause = f"the trainer '{trainer.name}' needs a critic, and '{generator.name}' brings none along"
                self.fault(
                    ("critic",), cause, f"Add [critic.NAME]; there is {listed(self.plugins.components('critic'))}."
                )

    def suitable_losses(self, trainer: Component, side: Side) -> str:
        """Which losses would do."""
        suitable = [
            name
            for name, loss in self.plugins.components("loss").items()
            if side in loss.needs
            and all(set(needs) <= set(trainer.gives.get(at, ())) for at, needs in loss.needs.items())
        ]
        return f"Losses that suit this trainer: {listed(suitable)}." if suitable else ""
