"""Plugins, their components and Options, as records for JSON and in words."""

from __future__ import annotations

import json
import types
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from artgen.components import Component, Options
    from artgen.plugins import PluginInfo

_BOUNDS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<", "multiple_of": "a multiple of", "min_length": "length >=",
           "max_length": "length <=", "pattern": "like"}  # fmt: skip


def record(plugin: PluginInfo, components: Sequence[Component] | None = None) -> dict[str, Any]:
    """All that is known of a plugin, for JSON; only these of its components, if they are given."""
    from artgen.contract import EVENTS

    return {
        "plugin": plugin.name,
        "distribution": plugin.distribution,
        "version": plugin.version,
        "file": plugin.file,
        "origin": plugin.origin,
        "api": plugin.api,
        "state": plugin.state,
        "cause": plugin.cause,
        "warnings": list(plugin.warnings),
        "import_seconds": round(plugin.import_seconds, 6),
        "hooks": list(plugin.hooks),
        "listens": {
            hook: "optional" if hook in plugin.optional_hooks else "required"
            for hook in plugin.hooks
            if hook in EVENTS and plugin.usable
        },
        "components": [_component(one) for one in (plugin.components if components is None else components)],
    }


def head(plugin: PluginInfo) -> str:
    """The line that names a plugin."""
    by = "" if plugin.origin == "entry point" else f"{plugin.origin} {plugin.file}".rstrip()
    package = by or f"{plugin.distribution} {plugin.version}"
    return f"{plugin.name}  {package}  {plugin.state}"


def faults(plugin: PluginInfo) -> Iterator[str]:
    """Why it is not healthy, where it lies, and what it is warned of."""
    if plugin.cause:
        yield f"    {plugin.cause}"
        if plugin.file and plugin.origin == "entry point":
            yield f"    {plugin.file}"
    for warning in plugin.warnings:
        yield f"    warning: {warning}"


def in_short(plugin: PluginInfo) -> Iterator[str]:
    """A few lines: state and components."""
    yield head(plugin)
    yield from faults(plugin)
    for component in plugin.components:
        yield f"    {component.kind:<9}  {component.name:<20}  {component.summary}"
    if listens := record(plugin, ())["listens"]:
        yield f"    listens to {', '.join(listens)}"


def in_full(plugin: PluginInfo, components: Sequence[Component]) -> Iterator[str]:
    """Everything: where it comes from, and the Options of these of its components."""
    yield head(plugin)
    yield from faults(plugin)
    yield f"    file       {plugin.file or 'not found'}"
    yield f"    origin     {plugin.origin}"
    yield f"    API        {plugin.api}"
    yield f"    import     {plugin.import_seconds * 1000:.1f} ms"
    for hook, how in record(plugin, ())["listens"].items():
        yield f"    listens    {hook} ({how})"
    for component in components:
        told = _component(component)
        yield ""
        yield f"  {component.kind} '{component.name}': {component.summary}"
        yield f"    factory    {component.factory}"
        for key in ("partner", "needs", "gives", "deprecated"):
            if value := told[key]:
                yield f"    {key:<9}  {value if isinstance(value, str) else json.dumps(value)}"
        if component.needs_features:
            yield "    needs      a feature network"
        if component.needs_pairs:
            yield "    needs      a generator that takes pictures"
        for option in told["options"]:
            default = "required" if option["required"] else f"= {json.dumps(option['default'])}"
            bounds = ", ".join(f"{_BOUNDS[key]} {value}" for key, value in option["bounds"].items())
            yield f"    {option['name']} {default}    {option['type']}{', ' * bool(bounds)}{bounds}"
            if option["help"]:
                yield f"        {option['help']}"


def _component(component: Component) -> dict[str, Any]:
    return {
        "kind": component.kind,
        "name": component.name,
        "summary": component.summary,
        "factory": component.factory,
        "partner": component.partner,
        "needs": {side: list(fields) for side, fields in component.needs.items()},
        "gives": {side: list(fields) for side, fields in component.gives.items()},
        "needs_features": component.needs_features,
        "needs_pairs": component.needs_pairs,
        "deprecated": component.deprecated,
        "options": [*_options(component.options)],
    }


def _options(options: type[Options]) -> Iterator[dict[str, Any]]:
    from artgen.components import field_help

    words = field_help(options)
    for name, field in options.model_fields.items():
        required = field.is_required()
        default = None if required else _plain(field.get_default(call_default_factory=True, validated_data={}))
        yield {
            "name": field.alias or name,
            "type": _type(field.annotation),
            "required": required,
            "default": default,
            "bounds": _bounds(field),
            "help": words[name],
        }


def _plain(value: Any) -> Any:
    """A value as JSON has it."""
    from pydantic_core import to_jsonable_python

    return to_jsonable_python(value, fallback=repr)


def _bounds(field: FieldInfo) -> dict[str, Any]:
    # annotated-types keeps each bound in a class of its own, pydantic the others in one that has any attribute.
    return {
        key: _plain(value)
        for part in field.metadata
        for key in _BOUNDS
        if (value := getattr(part, key, None)) is not None and not isinstance(part, type)
    }


def _type(annotation: Any) -> str:
    """A type as it is written, without what stands beside it in `Annotated`."""
    inside = get_args(annotation)
    match get_origin(annotation):
        case None:
            return "None" if annotation is types.NoneType else str(getattr(annotation, "__name__", annotation))
        case origin if origin is Annotated:
            return _type(inside[0])
        case origin if origin is Literal:
            return " | ".join(json.dumps(value) for value in inside)
        case origin if origin in (Union, types.UnionType):
            return " | ".join(_type(one) for one in inside)
        case origin:
            parts = ", ".join("..." if one is Ellipsis else _type(one) for one in inside)
            return f"{origin.__name__}[{parts}]"
