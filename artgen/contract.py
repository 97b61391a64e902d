"""What the hooks and components of a plugin must look like; refuses what pluggy and dataclasses take in silence."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, get_args

import artgen
from artgen.components import Component, DataOptions, Kind, LossOptions, Options, Side, naming_key
from artgen.errors import PluginError
from artgen.hookspecs import API_VERSION, MARKED, OLDEST_API_VERSION, OPTIONAL, Events, Registration
from artgen.videos import VideoOptions

HOOK_KINDS: dict[str, Kind] = {
    "artgen_generators": "generator",
    "artgen_critics": "critic",
    "artgen_losses": "loss",
    "artgen_trainers": "trainer",
    "artgen_augmentations": "augment",
    "artgen_datasets": "data",
    "artgen_sources": "source",
    "artgen_features": "features",
    "artgen_metrics": "metric",
    "artgen_paths": "path",
    "artgen_executors": "executor",
}
"""What each registration hook hands over."""

EVENTS = tuple(name for name in vars(Events) if name.startswith("artgen_"))
"""The hooks that observe a run."""

_HOOKS = (*HOOK_KINDS, *EVENTS)
_OPTIONS: dict[Kind, type[Options]] = {"loss": LossOptions, "data": DataOptions, "path": VideoOptions}
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_FACTORY = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


def checked_api(wanted: object) -> int:
    """The API version that a plugin is made for.

    Raises:
        PluginError: It is none, or one that this artgen does not offer.
    """
    if not isinstance(wanted, int) or isinstance(wanted, bool):
        raise PluginError(f"ARTGEN_API is a whole number, found {wanted!r:.40}")
    here = f"this artgen {artgen.__version__} offers {API_VERSION}"
    if wanted > API_VERSION:
        raise PluginError(f"needs artgen API {wanted}, {here}; upgrade artgen")
    if wanted < OLDEST_API_VERSION:
        oldest = f" down to {OLDEST_API_VERSION}" if OLDEST_API_VERSION < API_VERSION else ""
        raise PluginError(f"is made for artgen API {wanted}, {here}{oldest}; upgrade the plugin")
    return wanted


def checked_hooks(plugin: object) -> tuple[str, ...]:
    """The names of the hooks that a plugin implements.

    Raises:
        PluginError: It implements none, an unknown one, or one that pluggy would register and then call wrongly.
    """
    hooks = []
    for attribute in dir(plugin):
        function = getattr(plugin, attribute, None)
        marks = getattr(function, MARKED, None)
        if not inspect.isroutine(function) or not isinstance(marks, dict):
            if inspect.isroutine(function) and attribute in _HOOKS:
                raise PluginError(f"{attribute} is not marked with @artgen.hookimpl")
            continue
        hook = str(marks.get("specname") or attribute)
        if hook not in _HOOKS:
            near = get_close_matches(hook, _HOOKS, n=1)
            raise PluginError(f"unknown hook {hook}" + (f"; did you mean {near[0]}?" if near else ""))
        if marks.get("wrapper") or marks.get("hookwrapper"):
            raise PluginError(f"{hook} is a wrapper; artgen calls each plugin by itself")
        if inspect.isgeneratorfunction(function) or inspect.iscoroutinefunction(function):
            raise PluginError(f"{hook} is a generator or a coroutine; it must be a plain function")
        for parameter in inspect.signature(function).parameters.values():
            # pluggy passes positional arguments only, and skips those with a default or not by version.
            if parameter.kind in (parameter.KEYWORD_ONLY, parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                raise PluginError(
                    f"{hook}: argument '{parameter.name}' is keyword-only or variadic; make it a plain one"
                )
            if parameter.default is not parameter.empty:
                raise PluginError(f"{hook}: argument '{parameter.name}' has a default; remove it")
            if parameter.name not in (known := _arguments(hook)):
                near = get_close_matches(parameter.name, known, n=1)
                advice = f"did you mean '{near[0]}'?" if near else f"it may take {', '.join(known) or 'none'}"
                raise PluginError(f"{hook}: unknown argument '{parameter.name}'; {advice}")
        if getattr(function, OPTIONAL, False) and hook not in EVENTS:
            raise PluginError(f"{hook}: only a hook that listens to a run can be optional")
        hooks.append(hook)
    if not hooks:
        raise PluginError("it implements no hook: mark its functions with @artgen.hookimpl")
    return tuple(sorted(hooks))


def _arguments(hook: str) -> list[str]:
    """What an implementation of a hook may ask for."""
    specification = getattr(Events if hook in EVENTS else Registration, hook)
    return [*inspect.signature(specification).parameters][1:]  # without self


def checked_components(answer: object, hook: str, others: Sequence[Component]) -> list[Component]:
    """What a registration hook returned, if a recipe can use it beside the `others` of the same plugin.

    Raises:
        PluginError: It is not a list of components of the hook's kind, or one of them has a fault.
    """
    if not isinstance(answer, list):
        raise PluginError(f"{hook} returned {type(answer).__name__}, not a list of artgen.Component")
    taken = {(other.kind, other.name) for other in others}
    for component in answer:
        if not isinstance(component, Component):
            raise PluginError(f"{hook} returned a list with {type(component).__name__}, not artgen.Component")
        if fault := _fault(vars(component), HOOK_KINDS[hook]):
            raise PluginError(f"{hook}: {component.kind} {component.name!r}: {fault}")
        if (component.kind, component.name) in taken:
            raise PluginError(f"{hook}: {component.kind} {component.name!r} is handed over twice")
        taken.add((component.kind, component.name))
    return answer


def _fault(component: Mapping[str, Any], kind: Kind) -> str:
    """Why a component cannot be used, or nothing. Its values may be anything: dataclasses check no types."""
    options, base = component["options"], _OPTIONS.get(kind, Options)
    summary, partner = component["summary"], component["partner"]
    if component["kind"] != kind:
        return f"this hook hands over the kind '{kind}'"
    if not _matches(_NAME, component["name"]):
        return "a name is lower case letters and digits, words joined by '-'"
    if not isinstance(summary, str) or not summary.strip() or "\n" in summary:
        return "the summary must be one line of text"
    if not isinstance(options, type) or not issubclass(options, base):
        return f"its options {options!r} do not derive from artgen.{base.__name__}"
    if any(options.model_config.get(key) != value for key, value in Options.model_config.items()):
        return f"{options.__name__} changes the model_config of artgen.Options"
    if naming_key(kind) in options.model_fields:
        return f"{options.__name__} has a field '{naming_key(kind)}', a key that every such table keeps for itself"
    if not _matches(_FACTORY, component["factory"]):
        return f"the factory {component['factory']!r} is not of the form 'package.module:attribute'"
    if partner is not None and (kind != "generator" or not _matches(_NAME, partner)):
        return f"the partner {partner!r} is not the name of a generator's critic"
    if not isinstance(component["deprecated"], str) or "\n" in component["deprecated"]:
        return "'deprecated' must be one line of text: what to use instead"
    for sides in (component["needs"], component["gives"]):
        if not isinstance(sides, Mapping) or not set(sides) <= set(get_args(Side)):
            return "'needs' and 'gives' map 'generator' and 'critic' to names of fields"
        if not all(
            isinstance(fields, tuple) and all(isinstance(name, str) for name in fields) for fields in sides.values()
        ):
            return "'needs' and 'gives' hold a tuple of names for each side"
    return ""


def _matches(pattern: re.Pattern[str], value: Any) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None
