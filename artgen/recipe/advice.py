"""What was probably meant by a key that means nothing where it stands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from artgen.nearest import nearest
from artgen.recipe.inline import dotted
from artgen.recipe.layers import listed
from artgen.recipe.model import SECTIONS
from artgen.recipe.spans import Key

_HEADERS = {
    **{section: f"[{section}.NAME]" for section in SECTIONS},
    "phase": "[[phase]]",
    "run": "[run]",
    "on": "[on.DEVICE]",
}


class Advice(NamedTuple):
    """A name that was probably meant, and what to do.

    Args:
        nearest: The name; empty if nothing is like it.
        remedy: One sentence.
        here: Whether that name belongs into the same table.
        homes: The other tables that it belongs into.
    """

    nearest: str
    remedy: str
    here: bool = False
    homes: tuple[Key, ...] = ()


def about_key(word: str, known: Iterable[str], elsewhere: Mapping[Key, Iterable[str]]) -> Advice:
    """Advice on an unknown key.

    Args:
        word: The key.
        known: Keys of the table in which it stands.
        elsewhere: Other tables of the recipe, `()` for its top, and their keys.
    """
    known = list(known)
    homes = tuple(table for table, keys in elsewhere.items() if word in keys)[:3]
    if homes:
        return Advice(word, _belongs(word, homes), homes=homes)
    if near := nearest(word, known):
        return Advice(near[0], f"Did you mean '{near[0]}'?", here=True)
    every = {key: table for table, keys in reversed(list(elsewhere.items())) for key in keys}
    if near := nearest(word, every):
        homes = (every[near[0]],)
        return Advice(near[0], f"Did you mean '{near[0]}'? {_belongs(near[0], homes)}", homes=homes)
    return Advice("", f"Known here: {listed(known)}." if known else "This table has no keys.")


def _belongs(word: str, homes: Iterable[Key]) -> str:
    """Where a key stands, in words."""
    if word in _HEADERS:
        return f"It belongs at the top, above the first [table], or is a table of its own: {_HEADERS[word]}."
    tables = [f"into [{dotted(home)}]" if home else "at the top, above the first [table]" for home in homes]
    return f"It belongs {' or '.join(tables)}.".replace("[phase]", "[[phase]]")


def about_name(word: str, kind: str, known: Iterable[str], others: Mapping[str, Iterable[str]]) -> Advice:
    """Advice on the name of a component that no plugin provides.

    Args:
        word: The name.
        kind: What it should be.
        known: Names of the components of that kind.
        others: Other sections of a recipe, and the names of theirs.
    """
    known = list(known)
    if homes := [f"[{section}.{word}]" for section, names in others.items() if word in names]:
        return Advice(word, f"It is none of that kind: write {' or '.join(homes)}.")
    if near := nearest(word.rpartition(":")[2], known, count=3):
        return Advice(near[0], f"Did you mean {listed(near)}?", here=True)
    there_is = f"No installed plugin provides it; there is {listed(known)}."
    return Advice("", there_is if known else f"No installed plugin has a {kind}.")
