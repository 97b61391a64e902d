"""Whose fault an error is that nobody foresaw: a plugin's, or artgen's own."""

from __future__ import annotations

import traceback
from types import FrameType

from artgen.components import Component
from artgen.errors import ArtgenError, PluginError
from artgen.plugins import Plugins, load_plugins

_TRACEBACK = "The same command with --debug shows the traceback"


def blamed(error: Exception) -> ArtgenError:
    """One message for an error that is no `ArtgenError`; it names the component in whose code it was raised, if any."""
    said = " ".join(traceback.format_exception_only(error)[-1].split())
    frames = list(traceback.walk_tb(error.__traceback__))
    plugins = load_plugins()
    for frame, line in reversed(frames):
        component = _component(frame, plugins)
        if component is not None:
            owner = plugins.owner(component)
            blame: ArtgenError = PluginError(
                f"{said} ({frame.f_code.co_filename}, line {line})",
                place=f"{component.kind} '{component.name}' of {owner.distribution} {owner.version}",
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


def _component(frame: FrameType, plugins: Plugins) -> Component | None:
    """The component whose factory, or an object made by it, runs in this frame."""
    runs = type(frame.f_locals.get("self"))
    function = frame.f_code.co_qualname.partition(".")[0]
    factories = {f"{runs.__module__}:{runs.__qualname__}", f"{frame.f_globals.get('__name__')}:{function}"}
    every = (component for plugin in plugins.plugins for component in plugin.components)
    return next((component for component in every if component.factory in factories), None)
