"""JSON Schema of recipes for the installed plugins, from which an editor completes and marks. Imports no torch.

Draft 7, and of it only what taplo and tombi both complete from: plain `properties`, no `oneOf`, no keyword beside a
`$ref`. It demands nothing that another layer of a recipe may provide, so it passes each file by itself, also one that
extends another (only a table with a label of its own must say `use` in each: else it would look like a misspelt
component). What depends on two values at once is left to `artgen check`.
"""

from __future__ import annotations

import json
import re
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core.core_schema import ModelSchema

from artgen.components import KINDS, Component, Kind, Options, field_help, naming_key
from artgen.plugins import Plugins
from artgen.recipe.load import DEVICES
from artgen.recipe.model import DEFAULT_PATH, GrowthOptions, Heading, PhaseOptions, RunOptions

SCHEMA_FILE = "artgen.schema.json"
"""The file beside a recipe that its first line names: `#:schema ./artgen.schema.json`."""

Schema = dict[str, Any]

_SECTIONS: dict[str, tuple[Kind, str]] = {
    "data": ("data", "The pictures to learn from: exactly one."),
    "source": ("source", "What pictures are to be made from, computed from the pictures themselves: at most one."),
    "augment": ("augment", "What is done to pictures before the critic sees them: at most one."),
    "generator": ("generator", "The network that makes pictures: exactly one."),
    "critic": ("critic", "The network that judges pictures: at most one. Default: the generator's own partner."),
    "features": ("features", "The frozen network in whose space metrics and losses measure: at most one."),
    "losses": ("loss", "The terms that are added up: any number."),
    "trainer": ("trainer", "How a step is taken: exactly one."),
    "metrics": ("metric", "Figures of quality: any number."),
    "videos": ("path", "Films, each under a name of your own: any number."),
    "executor": ("executor", "Who renders the pieces of films: at most one. Default: this process."),
}
_DROPPED = {"title", "required", "discriminator", "$defs", "uniqueItems", "prefixItems", "oneOf", "anyOf"}


def schema_text(plugins: Plugins) -> str:
    """The content of a schema file; the same plugins give the same bytes."""
    return json.dumps(recipe_schema(plugins), indent=1, ensure_ascii=False) + "\n"


def recipe_schema(plugins: Plugins) -> Schema:
    """The schema of recipes that use these plugins."""
    definitions: Schema = {}
    for kind in KINDS:
        components = plugins.components(kind)
        for name, component in components.items():
            definitions |= _component(_defined(kind, name), component, plugins.owner(component).name)
        definitions |= _labelled(kind, list(components))
    tables = _options(Heading, "heading")["properties"]
    for section, (kind, words) in _SECTIONS.items():
        tables[section] = _section(kind, list(plugins.components(kind)), words, one=section == kind)
    definitions |= {"phase": _phase(), "run": _options(RunOptions, "run")}
    tables["phase"] = {
        "type": "array",
        "description": "The schedule: one `[[phase]]` after the other.",
        "items": _reference("phase"),
    }
    tables["run"] = _reference("run")
    definitions["device"] = {"type": "object", "properties": tables, "additionalProperties": False}
    extends = {
        "description": "The recipes that this one is laid over: bundled names, or files beside this one.",
        "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
    }
    on = {
        "type": "object",
        "description": "What is laid over the rest when the run is on this device.",
        "properties": {device: _reference("device") for device in DEVICES},
        "additionalProperties": False,
    }
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "A recipe of artgen",
        "$comment": "Made by `artgen recipe schema` from the plugins that were installed; make it anew for others.",
        "type": "object",
        "properties": {"extends": extends, **tables, "on": on},
        "additionalProperties": False,
        "$defs": dict(sorted(definitions.items())),
    }


def _section(kind: Kind, names: list[str], words: str, *, one: bool) -> Schema:
    """A table of tables: one for each component, and those with labels of the user's own."""
    return {
        "type": "object",
        "description": words,
        "properties": {} if kind == "path" else {name: _reference(_defined(kind, name)) for name in names},
        "patternProperties": {":": {"type": "object"}},  # a full name, "distribution:name"
        "additionalProperties": _reference(kind) if names else False,
        **({"maxProperties": 1} if one else {}),
    }


def _labelled(kind: Kind, names: list[str]) -> Schema:
    """The definitions of a table with a label of its own, which must say whose options it holds, and of how it says."""
    naming = naming_key(kind)
    use: Schema = {
        "description": f"The {kind} that this table is about, where the table has another name.",
        "anyOf": [{"enum": names}, {"type": "string", "pattern": ":"}],
    }
    chosen: list[Schema] = [
        {"if": _uses({"const": name}, naming), "then": _reference(_defined(kind, name))} for name in names
    ]
    table: Schema = {
        "type": "object",
        "description": f"A {kind} in a table with a name of your own.",
        "properties": {naming: _reference(f"{kind}.{naming}")},
        "required": [naming],
        "additionalProperties": True,
        "allOf": chosen,
    }
    if kind == "path" and DEFAULT_PATH in names:
        del table["required"]
        table["description"] = "A film."
        use |= {"description": "How the walk goes through the latent space.", "default": DEFAULT_PATH}
        chosen.append({"if": _uses({}, naming), "else": _reference(_defined(kind, DEFAULT_PATH))})
    return {kind: table, f"{kind}.{naming}": use} if names else {}


