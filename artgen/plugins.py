"""Find, check, isolate and list plugins: the only file that touches pluggy's manager. Imports no torch.

Plugins are found by entry point (group `artgen`), the bundled ones too, or are single files that somebody named. Each
is loaded, registered and asked for its components under a guard of its own: a broken one is listed with its cause, and
stops only a recipe that needs it.
"""

from __future__ import annotations

import functools
import logging
import os
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from difflib import get_close_matches
from importlib.metadata import EntryPoint
from typing import Any, Literal

import pluggy

from artgen import hookspecs
from artgen.components import Component, Kind
from artgen.contract import EVENTS, HOOK_KINDS, checked_api, checked_components, checked_hooks
from artgen.errors import PluginError
from artgen.excerpt import printable
from artgen.hookspecs import OPTIONAL
from artgen.isolation import Watch, asked_to_stop, cause_of, patience, watched_threads
from artgen.sources import (
    FILE,
    GROUP,
    IN_PROCESS,
    Origin,
    Source,
    forget_files,
    installed,
    plain,
    promised_api,
    single_files,
)

__all__ = ["GROUP", "NOT_INSTALLED", "PluginInfo", "Plugins", "UnknownComponentError", "load_plugins", "use_files"]

SLOW_SECONDS = 0.5
"""A plugin that takes longer to import is warned of: every command waits for it."""

NOT_INSTALLED = (
    "Plugins are found by entry point, artgen's own too, and entry points exist only after an install: "
    "`pip install artgen`, or `pip install -e .` in a checkout."
)
_TIMES_DRAWS_ARE_SEEN = 10  # of each event; to read NumPy's state takes long, and the loop seeds every step anyway
_HEAVY = ("torch", "kornia", "cv2", "numpy")
_log = logging.getLogger(__name__)


class UnknownComponentError(PluginError):
    """No working plugin provides a component of this name."""


class StrictError(PluginError):
    """Plugins have faults, and `ARTGEN_STRICT_PLUGINS` is set. `plugins` holds them all."""

    def __init__(self, plugins: Plugins, faults: Sequence[str]) -> None:
        super().__init__(
            "\n  ".join([f"ARTGEN_STRICT_PLUGINS is set, and {len(faults)} plugin fault(s) were found:", *faults]),
            remedy="Mend, upgrade or uninstall them, or name them in ARTGEN_DISABLE_PLUGINS.",
        )
        self.plugins = plugins


@dataclass(frozen=True, kw_only=True)
class PluginInfo:
    """What is known of one plugin.

    Args:
        name: Name of its entry point, or of the file without its ending.
        distribution: The installed package that declares it; `(file)` or `(in process)` where there is none.
        version: That package's version.
        file: The module's file, where it could be found.
        origin: How it was found: `entry point`, `--plugin`, `ARTGEN_PLUGINS` or `in process`.
        api: The API version that it is made for (`ARTGEN_API`).
        state: `healthy`; `clashing` (it works, but another plugin has the same name); `broken`; or `blocked` by
            ARTGEN_DISABLE_PLUGINS, and not imported.
        cause: Why it is not healthy.
        warnings: What it does that it should not: a slow import, torch at registration, changes of global state (which
            were undone), deprecated hooks and components.
        import_seconds: How long its import took.
        components: What it hands over; of a broken one, what was read before the fault.
        hooks: The hooks that it implements.
        optional_hooks: Those of them that are muted after a fault, where others stop the run.
    """

    name: str
    distribution: str
    version: str = ""
    file: str = ""
    origin: Origin = "entry point"
    api: int = 1
    state: Literal["healthy", "clashing", "broken", "blocked"] = "healthy"
    cause: str = ""
    warnings: tuple[str, ...] = ()
    import_seconds: float = 0.0
    components: tuple[Component, ...] = ()
    hooks: tuple[str, ...] = ()
    optional_hooks: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.distribution}:{self.name}"

    @property
    def usable(self) -> bool:
        """Whether recipes can have its components."""
        return self.state in ("healthy", "clashing")

    @property
    def faults(self) -> tuple[str, ...]:
        """What its author should mend."""
        return ((self.cause,) if self.state in ("broken", "clashing") else ()) + self.warnings

    def owns(self, file: str) -> bool:
        """Whether a file of code is part of this plugin: its module, or in its package."""
        folder, _, name = self.file.rpartition(os.sep)
        return bool(self.file) and (file.startswith(folder + os.sep) if name == "__init__.py" else file == self.file)

    @property
    def described(self) -> str:
        """For messages: `'weave' (artgen-weave 1.2)`."""
        return f"'{self.name}' ({self.distribution.strip('()')} {self.version}".rstrip() + ")"


