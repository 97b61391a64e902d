"""What pydantic found wrong with a table, in plain words."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, Literal, NamedTuple, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from artgen.components import Options, field_help
from artgen.recipe.findings import MAX_FAULTS
from artgen.recipe.inline import inline
from artgen.recipe.spans import Key


class Complaint(NamedTuple):
    """One thing wrong with a table.

    Args:
        key: The key below the table.
        code: Its kind.
        cause: What is wrong.
        remedy: What to do about it.
        expected: What may stand there.
        found: What does.
        nearest: The choice that was probably meant.
        about: What the manual says of the key.
        at: What to point at.
    """

    key: Key
    code: str
    cause: str
    remedy: str = ""
    expected: str = ""
    found: str = ""
    nearest: str = ""
    about: str = ""
    at: Literal["key", "value"] = "value"


_TYPES = {
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
    "too_short": "an array of {min_length} or more",
    "too_long": "an array of {max_length} or fewer",
    "string_too_short": "text of {min_length} or more letters",
    "string_too_long": "text of {max_length} or fewer letters",
}
_CHOICES = {
    "literal_error": "one of {expected}",
    "enum": "one of {expected}",
    "string_pattern_mismatch": "text of the form {pattern}",
}


def complaints(error: ValidationError, options: type[Options], table: dict[str, Any]) -> Iterator[Complaint]:
    """What is in `error`, which came from reading `table` as `options`: one complaint for each key.

    An unknown key has the code `E-key`, no remedy yet, and what is known in its table for `expected`.
    """
    found: dict[Key, list[tuple[ErrorDetails, str]]] = {}
    for detail in error.errors(include_url=False):
        found.setdefault(_key_in(table, detail), []).append((detail, _expected(detail)))
    # Where one way to write a value was nearly right, the ways that do not fit at all are noise.
    nearly = {key[:length] for key in found for length in range(len(key))}
    told = (
        _complaint(key, details, options, table)
        for key, details in found.items()
        if key not in nearly or not all(detail["type"] in _TYPES for detail, _ in details)
        if not _is_followed(key, found)
    )
    return islice(told, MAX_FAULTS + 1)


def _is_followed(key: Key, found: dict[Key, list[tuple[ErrorDetails, str]]]) -> bool:
    """Whether an item is missing, and the next one, too: the last of them says how many are needed."""
    return (
        bool(key)
        and isinstance(key[-1], int)
        and found[key][0][0]["type"] == "missing"
        and (*key[:-1], key[-1] + 1) in found
    )


def _complaint(
    key: Key, details: list[tuple[ErrorDetails, str]], options: type[Options], table: dict[str, Any]
) -> Complaint:
    detail, name = details[0][0], str(key[-1]) if key else ""
    kind, manual = detail["type"], _about(options, str(key[0])) if key else ""
    if kind == "extra_forbidden":
        return Complaint(key, "E-key", f"unknown key '{short(name)}'", found=short(name), at="key")
    if kind == "missing":
        if isinstance(key[-1], int):
            items, needed = len(detail["input"]), f"{key[-1] + 1} items"
            cause = f"the array has {items or 'no'} item{'s' * (items != 1)}, {key[-1] + 1} are needed"
            more = "one more item" if key[-1] == items else f"{key[-1] + 1 - items} more items"
            return Complaint(key, "E-missing", cause, f"Write {more}.", needed, shown(detail["input"]), about=manual)
        cause, remedy = f"the key '{name}' is required and missing", f"Write {name} = VALUE."
        return Complaint(key, "E-missing", cause, remedy, f"the key '{name}'", "nothing", about=manual)
    if kind in ("value_error", "assertion_error"):
        error = detail["ctx"]["error"]
        cause = str(error) or "this value does not fit"
        # A table whose check speaks of one of its keys first means that key.
        first = cause.partition(" ")[0].strip("`'")
        key = (first,) if not key and first in table else key
        remedy = "Write another value." if key else "Change one of the keys of this table."
        remedy = " ".join(getattr(error, "__notes__", [remedy]))
        return Complaint(key, "E-value", cause, remedy, about=_about(options, str(key[0])) if key else "")
    expected = " or ".join(dict.fromkeys(expected for _, expected in details if expected))
    code = "E-type" if kind in _TYPES else "E-range" if kind in _BOUNDS else "E-value"
    found = shown(detail["input"])
    if not expected:
        cause = f"{detail['msg'][:1].lower()}{detail['msg'][1:]}"
        return Complaint(key, code, cause, "Write another value.", found=found, about=manual)
    remedy, near = _fix(expected, detail, details)
    if not remedy:
        default = _default(options, str(key[0])) if len(key) == 1 else ""
        example = default or (f"[{found}]" if expected == "an array" else "")
        remedy = f"Write {expected}, such as {example}." if example else f"Write {expected}."
    return Complaint(key, code, f"expected {expected}, found {found}", remedy, expected, found, near, manual)


def _fix(expected: str, detail: ErrorDetails, details: list[tuple[ErrorDetails, str]]) -> tuple[str, str]:
    """What to write for a value that is nearly right; and the choice it is near to."""
    value = detail["input"]
    choices = [word for one, _ in details for word in re.findall(r"'([^']*)'", str(one.get("ctx", {}).get("expected")))]
    if isinstance(value, str) and choices:
        from artgen.nearest import nearest

        near = nearest(value, choices)
        return (f"Did you mean '{near[0]}'?", near[0]) if near else ("", "")
    if isinstance(value, str) and any(word in expected for word in ("integer", "number", "true or false")):
        number = r"[-+]?\d{1,18}(\.\d{1,18}([eE][-+]?\d{1,3})?)?" if "number" in expected else r"[-+]?\d{1,18}"
        if re.fullmatch("true|false" if "true or false" in expected else number, value):
            return f"Write {value} without quotes.", ""
        if "true or false" in expected and value.lower() in ("true", "false"):
            return f"Write {value.lower()}.", ""
    elif isinstance(value, int | float) and not isinstance(value, bool) and expected == "text in quotes":
        return f'Write "{value}" in quotes.', ""
    elif isinstance(value, float) and "an integer" in expected and value.is_integer() and abs(value) < 1e15:
        return f"Write {int(value)}.", ""
    return "", ""


def fields_below(options: type[BaseModel], key: Key) -> list[str]:
    """The keys that a table knows, or a table in it, such as each of `learning_rate`."""
    if not key:
        return [field.alias or name for name, field in options.model_fields.items()]
    field = options.model_fields.get(str(key[0]))
    inner = _models(field.annotation) if field else []
    return [
        name
        for model in inner
        for name in fields_below(model, tuple(part for part in key[1:] if isinstance(part, str)))
    ]


def _models(annotation: Any) -> list[type[BaseModel]]:
    """The models in a type such as `float | LearningRates`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in get_args(annotation) for model in _models(inner)]


