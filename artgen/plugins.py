"""Find, check, isolate and list plugins: the only file that touches pluggy's manager. Imports no torch.

Plugins are found by entry point (group `artgen`) and by nothing else, the bundled ones too. Each is loaded, registered
and asked for its components under a guard of its own: a broken one is listed with its cause, and stops only a recipe
that needs it.
"""

from __future__ import annotations

import functools
import importlib.util
import logging
import re
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from importlib.metadata import Distribution, EntryPoint, distributions, entry_points
from typing import Any, Literal

import pluggy

from artgen import hookspecs
from artgen.components import Component, Kind
from artgen.contract import EVENTS, HOOK_KINDS, checked_components, checked_hooks
from artgen.errors import PluginError

GROUP = "artgen"
IN_PROCESS = "(in process)"
"""Stands where the distribution would for a plugin that was handed over as an object."""

NOT_INSTALLED = (
    "Plugins are found by entry point, artgen's own too, and entry points exist only after an install: "
    "`pip install artgen`, or `pip install -e .` in a checkout."
)
_log = logging.getLogger(__name__)


class UnknownComponentError(PluginError):
    """No working plugin provides a component of this name."""


@dataclass(frozen=True, kw_only=True)
class PluginInfo:
    """What is known of one plugin.

    Args:
        name: Name of its entry point.
        distribution: The installed package that declares it.
        version: That package's version.
        file: The module's file, where it could be found.
        state: `healthy`; `clashing` (it works, but another distribution uses the same plugin name); or `broken`.
        cause: Why it is not healthy.
        components: What it hands over; of a broken one, what was read before the fault.
        hooks: The hooks that it implements.
    """

    name: str
    distribution: str
    version: str = ""
    file: str = ""
    state: Literal["healthy", "clashing", "broken"] = "healthy"
    cause: str = ""
    components: tuple[Component, ...] = ()
    hooks: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.distribution}:{self.name}"


class Plugins:
    """Every plugin that is installed, and what they provide.

    Args:
        extra: Plugins that are already at hand, as modules or objects; each is guarded like an installed one.
        points: Entry points of the installed plugins; by default all of group `artgen`.
    """

    def __init__(self, extra: Iterable[object] = (), points: Iterable[EntryPoint] | None = None) -> None:
        self._manager = pluggy.PluginManager("artgen")
        self._manager.add_hookspecs(hookspecs.Registration)
        self._manager.add_hookspecs(hookspecs.Events)
        self._listeners: dict[str, list[_Implementation]] = {name: [] for name in EVENTS}
        found = sorted(_installed() if points is None else points, key=lambda point: (point.name, *_origin(point)))
        claims = {
            name: [_origin(point)[0] for point in found if point.name == name] for name in {p.name for p in found}
        }
        self.plugins: list[PluginInfo] = []
        """All plugins, broken ones too."""
        for point in found:
            self.plugins.append(self._load(point, claims[point.name]))
        for plugin in extra:
            name = str(getattr(plugin, "__name__", type(plugin).__name__))
            file = str(getattr(plugin, "__file__", None) or "")
            self.plugins.append(self._add(PluginInfo(name=name, distribution=IN_PROCESS, file=file), plugin))

    def component(self, kind: Kind, name: str) -> Component:
        """The component that a recipe means by `name`.

        Args:
            kind: What it must be.
            name: Its name; or `"distribution:name"` or `"plugin:name"`, needed where several plugins claim it.

        Raises:
            UnknownComponentError: No plugin provides it; tells the nearest names.
            PluginError: Several plugins claim it, or the one that provides it is broken, or may be.
        """
        owner, _, short = name.rpartition(":")
        claims = self._claims(kind, short, owner)
        usable = [(plugin, component) for plugin, component in claims if plugin.state != "broken"]
        if len(usable) == 1:
            return usable[0][1]
        if usable:
            owners = " and ".join(f"'{plugin.name}' ({plugin.distribution} {plugin.version})" for plugin, _ in usable)
            ways = " or ".join(f'"{self._full_name(plugin, component)}"' for plugin, component in usable)
            raise PluginError(f"{kind} '{name}' is claimed by the plugins {owners}", remedy=f"Write {ways}.")
        if claims:
            plugin = claims[0][0]
            source = f"the plugin '{plugin.name}' ({plugin.distribution} {plugin.version})"
            raise PluginError(
                f"{kind} '{name}' comes from {source}, which is broken: {plugin.cause}",
                remedy="See `artgen plugins ls`.",
            )
        raise self._unknown(kind, name)

    def components(self, kind: Kind) -> dict[str, Component]:
        """All usable components of a kind, by the name a recipe would use: a full one where several claim the short."""
        usable = [(p, c) for p in self.plugins if p.state != "broken" for c in p.components if c.kind == kind]
        claims = Counter(component.name for _, component in usable)
        named = {(c.name if claims[c.name] == 1 else self._full_name(p, c)): c for p, c in usable}
        return dict(sorted(named.items()))

    def owner(self, component: Component) -> PluginInfo:
        """The plugin that handed this component over."""
        return next(plugin for plugin in self.plugins if any(one is component for one in plugin.components))

    def event(self, name: str, **given: Any) -> None:
        """Tell every listener of an event hook. One that raises is reported once, then muted; the run goes on."""
        for listener in tuple(self._listeners[name]):
            # A listener gets dictionaries of its own, so that none can change what the next one sees.
            values = (dict(given[key]) if isinstance(given[key], dict) else given[key] for key in listener.arguments)
            try:
                listener.function(*values)
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                self._listeners[name].remove(listener)
                _log.warning("Plugin '%s' (%s) is no longer told of %s: %s", *listener.plugin, name, _cause(error))

    def _claims(self, kind: Kind, name: str, owner: str) -> list[tuple[PluginInfo, Component]]:
        return [
            (plugin, component)
            for plugin in self.plugins
            if not owner or _plain(owner) in map(_plain, (plugin.name, plugin.distribution, str(plugin)))
            for component in plugin.components
            if (component.kind, component.name) == (kind, name)
        ]

    def _full_name(self, plugin: PluginInfo, component: Component) -> str:
        """The shortest name with an owner that means this component alone."""
        for owner in (plugin.distribution, plugin.name):
            if len(self._claims(component.kind, component.name, owner)) == 1:
                return f"{owner}:{component.name}"
        return f"{plugin}:{component.name}"

    def _unknown(self, kind: Kind, name: str) -> PluginError:
        cause = f"no plugin provides the {kind} '{name}'"
        if not self.plugins:
            return PluginError(cause, remedy=NOT_INSTALLED)
        known = list(self.components(kind))
        near = get_close_matches(name[:64], known, n=3)
        broken = [f"'{plugin.name}' ({plugin.cause})" for plugin in self.plugins if plugin.state == "broken"]
        if broken and not near:
            advice = f"It may belong to a broken plugin: {', '.join(broken)}. See `artgen plugins ls`."
            return PluginError(cause, remedy=advice)
        advice = f"Did you mean {_listed(near)}?" if near else f"There is {_listed(known)}." if known else ""
        return UnknownComponentError(cause, remedy=advice or f"No installed plugin has a {kind}.")

    def _load(self, point: EntryPoint, claimed_by: Sequence[str]) -> PluginInfo:
        distribution, version = _origin(point)
        info = PluginInfo(name=point.name, distribution=distribution, version=version)
        try:
            plugin = point.load()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit too: a stranger's module may do anything at import
            return replace(info, state="broken", cause=_cause(error), file=_module_file(point))
        info = self._add(replace(info, file=_module_file(point)), plugin)
        if info.state == "healthy" and len(claimed_by) > 1:
            cause = f"the plugin name '{point.name}' is used by {_listed(claimed_by)}"
            return replace(info, state="clashing", cause=cause)
        return info

    def _add(self, info: PluginInfo, plugin: object) -> PluginInfo:
        """Register a plugin and ask it for its components."""
        components: list[Component] = []
        hooks: tuple[str, ...] = ()
        try:
            if self._manager.is_registered(plugin):
                raise PluginError(f"the same module is already loaded as {self._manager.get_name(plugin)}")
            hooks = checked_hooks(plugin)
            self._manager.register(plugin, name=f"{info}#{len(self.plugins)}")
            listeners = []
            for caller in self._manager.get_hookcallers(plugin) or ():
                for implementation in (one for one in caller.get_hookimpls() if one.plugin is plugin):
                    if caller.name in HOOK_KINDS:
                        components += checked_components(implementation.function(), caller.name, components)
                    else:
                        arguments = tuple(implementation.argnames)
                        listeners.append(
                            _Implementation(
                                (info.name, info.distribution), caller.name, implementation.function, arguments
                            )
                        )
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            return replace(info, state="broken", cause=_cause(error), components=tuple(components), hooks=hooks)
        for listener in listeners:
            self._listeners[listener.hook].append(listener)
        return replace(info, components=tuple(components), hooks=hooks)