class Plugins:
    """Every plugin that is installed or named, and what they provide.

    Args:
        extra: Plugins that are already at hand, as modules or objects; each is guarded like an installed one.
        points: Entry points of the installed plugins; by default all of group `artgen`.
        files: Single files that are plugins, and who named each.
        blocked: Names of plugins or distributions that are not to be imported.
    """

    def __init__(
        self,
        extra: Iterable[object] = (),
        points: Iterable[EntryPoint] | None = None,
        files: Mapping[str, Origin] | None = None,
        blocked: Collection[str] = (),
    ) -> None:
        self._manager = pluggy.PluginManager("artgen")
        self._manager.add_hookspecs(hookspecs.Registration)
        self._manager.add_hookspecs(hookspecs.Events)
        self._listeners: dict[str, list[_Listener]] = {name: [] for name in EVENTS}
        self._times: Counter[str] = Counter()
        self._told: set[int] = set()
        self.plugins: list[PluginInfo] = []
        """All plugins, broken and blocked ones too."""
        found = installed(points) + single_files(files or {})
        refused = [source for source in found if not set(map(plain, blocked)).isdisjoint(_names(source))]
        claims = Counter(source.name for source in found if source not in refused)
        with redirect_stdout(sys.stderr), patience(_tell_waiting) as begin:
            watch = Watch()
            for source in found:
                info = PluginInfo(
                    name=source.name, distribution=source.distribution, version=source.version, origin=source.origin
                )
                begin(info.described)
                if source in refused:
                    cause = "ARTGEN_DISABLE_PLUGINS names it"
                    self.plugins.append(replace(info, state="blocked", cause=cause, file=source.file()))
                    continue
                info = self._load(info, source, watch)
                if info.state == "healthy" and claims[source.name] > 1:
                    others = [one.distribution if one.distribution != FILE else one.file() for one in found
                              if one.name == source.name and one not in refused]  # fmt: skip
                    cause = f"the plugin name '{source.name}' is used by {_listed(others)}"
                    info = replace(info, state="clashing", cause=cause)
                self.plugins.append(info)
            for plugin in extra:
                name = str(getattr(plugin, "__name__", type(plugin).__name__))
                file = str(getattr(plugin, "__file__", None) or "")
                info = PluginInfo(name=name, distribution=IN_PROCESS, file=file, origin="in process")
                self.plugins.append(self._add(info, plugin, watch))
        self.plugins = [self._with_shared_names(plugin) for plugin in self.plugins]
        every = {name for plugin in self.plugins for name in (plugin.name, plugin.distribution)}
        self.remarks = tuple(
            f"ARTGEN_DISABLE_PLUGINS names '{name}', which is no plugin and no distribution that has one"
            + (f"; did you mean {_listed(near)}?" if (near := get_close_matches(name, every, n=1)) else "")
            for name in blocked
            if all(plain(name) not in _names(source) for source in found)
        )
        """What is wrong with the names in `blocked`."""

    def component(self, kind: Kind, name: str) -> Component:
        """The component that a recipe means by `name`. Tells, once, if it is deprecated.

        Args:
            kind: What it must be.
            name: Its name; or `"distribution:name"` or `"plugin:name"`, needed where several plugins claim it.

        Raises:
            UnknownComponentError: No plugin provides it; tells the nearest names.
            PluginError: Several plugins claim it, or the one that provides it is broken or blocked, or may be.
        """
        owner, _, short = name.rpartition(":")
        claims = self._claims(kind, short, owner)
        usable = [(plugin, component) for plugin, component in claims if plugin.usable]
        if len(usable) == 1:
            plugin, component = usable[0]
            if component.deprecated and id(component) not in self._told:
                self._told.add(id(component))
                _log.warning(
                    "%s '%s' of %s is deprecated: %s", kind, name, plugin.described, printable(component.deprecated)
                )
            return component
        if usable:
            owners = " and ".join(plugin.described for plugin, _ in usable)
            ways = " or ".join(f'"{self._full_name(plugin, component)}"' for plugin, component in usable)
            raise PluginError(f"{kind} '{name}' is claimed by the plugins {owners}", remedy=f"Write {ways}.")
        if claims:
            plugin = claims[0][0]
            raise PluginError(
                f"{kind} '{name}' comes from the plugin {plugin.described}, which is broken: {plugin.cause}",
                remedy="See `artgen plugins ls`.",
            )
        raise self._unknown(kind, name, owner)

    def components(self, kind: Kind) -> dict[str, Component]:
        """All usable components of a kind, by the name a recipe would use: a full one where several claim the short."""
        usable = [(p, c) for p in self.plugins if p.usable for c in p.components if c.kind == kind]
        claims = Counter(component.name for _, component in usable)
        named = {(c.name if claims[c.name] == 1 else self._full_name(p, c)): c for p, c in usable}
        return dict(sorted(named.items()))

    def owner(self, component: Component) -> PluginInfo:
        """The plugin that handed this component over."""
        return next(plugin for plugin in self.plugins if any(one is component for one in plugin.components))

    def is_named(self, plugin: PluginInfo, name: str) -> bool:
        """Whether somebody who says `name` means this plugin: its name, distribution, or `distribution:name`."""
        return plain(name) in _names(plugin)

    def event(self, name: str, *, signals_raise: bool = True, **given: Any) -> None:
        """Tell every listener of an event hook; each is told, whatever another does.

        An optional listener that raises is reported and from then on muted. Global state that one changes is put back
        and reported once. A signal that arrives meanwhile goes its way.

        Args:
            name: Of the hook.
            signals_raise: Whether a signal raises; if it is only noted, a KeyboardInterrupt is the listener's own.
            given: What the hook hands over.

        Raises:
            PluginError: A listener raised that is not optional; names plugin, version, file and hook.
        """
        listeners = tuple(self._listeners[name])
        if not listeners:
            return
        self._times[name] += 1
        failures: list[PluginError] = []
        with redirect_stdout(sys.stderr):
            watch = Watch(draws=self._times[name] <= _TIMES_DRAWS_ARE_SEEN)
            for listener in listeners:
                # A listener gets dictionaries of its own, so that none can change what the next one sees.
                values = [
                    dict(given[key]) if isinstance(given[key], dict) else given[key] for key in listener.arguments
                ]
                if failure := self._tell(listener, values, watch, signals_raise):
                    failures.append(failure)
        for failure in failures[1:]:
            _log.error("%s", failure)
        if failures:
            raise failures[0]

    def _tell(self, listener: _Listener, values: list[Any], watch: Watch, signals_raise: bool) -> PluginError | None:
        """Tell one listener; its fault, if it must not have one."""
        plugin, outer = listener.plugin, sys.exception()
        try:
            listener.function(*values)
        except BaseException as error:
            if signals_raise and (stop := asked_to_stop(error, outer)):
                raise stop from None
            cause = cause_of(error, plugin.file)
            if listener.optional:
                self._listeners[listener.hook].remove(listener)
                _log.warning("Plugin %s is no longer told of %s: %s", plugin.described, listener.hook, cause)
                return None
            failure = PluginError(
                f"{listener.hook} failed: {cause}",
                place=f"plugin {plugin.described}" + (f", {plugin.file}" if plugin.file else ""),
                remedy=f"With ARTGEN_DISABLE_PLUGINS={plugin.name} the same command goes on without the plugin.",
            )
            failure.__cause__ = error
            return failure
        finally:
            if (changed := watch.undo()) and id(listener) not in self._told:
                self._told.add(id(listener))
                what = ", ".join(changed)
                _log.warning("Plugin %s: %s changed %s; that is undone.", plugin.described, listener.hook, what)
        return None

    def _claims(self, kind: Kind, name: str, owner: str) -> list[tuple[PluginInfo, Component]]:
        return [
            (plugin, component)
            for plugin in self.plugins
            if not owner or plain(owner) in _names(plugin)
            for component in plugin.components
            if (component.kind, component.name) == (kind, name)
        ]

    def _with_shared_names(self, plugin: PluginInfo) -> PluginInfo:
        """A plugin, warned of components whose names other plugins have too."""
        for component in plugin.components if plugin.usable else ():
            claims = self._claims(component.kind, component.name, "")
            others = [other.described for other, one in claims if other.usable and one is not component]
            if others:
                shared = f"{component.kind} '{component.name}' is also provided by {' and '.join(others)}"
                plugin = _warned(plugin, f"{shared}; recipes must write '{self._full_name(plugin, component)}'")
        return plugin

    def _full_name(self, plugin: PluginInfo, component: Component) -> str:
        """The shortest name with an owner that means this component alone."""
        owners = (plugin.distribution, plugin.name) if plugin.origin == "entry point" else (plugin.name,)
        for owner in owners:
            if len(self._claims(component.kind, component.name, owner)) == 1:
                return f"{owner}:{component.name}"
        return f"{plugin}:{component.name}"

    def _unknown(self, kind: Kind, name: str, owner: str) -> PluginError:
        cause = f"no plugin provides the {kind} '{name}'"
        if not self.plugins:
            return PluginError(cause, remedy=NOT_INSTALLED)
        owners = [plugin for plugin in self.plugins if not owner or plain(owner) in _names(plugin)]
        if not owners:
            cause += f": there is no plugin or distribution '{owner}'"
        known = list(self.components(kind))
        near = get_close_matches(name[:64], known, n=3)
        broken = [f"'{plugin.name}' ({plugin.cause})" for plugin in owners if plugin.state == "broken"]
        blocked = [plugin.described for plugin in owners if plugin.state == "blocked"]
        advice = f"Did you mean {_listed(near)}? " if near else ""
        if blocked:
            advice += f"It may belong to a plugin that ARTGEN_DISABLE_PLUGINS blocks: {', '.join(blocked)}. "
        if broken and not near:
            advice += f"It may belong to a broken plugin: {', '.join(broken)}. See `artgen plugins ls`."
        if (broken or blocked) and not near:
            return PluginError(cause, remedy=advice.rstrip())
        advice = advice or (f"There is {_listed(known)}." if known else f"No installed plugin has a {kind}.")
        return UnknownComponentError(cause, remedy=advice.rstrip())

    def _load(self, info: PluginInfo, source: Source, watch: Watch) -> PluginInfo:
        """Import a plugin, then register it."""
        with watched_threads() as threads:
            info = self._import(info, source, watch)
        if threads:
            info = _warned(info, f"its import leaves threads running that are no daemons: {_listed(threads)}")
        return info

    def _import(self, info: PluginInfo, source: Source, watch: Watch) -> PluginInfo:
        absent = [name for name in _HEAVY if name not in sys.modules]
        begun, plugin, error = time.perf_counter(), None, None
        try:
            plugin = source.load()
        except BaseException as raised:  # SystemExit too: a stranger's module may do anything at import
            if stop := asked_to_stop(raised):
                raise stop from None
            error = raised
        info = replace(info, file=source.file(), import_seconds=time.perf_counter() - begun)
        if changed := watch.undo():
            info = _warned(info, f"its import changed {', '.join(changed)}; that is undone")
        if error is None:
            info = self._add(info, plugin, watch)
        else:
            info = replace(info, state="broken", cause=_cause_at_import(error, info.file))
        if heavy := [name for name in absent if name in sys.modules]:
            where = "where it is used" if len(heavy) == 1 else "where they are used"
            info = _warned(info, f"its import loads {', '.join(heavy)}, for which every command waits; do so {where}")
        seconds = time.perf_counter() - begun
        if seconds >= SLOW_SECONDS:
            info = _warned(info, f"its import took {seconds:.1f} s, for which every command waits")
        return info

    def _add(self, info: PluginInfo, plugin: object, watch: Watch) -> PluginInfo:
        """Register a plugin and ask it for its components."""
        components: list[Component] = []
        listeners: list[_Listener] = []
        hook = ""
        try:
            if self._manager.is_registered(plugin):
                number = str(self._manager.get_name(plugin)).rpartition("#")[2]
                raise PluginError(f"the same module is already loaded as {self.plugins[int(number)].described}")
            info = replace(info, api=checked_api(getattr(plugin, "ARTGEN_API", 1)))
            info = replace(info, hooks=checked_hooks(plugin))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # pluggy's own words, which name no plugin
                self._manager.register(plugin, name=f"{info}#{len(self.plugins)}")
            for caller in self._manager.get_hookcallers(plugin) or ():
                hook = caller.name
                if caller.spec and (warning := caller.spec.warn_on_impl):
                    info = _warned(info, f"{hook} is deprecated: {warning}")
                for implementation in (one for one in caller.get_hookimpls() if one.plugin is plugin):
                    function = implementation.function
                    if hook in HOOK_KINDS:
                        answer = checked_components(function(), hook, components)
                        components += [replace(component, plugin=info.described) for component in answer]
                        if changed := watch.undo():
                            info = _warned(info, f"{hook} changed {', '.join(changed)}; that is undone")
                    else:
                        optional = bool(getattr(function, OPTIONAL, False))
                        listeners.append(_Listener(info, hook, function, tuple(implementation.argnames), optional))
            muted = sorted({listener.hook for listener in listeners if listener.optional})
            info = replace(info, optional_hooks=tuple(muted))
        except BaseException as error:
            if stop := asked_to_stop(error):
                raise stop from None
            cause = cause_of(error, info.file)
            if hook and not isinstance(error, PluginError):
                cause = f"{hook} failed: {cause}"
            watch.undo()
            return replace(info, state="broken", cause=cause, components=tuple(components))
        for listener in listeners:
            self._listeners[listener.hook].append(listener)
        for component in components:
            if component.deprecated:
                info = _warned(info, f"{component.kind} '{component.name}' is deprecated: {component.deprecated}")
        return replace(info, components=tuple(components))


