"""Where a text stops being TOML: the statement, the brackets that are open, and the lines that make no sense."""

from __future__ import annotations

import re

from artgen.recipe.locate import Scan
from artgen.recipe.spans import Key, Span

_POSITION = re.compile(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", re.DOTALL)
_CLOSING = re.compile(r"^[ \t]*+[\]}]", re.MULTILINE)
_NEXT_HEADER = re.compile(r"^[ \t]*+\[", re.MULTILINE)
_NEXT_STATEMENT = re.compile(r"^[ \t]*+(?:\[\[?+[ \t]*+[A-Za-z_][\w.\-: \"']*+\]|[\w.\-\"']++[ \t]*+=)", re.MULTILINE)


class Stop:
    """The place at which tomllib stopped.

    Args:
        text: What it read.
        message: What it said: the text of a `tomllib.TOMLDecodeError`.

    Attributes:
        message: The same without the position.
        at: Offset of that position.
        scan: What could be read before it.
        statement: Offset at which the line or header begins that it did not take.
        key: What that speaks of.
    """

    def __init__(self, text: str, message: str) -> None:
        match = _POSITION.fullmatch(message)
        self.text, self.message, self.at = text, match[1] if match else message, len(text)
        if match and match[2]:
            begin = 0
            for _ in range(int(match[2]) - 1):
                begin = text.index("\n", begin) + 1
            self.at = min(begin + int(match[3]) - 1, len(text))
        self.scan = Scan(text[: self.at])
        self.statement, self.key = self.scan.statement, self.scan.path
        if self.message == "Invalid statement":  # it begins where tomllib stopped, and has no name
            self.statement, self.key = self.at, (*self.scan.table, "")

    def match(self, pattern: re.Pattern[str], at: int | None = None) -> str:
        """What a pattern matches here, or elsewhere."""
        match = pattern.match(self.text, self.at if at is None else at)
        return match[0].rstrip(" \t\r\n") if match else ""

    def end_of_line(self, at: int) -> int:
        """Where the line ends that holds a character."""
        end = self.text.find("\n", at)
        return end if end >= 0 else len(self.text)

    @property
    def line(self) -> str:
        """The first line of the statement, without its comment."""
        return self.text[self.statement : self.end_of_line(self.statement)].partition("#")[0].rstrip()

    @property
    def is_header(self) -> bool:
        """Whether the statement is meant for the header of a table."""
        return self.line.startswith("[") or (self.line.endswith("]") and "=" not in self.line)

    @property
    def next_statement(self) -> int | None:
        """Where a new statement begins although an array is open."""
        if not self.scan.open or self.text[self.scan.open[0]] != "[":
            return None
        first = self.end_of_line(self.scan.open[0])
        found = _NEXT_STATEMENT.search(self.text, first, max(first, self.end_of_line(self.at)))
        return found.start() if found else None

    @property
    def closing(self) -> int | None:
        """Where the brackets of the statement are closed, on a later line than TOML may allow."""
        place = Scan(self.text).places.get(self.key)
        if place is not None and self.statement <= place.value.start and self.at <= place.value.end:
            return place.value.end
        end = self.end_of_line(self.at)
        found, following = _CLOSING.search(self.text, end), _NEXT_STATEMENT.search(self.text, end)
        return found.start() if found and not (following and following.start() < found.start()) else None

    def senseless(self) -> tuple[Span, Key]:
        """The lines to leave out so that the rest can be read, and what they speak of."""
        end, key = self.end_of_line(self.at), self.key
        if self.is_header:  # what follows would be taken for the keys of another table
            following = _NEXT_HEADER.search(self.text, end)
            end, key = following.start() if following else len(self.text), Scan(f"[{self.line.strip('[]')}]").path
        elif self.next_statement is not None:
            end = self.next_statement
        elif self.scan.open and (closing := self.closing) is not None:
            end = max(end, self.end_of_line(closing))
        return Span(self.statement, end), key
