"""Writes what is made from the Options of the bundled components: `python docs/generate_reference.py`.

That is the page `docs/recipe-reference.md`, and `recipes/artgen.schema.json` for editors.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, get_args

from artgen import FilePath, Options, field_help
from artgen.components import KINDS, Component, Kind
from artgen.plugins import GROUP, Plugins
from artgen.recipe.model import GrowthOptions, Heading, PhaseOptions, RunOptions
from artgen.recipe.schema import SCHEMA_FILE, schema_text

FILE = Path(__file__).with_name("recipe-reference.md")
SCHEMA = Path(__file__).parents[1] / "recipes" / SCHEMA_FILE
_PATH = get_args(FilePath)[1]

_INTRODUCTION = """# Recipe reference

Every table of a recipe, with what may stand in it. Made by `python docs/generate_reference.py` from the classes that
check recipes; do not edit it by hand. How a recipe reads is told in [recipes](recipes.md).
"""
_HEADINGS: dict[Kind, tuple[str, str]] = {
    "data": ("Data", "Exactly one: `[data.NAME]`."),
    "source": ("Sources", "At most one: `[source.NAME]`. It makes pairs of a data set that has none."),
    "augment": ("Augmentation", "At most one: `[augment.NAME]`."),
    "generator": ("Generators", "Exactly one: `[generator.NAME]`."),
    "critic": ("Critics", "At most one: `[critic.NAME]`. Without it a generator's own partner is taken."),
    "features": ("Features", "At most one: `[features.NAME]`."),
    "loss": ("Losses", "Any number, added up: `[losses.NAME]`."),
    "trainer": ("Trainers", "Exactly one: `[trainer.NAME]`."),
    "metric": ("Metrics", "Any number: `[metrics.NAME]`."),
    "path": ("Films", "Any number: `[videos.NAME]`, whose key `path` names one of these walks; without it, `spline`."),
    "executor": ("Executors", "At most one: `[executor.NAME]`. Without it the process itself renders the films."),
}
_SIMPLE = {"integer": "integer", "number": "number", "string": "text", "boolean": "true or false"}
_BOUNDS = (
    ("minimum", "at least {}"),
    ("exclusiveMinimum", "more than {}"),
    ("maximum", "at most {}"),
    ("exclusiveMaximum", "less than {}"),
    ("minItems", "{} or more"),
    ("maxItems", "at most {} of them"),
)


def bundled_plugins() -> Plugins:
    """Those of artgen itself, whatever else is installed."""
    return Plugins(points=[point for point in entry_points(group=GROUP) if point.dist and point.dist.name == "artgen"])


def reference() -> str:
    """The whole page."""
    bundled = bundled_plugins()
    lines = [_INTRODUCTION, "## At the top\n", *_table(Heading)]
    lines += ["## Phases\n", "Any number, in order: `[[phase]]`.\n", *_table(PhaseOptions)]
    lines += ["With `from` and `to` it stands for a phase at each size between them, each twice the one before.\n"]
    lines += _table(GrowthOptions)
    lines += ["## Run\n", "`[run]`.\n", *_table(RunOptions)]
    for kind in KINDS:
        title, rule = _HEADINGS[kind]
        lines += [f"## {title}\n", rule + "\n"]
        for name, component in bundled.components(kind).items():
            lines += [f"### {kind} `{name}`\n", *_about(component, bundled.owner(component).name)]
            lines += _table(component.options)
    return "\n".join(lines).rstrip() + "\n"


def _about(component: Component, plugin: str) -> Iterator[str]:
    yield f"{component.summary}. Plugin `{plugin}`.\n"
    if component.partner:
        yield f"Its partner is the critic `{component.partner}`.\n"
    for verb, sides in (("Needs", component.needs), ("Gives", component.gives)):
        told = [f"for the {side}: {', '.join(f'`{name}`' for name in names)}" for side, names in sides.items()]
        if told:
            yield f"{verb} {'; '.join(told)}.\n"
    if component.needs_features:
        yield "Needs a feature network: `[features.NAME]`.\n"
    if component.needs_pairs:
        yield "Needs a generator that takes pictures.\n"


def _table(options: type[Options]) -> Iterator[str]:
    schema, help_ = options.model_json_schema(), field_help(options)
    if not schema.get("properties"):
        yield "No options.\n"
        return
    yield "| option | type | default | bounds | what it does |\n|---|---|---|---|---|"
    for name, part in schema["properties"].items():
        path = name in options.model_fields and _PATH in options.model_fields[name].metadata
        kind = "path" if path else _type(part, schema)
        cells = (f"`{name}`", kind, _default(part), ", ".join(_bounds(part, schema)), help_[name])
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
    yield ""


def _type(part: dict[str, Any], schema: dict[str, Any]) -> str:
    match part:
        case {"$ref": str(ref)}:
            return "{ " + ", ".join(schema["$defs"][ref.rpartition("/")[2]]["properties"]) + " }"
        case {"anyOf": list(ways)}:
            return " or ".join(_type(way, schema) for way in ways if way.get("type") != "null")
        case {"enum": list(values)}:
            return " or ".join(f"`{json.dumps(value)}`" for value in values)
        case {"prefixItems": list(items)}:
            return f"[{', '.join(_type(item, schema) for item in items)}]"
        case {"type": "array", "items": dict(item)}:
            return f"array of {_type(item, schema)}"
        case {"type": "object", "additionalProperties": dict(value)}:
            return f"{{ NAME = {_type(value, schema)}, ... }}"
    return _SIMPLE[part["type"]]


def _default(part: dict[str, Any]) -> str:
    if "default" not in part:
        return "required" if "anyOf" in part or part.get("type") != "array" else "`[]`"
    default = part["default"]
    unset = default is None or ("minimum" in part and default < part["minimum"])
    return "not set" if unset else f"`{json.dumps(default)}`"


def _bounds(part: dict[str, Any], schema: dict[str, Any]) -> Iterator[str]:
    """The bounds of a value, of the ways in which it can be written, and of what is in it."""
    inside = [*part.get("prefixItems", ()), *([part["items"]] if "items" in part else ())]
    if "$ref" in part:
        inside += schema["$defs"][part["$ref"].rpartition("/")[2]]["properties"].values()
    told = [words.format(_number(part[key])) for key, words in _BOUNDS if key in part and "prefixItems" not in part]
    for way in part.get("anyOf", ()):
        told += _bounds(way, schema)
    for item in inside:
        told += [f"each {bound.removeprefix('each ')}" for bound in _bounds(item, schema)]
    plain = {bound.removeprefix("each ") for bound in told if not bound.startswith("each ")}
    yield from dict.fromkeys(bound for bound in told if bound.removeprefix("each ") not in plain or bound in plain)


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) and value < 10**12 else f"{value:g}"


if __name__ == "__main__":
    FILE.write_text(reference(), encoding="utf-8")
    SCHEMA.write_text(schema_text(bundled_plugins()), encoding="utf-8")
