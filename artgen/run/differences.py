"""What differs between two recipes, or between two descriptions of a run, in a few lines."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from artgen.errors import Fault

_SHOWN = 12
NOT_THERE = "not there"
_NO_MATTER = {"command", "recipe_given", "recipe", "seed", "pieces", "plugins"}
"""Keys of a description that say nothing of a run's bits, or are compared by themselves."""
_SAME = ("distribution", "version", "code", "sha256")
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


class Change(NamedTuple):
    """One thing that was otherwise when the run began."""

    what: str
    then: str
    now: str

    def __str__(self) -> str:
        return f"{self.what} was {self.then} and is now {self.now}"


def changes(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[Change]:
    """What a description says otherwise than an earlier one, where that may change the bits of a run.

    Plugins that the run did not use do not matter, nor does what an old run folder did not write down.
    """
    found = [
        Change(key.replace("_", " "), str(then[key]), str(value))
        for key, value in now.items()
        if key in then and then[key] != value and key not in _NO_MATTER
    ]
    return found + plugin_changes(then.get("plugins"), now.get("plugins"))


def plugin_changes(then: Any, now: Any) -> list[Change]:
    """The plugins, as two descriptions list them, that a run used and that are others now, or not there."""
    found = []
    for name, before in _entries(then):
        after = dict(_entries(now)).get(name)
        if before.get("used", True) and (
            after is None or any(before[key] != after.get(key) for key in _SAME if key in before)
        ):
            found.append(Change(f"plugin '{name}'", edition(before), NOT_THERE if after is None else edition(after)))
    return found


def edition(entry: Mapping[str, Any]) -> str:
    """Which plugin an entry of `plugins` means, for messages."""
    if entry.get("sha256"):
        return f"{entry['path']} (SHA-256 {entry['sha256'][:16]}...)"
    code = f"(code {str(entry['code'])[:8]}...)" if entry.get("code") else ""
    told = [*(str(entry[key]) for key in ("distribution", "version") if entry.get(key)), *([code] if code else [])]
    return " ".join(told) or "without a version"


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


def _entries(plugins: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and flat entry of each plugin of a description; run folders of the first days say only {name: version}."""
    for name, entry in plugins.items() if isinstance(plugins, dict) else ():
        if isinstance(entry, dict):
            file = entry.get("file")
            yield (
                name,
                {key: entry.get(key) for key in ("distribution", "version", "code", "used") if key in entry}
                | ({key: str(file.get(key)) for key in ("path", "sha256")} if isinstance(file, dict) else {}),
            )
        else:
            yield name, {"version": entry}