@functools.cache
def load_plugins(extra: tuple[object, ...] = ()) -> Plugins:
    """The plugins of this process, loaded once: all installed ones and the files that somebody named; and `extra` ones
    that are at hand as modules or objects.

    Three variables have a say: `ARTGEN_PLUGINS` names files, `ARTGEN_DISABLE_PLUGINS` plugins or distributions that are
    not to be imported, and `ARTGEN_STRICT_PLUGINS=1` asks for an error if any plugin has a fault.

    Raises:
        PluginError: As that variable asks; all the faults are told.
    """
    files: dict[str, Origin] = dict.fromkeys(_files, "--plugin")
    for path in os.environ.get("ARTGEN_PLUGINS", "").split(os.pathsep):
        if path.strip():
            files.setdefault(path.strip(), "ARTGEN_PLUGINS")
    blocked = [name.strip() for name in os.environ.get("ARTGEN_DISABLE_PLUGINS", "").split(",") if name.strip()]
    forget_files()
    plugins = Plugins(extra, files=files, blocked=blocked)
    for remark in plugins.remarks:
        _log.warning("%s", remark)
    for plugin in plugins.plugins:
        if plugin.state == "broken" and plugin.distribution == FILE:  # somebody asked for this very file
            _log.warning("the plugin %s is broken and left out: %s", plugin.file, plugin.cause)
    if os.environ.get("ARTGEN_STRICT_PLUGINS", "0").strip() not in ("", "0"):
        faults = [f"{plugin.described}: {fault}" for plugin in plugins.plugins for fault in plugin.faults]
        if faults or plugins.remarks:
            raise StrictError(plugins, [*faults, *plugins.remarks])
    return plugins


