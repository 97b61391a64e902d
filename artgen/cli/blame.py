"""Whose fault an error is that nobody foresaw: a plugin's, or artgen's own."""

from __future__ import annotations

import traceback
from types import FrameType

from artgen.components import Component
from artgen.errors import ArtgenError, PluginError
from artgen.plugins import Plugins, load_plugins

_TRACEBACK = "The same command with --debug shows the traceback"


def blamed(error: BaseException) -> ArtgenError:
    """One message for an error that is no `ArtgenError`; names the component or plugin in whose code it was raised."""
    said = " ".join(traceback.format_exception_only(error)[-1].split())
    frames = list(traceback.walk_tb(error.__traceback__))
    plugins = load_plugins()
    for frame, line in reversed(frames):
        if whose := _whose(frame, plugins):
            blame: ArtgenError = PluginError(
                f"{said} ({frame.f_code.co_filename}, line {line})",
                place=whose,
                remedy=f"{_TRACEBACK}, which the author of the plugin will want to see.",
            )
            break
    else:
        frame, line = frames[-1]
        blame = ArtgenError(
            f"{said} ({frame.f_code.co_filename}, line {line})",
            remedy=f"This is a fault of artgen. {_TRACEBACK}: please report it, with what `artgen doctor` says.",
        )
    blame.__cause__ = error
    return blame


def _whose(frame: FrameType, plugins: Plugins) -> str:
    """Whose code runs in this frame: a component's or, if that is not known, a plugin's; empty if it is artgen's."""
    component = _component(frame, plugins)
    if component is not None:
        owner = plugins.owner(component)
        return f"{component.kind} '{component.name}' of {owner.distribution} {owner.version}".rstrip()
    return next((f"plugin {one.described}" for one in plugins.plugins if one.owns(frame.f_code.co_filename)), "")


def _component(frame: FrameType, plugins: Plugins) -> Component | None:
    """The component whose factory, or an object made by it, runs in this frame."""
    runs = type(frame.f_locals.get("self"))
    function = frame.f_code.co_qualname.partition(".")[0]
    factories = {f"{runs.__module__}:{runs.__qualname__}", f"{frame.f_globals.get('__name__')}:{function}"}
    every = (component for plugin in plugins.plugins for component in plugin.components)
    return next((component for component in every if component.factory in factories), None)
