"""The tree of errors. Each one names place, cause and remedy, and carries its exit code.

ArtgenError              1   the run failed
|-- RecipeError          2   usage, or a fault in a recipe (may hold many)
|-- DataError            3   pictures that cannot be read or used
|-- CheckpointError      4   a checkpoint that is foreign, damaged or missing
|-- PluginError          5   a plugin that is broken, missing or clashing
|-- DivergedError        6   training left the finite numbers
|-- ResourceError        7   out of memory or out of disk
`-- StoppedError       130   interrupted (143: terminated), with a checkpoint saved
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


class ArtgenError(Exception):
    """A fault a user can understand and mend.

    Args:
        cause: What is wrong, with the value that was found.
        place: Where: a file and key, a folder, a plugin.
        remedy: What to do about it, if anything can be said.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, cause: str, *, place: str = "", remedy: str = "") -> None:
        super().__init__(cause)
        self.cause, self.place, self.remedy = cause, place, remedy

    def __str__(self) -> str:
        head = f"{self.place}: {self.cause}" if self.place else self.cause
        return f"{head}\n  {self.remedy}" if self.remedy else head


@dataclass(frozen=True)
class Fault:
    """One thing wrong with a recipe.

    `key` is the path of tables and keys (`("generator", "dcgan", "width")`); `file` the recipe that holds it.
    """

    key: tuple[str | int, ...]
    cause: str
    remedy: str = ""
    file: str = ""

    def __str__(self) -> str:
        place = ": ".join(part for part in (self.file, ".".join(map(str, self.key))) if part)
        head = f"{place}: {self.cause}" if place else self.cause
        return f"{head}\n  {self.remedy}" if self.remedy else head


class RecipeError(ArtgenError):
    """A recipe or a command line that cannot be used; `faults` lists every reason at once."""

    exit_code = 2

    def __init__(self, cause: str, *, place: str = "", remedy: str = "", faults: Sequence[Fault] = ()) -> None:
        super().__init__(cause, place=place, remedy=remedy)
        self.faults = tuple(faults)

    def __str__(self) -> str:
        return "\n".join([super().__str__(), *(str(fault) for fault in self.faults)])


class DataError(ArtgenError):
    """Pictures that cannot be read, or too few of them."""

    exit_code = 3


class CheckpointError(ArtgenError):
    """A checkpoint or run folder that is foreign, damaged, busy or missing."""

    exit_code = 4


class PluginError(ArtgenError):
    """A plugin that is broken, not installed, or claims a name that another one claims."""

    exit_code = 5


class DivergedError(ArtgenError):
    """Losses or gradients are no longer finite numbers."""

    exit_code = 6


class ResourceError(ArtgenError):
    """Memory or disk is exhausted."""

    exit_code = 7


class StoppedError(ArtgenError):
    """The user or the machine asked the run to stop; the newest checkpoint holds everything."""

    def __init__(self, cause: str, *, signal_number: int, remedy: str = "") -> None:
        super().__init__(cause, remedy=remedy)
        self.exit_code = 128 + signal_number  # type: ignore[misc]  # 130 for SIGINT, 143 for SIGTERM
