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

from artgen.excerpt import excerpt, printable


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
        return printable(f"{head}\n  {self.remedy}" if self.remedy else head)


@dataclass(frozen=True)
class Fault:
    """One thing wrong with a recipe, with all that is known of it.

    Args:
        key: The path of tables and keys: `("generator", "dcgan", "width")`.
        cause: What is wrong, in one line.
        remedy: What to do about it.
        file: The recipe that holds it; `--set` or `--data` for an argument of the command line.
        code: Its kind: `E-key`, `E-type` and so on; `docs/recipes.md` lists them.
        line: Line of the file, from 1; 0 where there is none.
        column: Character of the line at which the carets begin, from 1; 0 where there is none.
        end_column: The character after the last caret.
        source: That line, or the argument.
        expected: What may stand there.
        found: What stands there.
        nearest: The key, name or value that was probably meant.
        about: What the manual says of the key.
        owner: Whose table it is: a plugin with its distribution and version, or artgen.
        via: The recipes that lead to `file` by `extends`, from the outermost.
    """

    key: tuple[str | int, ...]
    cause: str
    remedy: str = ""
    file: str = ""
    code: str = ""
    line: int = 0
    column: int = 0
    end_column: int = 0
    source: str = ""
    expected: str = ""
    found: str = ""
    nearest: str = ""
    about: str = ""
    owner: str = ""
    via: tuple[str, ...] = ()

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line and not self._in_argument else self.file
        parts = (place, ".".join(map(str, self.key)), self.cause)
        head = ": ".join(printable(part) for part in parts if part)
        lines = [f"{head} [{self.code}]" if self.code else head]
        if not self.line:
            lines += [self.remedy] if self.remedy else []
            lines += [f"extended by: {self._chain}"] if self.via else []
            return "\n  ".join([lines[0], *map(printable, lines[1:])])
        number = "" if self._in_argument else f" {self.line}"
        before = f"{self.file} " if self._in_argument else ""
        text, carets = excerpt(before + self.source, self.column + len(before), self.end_column + len(before))
        gutter = " " * len(number)
        lines += [f"{number} | {text}".rstrip(), f"{gutter} | {carets}"]
        told = {
            "help": self.remedy,
            "": self.about,
            "owner": self.owner if self.owner.startswith("plugin") else "",
            "extended by": self._chain,
        }
        notes = (f"{label}: {words}" if label else words for label, words in told.items() if words)
        lines += [f"{gutter} = {printable(note)}" for note in notes]
        return "\n".join(lines)

    @property
    def _chain(self) -> str:
        return " -> ".join(reversed(self.via))

    @property
    def _in_argument(self) -> bool:
        return self.file.startswith("--")


class RecipeError(ArtgenError):
    """A recipe or a command line that cannot be used; `faults` lists every reason at once."""

    exit_code = 2

    def __init__(self, cause: str, *, place: str = "", remedy: str = "", faults: Sequence[Fault] = ()) -> None:
        super().__init__(cause, place=place, remedy=remedy)
        self.faults = tuple(faults)

    def __str__(self) -> str:
        gap = "\n\n" if any(fault.line for fault in self.faults) else "\n"
        return gap.join([super().__str__(), *map(str, self.faults)])


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
