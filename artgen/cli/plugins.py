"""`artgen plugins ls`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from artgen.plugins import PluginInfo


@click.group()
def plugins() -> None:
    """What is installed, from where, and what is broken."""


@plugins.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def ls(as_json: bool) -> None:
    """List the plugins with their state and components; of a broken one the cause."""
    from artgen.contract import EVENTS
    from artgen.errors import PluginError
    from artgen.plugins import NOT_INSTALLED, load_plugins

    found = load_plugins().plugins
    if as_json:
        click.echo(json.dumps([_record(plugin) for plugin in found], indent=1))
        return
    if not found:
        raise PluginError("no plugin is installed", remedy=NOT_INSTALLED)
    for plugin in found:
        click.echo(f"{plugin.name}  {plugin.distribution} {plugin.version}  {plugin.state}")
        if plugin.cause:
            click.echo(f"    {plugin.cause}\n    {plugin.file}".rstrip())
        for component in plugin.components:
            click.echo(f"    {component.kind:<9}  {component.name:<20}  {component.summary}")
        events = [hook for hook in plugin.hooks if hook in EVENTS]
        if events:
            click.echo(f"    listens to {', '.join(events)}")


def _record(plugin: PluginInfo) -> dict[str, Any]:
    return {
        "plugin": plugin.name,
        "distribution": plugin.distribution,
        "version": plugin.version,
        "file": plugin.file,
        "state": plugin.state,
        "cause": plugin.cause,
        "hooks": list(plugin.hooks),
        "components": [
            {"kind": component.kind, "name": component.name, "summary": component.summary, "factory": component.factory}
            for component in plugin.components
        ],
    }