def _uses(which: Schema, naming: str = "use") -> Schema:
    """A condition: a table that says `use`, and of what it says this holds.

    Without the type, a number in the place of the table would meet all conditions, and two of them lead in a circle.
    tombi takes a condition for a closed table unless told otherwise.
    """
    return {"type": "object", "properties": {naming: which}, "required": [naming], "additionalProperties": True}


def _component(key: str, component: Component, plugin: str) -> Schema:
    """The definition of a component's table, and those that it refers to."""
    try:
        made = _options(component.options, key)
        nested = made.pop("$defs", {})
        if "$ref" in made:  # options that hold options of the same class
            made = dict(nested[made["$ref"].removeprefix(f"#/$defs/{key}.")])
        json.dumps([made, nested])
    except Exception:  # whatever a stranger's type does; a table of which nothing is known passes
        made, nested = {"additionalProperties": True}, {}
    words = made.pop("description", "") if component.options.__module__ != Options.__module__ else ""
    warning = component.deprecated and f"Deprecated: {component.deprecated}."
    naming = naming_key(component.kind)
    properties = {**made.get("properties", {}), naming: _reference(f"{component.kind}.{naming}")}
    table = {
        "type": "object",
        "description": "\n\n".join(filter(None, (component.summary, words, warning, f"Plugin `{plugin}`."))),
        "properties": properties,
        "additionalProperties": True,
        "if": _uses({"not": {"pattern": f"(^|:){component.name}$"}}, naming),
        "then": _reference(component.kind),
        "else": {
            "properties": dict.fromkeys(properties, True),
            "additionalProperties": made.get("additionalProperties", False),
        },
    }
    return {key: table, **{f"{key}.{name}": schema for name, schema in nested.items()}}


def _phase() -> Schema:
    phase, growth = _options(PhaseOptions, "phase"), _options(GrowthOptions, "phase")
    del phase["properties"]["resolution"]["default"]  # 0 stands for that of the data and cannot be written
    for name, grown in growth["properties"].items():
        if plain := phase["properties"].get(name):
            grown["description"] = f"{plain['description']} With `from` and `to`: {grown['description']}"
    properties = phase["properties"] | growth["properties"]
    return {**phase, "properties": properties, "required": ["batch"]}  # arrays replace each other: it stands alone


class _Documented(GenerateJsonSchema):
    """Describes each field by the docstring below it; lets pass what JSON Schema has no words for."""

    def model_schema(self, schema: ModelSchema) -> JsonSchemaValue:
        made, model = super().model_schema(schema), schema["cls"]
        for name, words in field_help(model).items() if issubclass(model, Options) else ():
            field = made["properties"].get(name)
            if field is not None and words:
                field["description"] = words
        return made

    def handle_invalid_for_json_schema(self, schema: Any, error_info: str) -> JsonSchemaValue:
        return {}

    def emit_warning(self, kind: Any, detail: str) -> None:
        """A default that JSON cannot hold is left out without a word."""


def _options(options: type[Options], key: str) -> Schema:
    """The schema of a table that Options check; what it refers to stands in `$defs` below `key`."""
    made = options.model_json_schema(ref_template=f"#/$defs/{key}.{{model}}", schema_generator=_Documented)
    nested = {name: _plain(schema) for name, schema in made.get("$defs", {}).items()}
    return _plain(made) | ({"$defs": nested} if nested else {})


def _plain(schema: Schema) -> Schema:
    """The same schema as TOML has it, which knows no null, in words that draft 7 has too."""
    made = {key: value for key, value in schema.items() if key not in _DROPPED}
    for key in ("properties", "patternProperties"):
        if key in made:
            made[key] = {name: _plain(one) for name, one in made[key].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(made.get(key), dict):
            made[key] = _plain(made[key])
    if places := [_plain(place) for place in schema.get("prefixItems", ())]:
        kinds = [place for index, place in enumerate(places) if place not in places[:index]]
        made["items"] = kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
    default = made.get("default")
    if default is None or (isinstance(default, int | float) and default < made.get("minimum", default)):
        made.pop("default", None)  # not set
    ways = [_plain(way) for key in ("anyOf", "oneOf") for way in schema.get(key, ()) if way != {"type": "null"}]
    if len(ways) > 1:
        made["anyOf"] = ways
    elif ways:
        made = {**ways[0], **made}
    if "$ref" in made and len(made) > 1:  # draft 7 would not see what stands beside it
        made["allOf"] = [{"$ref": made.pop("$ref")}]
    return made


def _defined(kind: Kind, name: str) -> str:
    return f"{kind}.{re.sub(r'[^a-z0-9.-]', '_', name.lower())}"


def _reference(key: str) -> Schema:
    return {"$ref": f"#/$defs/{key}"}
