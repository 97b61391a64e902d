"""Where things stand in a text: the words that every part of the diagnostics shares."""

from __future__ import annotations

from typing import NamedTuple

Key = tuple[str | int, ...]
"""The path of tables and keys to a value."""


class Span(NamedTuple):
    """Part of a text: offset of its first character, and of the one behind its last."""

    start: int
    end: int


class Place(NamedTuple):
    """Where a key and its value stand.

    The value of a table is its header or its braces; of one that is only named on the way to another, that name. An
    item of an array has its value for a key; one of an array of tables, the name in its header.
    """

    key: Span
    value: Span
