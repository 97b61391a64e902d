"""The faults of a recipe while it is checked: where each stands, whose table it is, what hides another."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import artgen
from artgen.components import Component
from artgen.errors import Fault
from artgen.plugins import Plugins
from artgen.recipe.layers import Layer
from artgen.recipe.spans import Key

if TYPE_CHECKING:
    from artgen.recipe.advice import Advice  # only a fault needs it

MAX_FAULTS = 100


class Findings:
    """Collects the faults of one recipe.

    Args:
        layer: The merged tables.
        plugins: Where components are looked up.
        faults: What was found while the tables were read.

    Attributes:
        blocked: How many faults lie with a plugin.
        components: Section -> the key and component of each table.
    """

    def __init__(self, layer: Layer, plugins: Plugins, faults: Iterable[Fault]) -> None:
        self.layer, self.plugins = layer, plugins
        self.blocked = 0
        self.components: dict[str, list[tuple[Key, Component]]] = {}
        self._faults = list(faults)
        self._absent: list[tuple[Key, Fault]] = []

    @property
    def full(self) -> bool:
        """Whether no more faults are wanted."""
        return len(self._faults) > MAX_FAULTS

    def add(
        self,
        key: Key,
        code: str,
        cause: str,
        remedy: str = "",
        *,
        at: Literal["key", "value"] = "key",
        **more: str,
    ) -> None:
        """A fault at a key of the merged tables, or at its value."""
        if not self.full:
            self._faults.append(self._fault(key, code, cause, remedy, at, more))

    def lack(self, key: Key, code: str, cause: str, remedy: str = "", *, at: Key | None = None, **more: str) -> None:
        """Something that is not there, unless another fault turns out to hide it; told `at` a key that is."""
        self._absent.append((key, self._fault(key if at is None else at, code, cause, remedy, "value", more)))

    def misnamed(self, table: Key, advice: Advice) -> None:
        """What stands in a table under another name, or belongs into another table, is not missing."""
        for home in (table,) if advice.here else advice.homes:
            phases = self.layer.values.get("phase") if home == ("phase",) else None
            if advice.nearest == "extends":  # what it would have brought is unknown
                self.layer.unknown.add(())
            elif home != ("phase",):
                self.layer.unknown.add((*home, advice.nearest))
            elif isinstance(phases, list) and phases:
                self.layer.unknown |= {(*home, index, advice.nearest) for index in range(len(phases))}
            else:
                self.layer.unknown.add(home)

    def all(self) -> list[Fault]:
        """Every fault once, in the order of files and lines: the recipe, what it extends, the command line."""
        absent = [fault for key, fault in self._absent if not self.layer.hides(key)]
        return in_order([*self._faults, *absent])

    def _fault(self, key: Key, code: str, cause: str, remedy: str, at: Literal["key", "value"], more: Any) -> Fault:
        origin = self.layer.place(key)
        return origin.source.fault(origin.key, code, cause, remedy, at=at, **{"owner": self._owner(key)} | more)

    def _owner(self, key: Key) -> str:
        """Whose table a key is in."""
        for table, component in self.components.get(str(key[0]), []) if key else ():
            if table == key[:2]:
                return f"plugin {self.plugins.owner(component).described}"
        return "" if len(key) > 1 and key[0] not in ("run", "phase") else f"artgen {artgen.__version__}"


def counted(faults: Sequence[Fault]) -> str:
    """How many faults there are, in words."""
    if len(faults) > MAX_FAULTS:
        return f"more than {MAX_FAULTS} faults, of which these are {MAX_FAULTS}"
    return "one fault" if len(faults) == 1 else f"{len(faults)} faults"


def in_order(faults: Iterable[Fault]) -> list[Fault]:
    """Faults once each, sorted: the recipe itself, what it extends, then arguments; each by line and column."""
    once: dict[tuple[object, ...], Fault] = {}
    for fault in faults:
        once.setdefault((fault.file, fault.source, fault.line, fault.column, fault.key, fault.code, fault.cause), fault)
    return sorted(
        once.values(),
        key=lambda fault: (fault.file.startswith("--"), len(fault.via), fault.file, fault.line, fault.column),
    )
