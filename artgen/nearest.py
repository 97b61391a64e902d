"""Which of some names was probably meant."""

from __future__ import annotations

from collections.abc import Iterable

MAX_LETTERS = 64
"""More of a name is not looked at, so that a long one costs no more."""


def nearest(word: str, names: Iterable[str], count: int = 1) -> list[str]:
    """The names that are like a word, the likeliest first; none if nothing is.

    A typing error is a letter too many, too few, another one, or two that changed places. Next come names that begin
    with the word or end in it (`preview` for `preview_images`), and those that share most of its letters.
    """
    wanted, ranked = _plain(word), []
    for order, name in enumerate(names):
        other = _plain(name)
        errors, longest = typing_errors(wanted, other), max(len(wanted), len(other))
        if 2 * errors <= longest and errors <= 1 + longest // 4:
            ranked.append((errors, -_alike_at_the_ends(wanted, other), order, name))
        elif (likeness := _likeness(wanted, other)) >= 0.6:
            ranked.append((100 - int(50 * likeness), 0, order, name))
    return [name for *_, name in sorted(ranked)[:count]]


def typing_errors(word: str, name: str) -> int:
    """How many typing errors lie between two words: the optimal string alignment distance."""
    if word == name:
        return 0
    before: list[int] = []
    last = list(range(len(name) + 1))
    for i, letter in enumerate(word, 1):
        row = [i]
        for j, other in enumerate(name, 1):
            cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (letter != other))
            if before and j > 1 and letter == name[j - 2] and word[i - 2] == other:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        before, last = last, row
    return last[-1]


def _plain(name: str) -> str:
    return name[:MAX_LETTERS].lower().replace("_", "-")


def _alike_at_the_ends(word: str, name: str) -> int:
    """How many letters agree at the beginning and at the end."""
    ends = 0
    for one, other in ((word, name), (word[::-1], name[::-1])):
        for a, b in zip(one, other, strict=False):
            if a != b:
                break
            ends += 1
    return ends


def _likeness(word: str, name: str) -> float:
    """From 0 to 1."""
    if len(word) >= 3 and (name.startswith(word) or name.endswith(word)):
        return 0.9
    if len(word) >= 2 and word == "".join(part[:1] for part in name.split("-")):  # lr, learning_rate
        return 0.8
    from difflib import SequenceMatcher

    return SequenceMatcher(None, word, name).ratio()
