"""Lines of files as a terminal may show them: nothing in them moves its cursor, and a long one is cut."""

from __future__ import annotations

WIDTH = 100
"""Characters of a source line that are shown."""


def printable(text: str) -> str:
    """Text with control and invisible characters written as escapes, so that a file cannot play with the terminal."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() or letter == "\n" else _escape(letter) for letter in text)


def excerpt(source: str, column: int, end_column: int) -> tuple[str, str]:
    """A source line around its columns `column` to `end_column` (from 1), and the carets that go below it."""
    column = min(max(column, 1), len(source) + 1)
    first = 0 if len(source) <= WIDTH else max(0, min(column - 1 - WIDTH // 3, len(source) - WIDTH))
    last = min(len(source), first + WIDTH)
    begin, end = column - 1, max(column - 1, min(end_column - 1, last))
    before = ("..." if first else "") + _shown(source[first:begin])
    marked, after = _shown(source[begin:end]), _shown(source[end:last]) + ("..." if last < len(source) else "")
    return before + marked + after, " " * _width(before) + "^" * max(1, _width(marked))


def _shown(text: str) -> str:
    return printable(text.replace("\t", "    ")).replace("\n", "\\n")


def _escape(letter: str) -> str:
    return letter.encode("unicode_escape").decode()


def _width(text: str) -> int:
    """How many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    import unicodedata

    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return len(text) + wide - sum(unicodedata.combining(letter) > 0 for letter in text)
