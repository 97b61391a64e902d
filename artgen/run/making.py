"""Call the factory of a component, and look at what it made: a stranger's code is told where it is wrong."""

from __future__ import annotations

from typing import Any

from artgen.components import Component, Kind, tell_changed
from artgen.data.dataset import Dataset
from artgen.errors import PluginError
from artgen.isolation import restored
from artgen.training import Augmentation, Critic, Features, Generator, Source
from artgen.walk.path import Path

_TYPES: dict[Kind, type[Any]] = {
    "data": Dataset,
    "source": Source,
    "generator": Generator,
    "critic": Critic,
    "augment": Augmentation,
    "features": Features,
    "path": Path,
}
_METHODS: dict[Kind, tuple[str, ...]] = {
    "trainer": ("begin", "step", "state_dict", "load_state_dict"),
    "metric": ("measure",),
}


def make(component: Component, *arguments: Any) -> Any:
    """What the factory of a component returns for these arguments.

    Settings of the whole process (thread count, precision) that it changes are put back and told. The global random
    generators are its to draw from.

    Raises:
        PluginError: It returns something else than its hook says.
    """
    factory = component.load()
    with restored(draws=False) as changed:
        made = factory(*arguments)
    tell_changed(component, changed, "its factory")
    wanted = _TYPES.get(component.kind)
    methods = component.needs if component.kind == "loss" else _METHODS.get(component.kind, ())
    lacking = [name for name in methods if not callable(getattr(made, name, None))]
    if wanted is not None and not isinstance(made, wanted):
        fault = f"its factory returned {type(made).__name__}, not {wanted.__module__}.{wanted.__name__}"
    elif lacking:
        fault = f"its factory returned {type(made).__name__}, which has no method {', '.join(lacking)}"
    else:
        return made
    place = f"{component.kind} '{component.name}' ({component.factory})"
    raise PluginError(fault, place=place, remedy=f"This is a fault of the plugin {component.plugin}.")
