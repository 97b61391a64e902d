"""`artgen plugins ls|show|check|new`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from artgen.cli.options import plugin_option
from artgen.cli.scaffold import new
from artgen.excerpt import printable

if TYPE_CHECKING:
    from artgen.components import Component
    from artgen.errors import PluginError
    from artgen.plugins import PluginInfo, Plugins


@click.group()
def plugins() -> None:
    """What is installed, from where, and what is broken."""


plugins.add_command(new)


@plugins.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@plugin_option
def ls(as_json: bool) -> None:
    """List the plugins with their state and components; of a broken one the cause."""
    from artgen.cli.listing import in_short, record
    from artgen.errors import PluginError
    from artgen.plugins import NOT_INSTALLED

    found, refusal = _loaded()
    if as_json:
        click.echo(json.dumps([record(plugin) for plugin in found.plugins], indent=1))
    elif not found.plugins:
        raise PluginError("no plugin is installed", remedy=NOT_INSTALLED)
    else:
        for plugin in found.plugins:
            click.echo(printable("\n".join(in_short(plugin))))
    if refusal is not None:
        raise refusal


@plugins.command()
@click.argument("name", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@plugin_option
def show(name: tuple[str, ...], as_json: bool) -> None:
    """Show all that is known of NAME, with every option, its default, bounds and meaning.

    NAME is that of a plugin, a distribution or a component: `dcgan`, `generator dcgan`, `artgen-weave:weave`.
    """
    from artgen.cli.listing import in_full, record

    found, refusal = _loaded()
    shown = _shown(found, " ".join(name))
    if as_json:
        click.echo(json.dumps([record(plugin, components) for plugin, components in shown], indent=1))
    else:
        click.echo(printable("\n\n".join("\n".join(in_full(plugin, components)) for plugin, components in shown)))
    if refusal is not None:
        raise refusal


@plugins.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@plugin_option
def check(names: tuple[str, ...], as_json: bool) -> None:
    """Look at plugins as their author should: import all of their code, time it, and see what it does to the process.

    NAME is that of a plugin or a distribution; all are checked unless some are named. Ends with exit code 5 if one of
    them is broken, clashing or warned of.
    """
    from artgen.cli.lint import look
    from artgen.cli.listing import head, record
    from artgen.errors import PluginError

    remarks: list[str] = []

    def load() -> Plugins:
        found, _ = _loaded()
        if not names:
            remarks.extend(found.remarks)
        return found

    looked = look(load, lambda found: _chosen(found, names))
    if as_json:
        told = [
            record(one.plugin) | {"faults": list(one.faults), "factory_seconds": one.factory_seconds} for one in looked
        ]
        click.echo(json.dumps(told, indent=1))
    else:
        for one in looked:
            state = one.plugin.state if one.plugin.state != "healthy" or not one.faults else "faulty"
            line = head(one.plugin).removesuffix(one.plugin.state) + state
            click.echo(printable(f"{line}  {one.plugin.import_seconds * 1000:.1f} ms"))
            for fault in one.faults:
                click.echo(f"    {printable(fault)}")
            if one.faults and one.plugin.file:
                click.echo(f"    {one.plugin.file}")
    faulty = [one.plugin for one in looked if one.faults]
    if faulty or remarks:
        cause = (
            f"{len(faulty)} of {len(looked)} plugin(s) should be mended: {_listed(plugin.name for plugin in faulty)}"
        )
        raise PluginError("; ".join([*([cause] if faulty else []), *remarks]))


def _loaded() -> tuple[Plugins, PluginError | None]:
    """The plugins, also where `ARTGEN_STRICT_PLUGINS` refuses to go on with them."""
    from artgen.plugins import StrictError, load_plugins

    try:
        return load_plugins(), None
    except StrictError as error:
        return error.plugins, error


def _chosen(found: Plugins, names: tuple[str, ...]) -> list[PluginInfo]:
    """The plugins that are named, or all of them."""
    chosen = [plugin for plugin in found.plugins if not names or any(found.is_named(plugin, name) for name in names)]
    for name in names:
        if not any(found.is_named(plugin, name) for plugin in chosen):
            raise _unknown(name, (text for plugin in found.plugins for text in (plugin.name, plugin.distribution)))
    return chosen


def _shown(found: Plugins, name: str) -> list[tuple[PluginInfo, tuple[Component, ...]]]:
    """The plugins of this name with all components, others with those components that have it."""
    shown = []
    for plugin in found.plugins:
        meant = plugin.components
        if not found.is_named(plugin, name):
            meant = tuple(component for component in meant if name in _ways(plugin, component))
            if not meant:
                continue
        shown.append((plugin, meant))
    if not shown:
        ways = (way for plugin in found.plugins for component in plugin.components for way in _ways(plugin, component))
        raise _unknown(name, [*(text for one in found.plugins for text in (one.name, one.distribution)), *ways])
    return shown


def _ways(plugin: PluginInfo, component: Component) -> list[str]:
    """How somebody may name a component."""
    names = [component.name, f"{plugin.name}:{component.name}", f"{plugin.distribution}:{component.name}",
             f"{plugin}:{component.name}"]  # fmt: skip
    return [*names, *(f"{component.kind} {name}" for name in names)]


def _unknown(name: str, known: Iterable[str]) -> Exception:
    from difflib import get_close_matches

    from artgen.errors import RecipeError

    near = get_close_matches(name, dict.fromkeys(known), n=3)
    remedy = f"Did you mean {_listed(near)}?" if near else "`artgen plugins ls` lists what there is."
    return RecipeError(f"there is no plugin, distribution or component '{name}'", remedy=remedy)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
