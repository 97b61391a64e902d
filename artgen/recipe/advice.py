"""What was probably meant by a key that means nothing where it stands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from artgen.nearest import nearest
from artgen.recipe.layers import listed


class Advice(NamedTuple):
    """A name that was probably meant, and what to do.

    Args:
        nearest: The name; empty if nothing is like it.
        remedy: One sentence.
        here: Whether that name belongs into the same table.
    """

    nearest: str
    remedy: str
    here: bool = False


def about_key(word: str, known: Iterable[str], elsewhere: Mapping[str, Iterable[str]]) -> Advice:
    """Advice on an unknown key.

    Args:
        word: The key.
        known: Keys of the table in which it stands.
        elsewhere: Other tables of the recipe, as one writes them (`[[phase]]`), and their keys.
    """
    known = list(known)
    homes = [table for table, keys in elsewhere.items() if word in keys]
    if homes:
        return Advice(word, f"It belongs {' or '.join(homes[:3])}.")
    if near := nearest(word, known):
        return Advice(near[0], f"Did you mean '{near[0]}'?", here=True)
    every = {key: table for table, keys in reversed(list(elsewhere.items())) for key in keys}
    if near := nearest(word, every):
        return Advice(near[0], f"Did you mean '{near[0]}'? It belongs {every[near[0]]}.")
    return Advice("", f"Known here: {listed(known)}." if known else "This table has no keys.")


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