_forget = load_plugins.cache_clear
_files: tuple[str, ...] = ()


def use_files(files: Iterable[str]) -> None:
    """Say which single files are plugins of this process too (`--plugin`); they take the place of earlier ones."""
    global _files
    named = tuple(os.path.abspath(path) for path in files)  # noqa: PTH100  # strings
    if named != _files:
        _files = named
        _forget()


def used_files() -> tuple[str, ...]:
    """The files that `use_files` named."""
    return _files


@dataclass(frozen=True)
class _Listener:
    """One function that listens: whose, to which hook, which arguments it takes, and whether a run can do without."""

    plugin: PluginInfo
    hook: str
    function: Callable[..., object]
    arguments: tuple[str, ...]
    optional: bool


def _cause_at_import(error: BaseException, file: str) -> str:
    """Why a module cannot be imported: perhaps it is made for a newer artgen, and fails at what this one lacks."""
    cause = cause_of(error, file)
    try:
        checked_api(promised_api(file) or hookspecs.API_VERSION)
    except PluginError as refusal:
        return f"{refusal.cause} ({cause})"
    return cause


def _names(plugin: PluginInfo | Source) -> tuple[str, str, str]:
    """What somebody may call it."""
    name, distribution = plain(plugin.name), plain(plugin.distribution)
    return name, distribution, f"{distribution}:{name}"


def _warned(info: PluginInfo, warning: str) -> PluginInfo:
    return replace(info, warnings=(*info.warnings, warning))


def _tell_waiting(name: str) -> None:
    _log.warning("Waiting for the import of the plugin %s ...", name)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
