"""What Options promise, read from their JSON Schema."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, get_args

from pydantic import ValidationError

from artgen.components import Options

Schema = dict[str, Any]


def undocumented(options: type[Options], help_of: Callable[[type[Options]], dict[str, str]]) -> list[str]:
    """The options without a docstring, also those of tables within the table."""
    silent = [name for name, text in help_of(options).items() if not text]
    for name, field in options.model_fields.items():
        silent += [f"{name}.{below}" for inner in _tables(field.annotation) for below in undocumented(inner, help_of)]
    return silent


def out_of_bounds(schema: Schema, table: Schema) -> Iterator[tuple[str, Any, str]]:
    """For each bound of each option: its name, a value just outside, and the bound.

    Args:
        schema: JSON Schema of an Options class.
        table: A table that is allowed.
    """
    for name, field in schema.get("properties", {}).items():
        for branch in _branches(field, schema.get("$defs", {})):
            for bound, limit in branch.items():
                for value in _outside(bound, limit, branch, table.get(name)):
                    yield name, value, f"{bound} {limit}"


def is_taken(options: type[Options], table: Schema) -> bool:
    """Whether a recipe could have this table."""
    try:
        options.model_validate_json(json.dumps(table))
    except ValidationError:
        return False
    return True


def is_typed(field: Schema) -> bool:
    """Whether a property of a schema says of which type it is."""
    return bool(field.keys() & {"type", "anyOf", "oneOf", "allOf", "enum", "const", "$ref"})


def _tables(annotation: Any) -> Iterator[type[Options]]:
    """The Options classes in a type."""
    if isinstance(annotation, type) and issubclass(annotation, Options):
        yield annotation
    for part in get_args(annotation):
        yield from _tables(part)


def _branches(field: Schema, definitions: Schema) -> list[Schema]:
    """The alternatives of a property. Bounds of one that is open to a value of another are left out."""
    branches = [_resolved(branch, definitions) for branch in field.get("anyOf", [field])]
    kinds = ["number" if branch.get("type") == "integer" else branch.get("type") for branch in branches]
    return [branch for branch, kind in zip(branches, kinds, strict=True) if kinds.count(kind) == 1]


def _resolved(branch: Schema, definitions: Schema) -> Schema:
    name = str(branch.get("$ref", "")).rpartition("/")[2]
    return definitions.get(name, branch) if name else branch


def _outside(bound: str, limit: Any, branch: Schema, allowed: Any) -> Iterator[Any]:
    """Values just outside of one bound."""
    match bound:
        case "minimum":
            yield limit - 1
        case "maximum":
            yield limit + 1
        case "exclusiveMinimum" | "exclusiveMaximum":
            yield limit
        case "minLength" if limit > 0:
            yield "x" * (limit - 1)
        case "maxLength" if limit < 100_000:
            yield "x" * (limit + 1)
        case "minItems" if limit > 0 and isinstance(allowed, list):
            yield allowed[: limit - 1]
        case "maxItems" if limit < 100_000 and isinstance(allowed, list) and allowed:
            yield (allowed * (limit + 1))[: limit + 1]
        case "enum" if branch.get("type") == "string":
            yield "none of these"
