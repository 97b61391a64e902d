"""What pydantic found wrong with a table, in plain words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any, NamedTuple

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from artgen.components import Options, field_help
from artgen.recipe.layers import Key, listed

_AT_THE_TOP = ("title", "description", "seed", "extends")


class Complaint(NamedTuple):
    """One thing wrong with a table: the key below the table, the cause, what to do about it."""

    key: Key
    cause: str
    remedy: str = ""


_EXPECTED = {
    "int_type": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "finite_number": "a finite number",
    "string_type": "text in quotes",
    "bool_type": "true or false",
    "list_type": "an array",
    "tuple_type": "an array",
    "set_type": "an array",
    "frozen_set_type": "an array",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "none_required": "nothing",
}
_BOUNDS = {
    "greater_than": "more than {gt}",
    "greater_than_equal": "{ge} or more",
    "less_than": "less than {lt}",
    "less_than_equal": "{le} or less",
    "multiple_of": "a multiple of {multiple_of}",
    "literal_error": "one of {expected}",
    "enum": "one of {expected}",
    "too_short": "an array of {min_length} or more",
    "too_long": "an array of {max_length} or fewer",
    "string_too_short": "text of {min_length} or more letters",
    "string_too_long": "text of {max_length} or fewer letters",
    "string_pattern_mismatch": "text of the form {pattern}",
}


def complaints(error: ValidationError, options: type[Options], table: dict[str, Any]) -> list[Complaint]:
    """Everything in `error`, which came from reading `table` as `options`; one complaint for each key."""
    found: dict[Key, list[tuple[ErrorDetails, str]]] = {}
    for detail in error.errors(include_url=False):
        key = _key_in(table, detail)
        found.setdefault(key, []).append((detail, _expected(detail)))
    # Where one way to write a value was nearly right, the ways that do not fit at all are noise.
    nearly = {key[:length] for key in found for length in range(len(key))}
    return [
        _complaint(key, details, options, table)
        for key, details in found.items()
        if key not in nearly or not all(detail["type"] in _EXPECTED for detail, _ in details)
    ]


def _complaint(
    key: Key, details: list[tuple[ErrorDetails, str]], options: type[Options], table: dict[str, Any]
) -> Complaint:
    detail, name = details[0][0], str(key[-1]) if key else ""
    fields = [field.alias or name for name, field in options.model_fields.items()] if len(key) == 1 else []
    if detail["type"] == "extra_forbidden":
        if name in _AT_THE_TOP:
            return Complaint(key, f"unknown key '{name}'", "It belongs at the top, above the first [table].")
        near = get_close_matches(name[:64], fields, n=1, cutoff=0.5)
        known = f"Did you mean '{near[0]}'?" if near else f"Known here: {listed(fields)}." if fields else ""
        return Complaint(key, f"unknown key '{name}'", known)
    remedy = _about(options, name) if fields else ""
    if detail["type"] == "missing":
        what = f"item {key[-1]} of the array" if key and isinstance(key[-1], int) else f"the key '{name}'"
        return Complaint(key, f"{what} is required and missing", remedy)
    if detail["type"] in ("value_error", "assertion_error"):
        return Complaint(key, str(detail["ctx"]["error"]) or "this value does not fit", remedy)
    expected = " or ".join(dict.fromkeys(expected for _, expected in details if expected))
    if not expected:
        return Complaint(key, f"{detail['msg'][:1].lower()}{detail['msg'][1:]}", remedy)
    if detail["type"] == "literal_error" and isinstance(detail["input"], str):
        allowed = [word.strip("'") for word in str(detail["ctx"]["expected"]).replace(" or ", ", ").split(", ")]
        if near := get_close_matches(detail["input"][:64], allowed, n=1):
            remedy = f"Did you mean '{near[0]}'?"
    return Complaint(key, f"expected {expected}, found {shown(detail['input'])}", remedy)


def shown(value: Any) -> str:
    """A value as TOML would write it, cut short."""
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return f"an array of {len(value)}"
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:36]}...{text[-1]}"


def _expected(detail: ErrorDetails) -> str:
    if detail["type"] in _BOUNDS:
        bounds = {name: f"{bound:g}" if isinstance(bound, float) else bound for name, bound in detail["ctx"].items()}
        return _BOUNDS[detail["type"]].format(**bounds)
    return _EXPECTED.get(detail["type"], "")


def _key_in(table: dict[str, Any], detail: ErrorDetails) -> Key:
    """The path that a recipe's author knows: without the names that pydantic gives to the branches of a union."""

    def steps() -> Iterator[str | int]:
        value: Any = table
        for part in detail["loc"]:
            inside = (isinstance(value, dict) and part in value) or (
                isinstance(value, list) and isinstance(part, int) and part < len(value)
            )
            if inside:
                value = value[part]
                yield part
        if detail["type"] == "missing":
            yield detail["loc"][-1]

    return tuple(steps())


def _about(options: type[Options], name: str) -> str:
    """What the manual says of a field."""
    about = field_help(options).get(name, "")
    return about and f"{name}: {about}"