def _about(options: type[Options], name: str) -> str:
    """What the manual says of a field."""
    words = _manual(options).get(name, "")
    return words and f"{name}: {words}"


def _default(options: type[Options], name: str) -> str:
    """The default of a field as TOML writes it, if it has one that can be written: "" and 0 often mean none at all."""
    field = options.model_fields.get(name)
    value = field.default if field is not None and not field.is_required() else None
    if isinstance(value, bool) or (isinstance(value, int | float | str) and value):
        return inline(value)
    return (
        inline(value) if isinstance(value, tuple) and all(isinstance(one, int | float | str) for one in value) else ""
    )


@functools.cache
def _manual(options: type[Options]) -> dict[str, str]:
    return field_help(options)


def shown(value: Any) -> str:
    """A value as TOML would write it, cut short."""
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return f"an array of {len(value)}"
    text = inline(value)
    return text if len(text) <= 40 else f"{text[:36]}...{text[-1]}"


def short(name: str) -> str:
    """A name, cut short."""
    return name if len(name) <= 64 else f"{name[:61]}..."


def _expected(detail: ErrorDetails) -> str:
    words = _BOUNDS.get(detail["type"]) or _CHOICES.get(detail["type"])
    if words:
        bounds = {name: f"{bound:g}" if isinstance(bound, float) else bound for name, bound in detail["ctx"].items()}
        return words.format(**bounds)
    return _TYPES.get(detail["type"], "")


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
