"""What differs between two recipes, in a few lines."""

from __future__ import annotations

import tomllib
from typing import Any

from artgen.errors import Fault

_SHOWN = 12
_Flat = dict[tuple[str | int, ...], str]


def differences(old_toml: str, new_toml: str) -> list[Fault]:
    """One fault for each key of which two recipes think differently, a dozen at most; `old` is the folder's.

    Raises:
        ValueError: If one is not TOML.
    """
    try:
        old, new = _flat(tomllib.loads(old_toml)), _flat(tomllib.loads(new_toml))
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    keys = sorted(
        (key for key in old.keys() | new.keys() if old.get(key) != new.get(key)), key=lambda key: [*map(str, key)]
    )
    faults = [Fault(key, f"the folder has {_short(old, key)}, the recipe {_short(new, key)}") for key in keys]
    return faults if len(faults) <= _SHOWN else [*faults[:_SHOWN], Fault((), f"and {len(faults) - _SHOWN} more")]


def _flat(value: Any, path: tuple[str | int, ...] = ()) -> _Flat:
    """Tables, and arrays of tables, as one table from path to text."""
    if isinstance(value, dict) and value:
        pairs: list[tuple[str | int, Any]] = list(value.items())
    elif isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        pairs = list(enumerate(value))
    else:
        return {path: repr(value)}
    return {key: text for name, item in pairs for key, text in _flat(item, (*path, name)).items()}


def _short(flat: _Flat, key: tuple[str | int, ...]) -> str:
    text = flat.get(key, "none")
    return text if len(text) <= 60 else f"{text[:57]}..."