@functools.cache
def load_plugins(extra: tuple[object, ...] = ()) -> Plugins:
    """All installed plugins, loaded once a process, together with `extra` ones that are at hand as objects."""
    return Plugins(extra)


@dataclass(frozen=True)
class _Implementation:
    """One function that listens: whose (plugin, distribution), for which hook, and which arguments it takes."""

    plugin: tuple[str, str]
    hook: str
    function: Callable[..., object]
    arguments: tuple[str, ...]


def _installed() -> list[EntryPoint]:
    """All entry points of group `artgen`; a package with unreadable ones costs nobody but itself."""
    try:
        return list(entry_points(group=GROUP))
    except Exception:
        points: dict[tuple[str, str], EntryPoint] = {}
        for distribution in distributions():
            try:
                for point in distribution.entry_points.select(group=GROUP):
                    points.setdefault((_plain(distribution.name), point.name), point)
            except Exception as error:
                _log.warning("The entry points of an installed package cannot be read: %s", _cause(error))
        return list(points.values())


def _origin(point: EntryPoint) -> tuple[str, str]:
    """Name and version of the distribution that declares an entry point."""
    return _described(point.dist) if point.dist else ("(unknown)", "")


@functools.cache
def _described(distribution: Distribution) -> tuple[str, str]:
    try:
        return str(distribution.name), str(distribution.version)
    except Exception:
        return "(unreadable)", ""


def _module_file(point: EntryPoint) -> str:
    """The file of a plugin's module, also of one that could not be imported."""
    try:
        module = sys.modules.get(point.module)
        spec = None if module else importlib.util.find_spec(point.module.partition(".")[0])
        return str((module.__file__ if module else spec.origin if spec else None) or "")
    except Exception:
        return ""


def _cause(error: BaseException) -> str:
    """One line that says what was raised, and where in the plugin's code."""
    if isinstance(error, PluginError):
        return error.cause
    what = " ".join(traceback.format_exception_only(error)[-1].split())
    if isinstance(error, SyntaxError) and error.filename:
        return f"{what} ({error.filename}, line {error.lineno})"
    frames = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    for file, line in reversed(frames):
        if file != __file__ and not file.startswith("<frozen") and "importlib" not in file and "pluggy" not in file:
            return f"{what} ({file}, line {line})"
    return what


def _plain(name: str) -> str:
    """A distribution's name as the packaging standards compare it: PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
