"""Values as TOML writes them on one line."""

from __future__ import annotations

import json
import re
from typing import Any

_BARE = re.compile(r"[\w-]+", re.ASCII)


def inline(value: Any) -> str:
    """A value of a recipe as TOML, on one line."""
    if isinstance(value, dict):
        pairs = (f"{name(key)} = {inline(one)}" for key, one in value.items())
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(inline, value))}]"
    if isinstance(value, float):
        return repr(value)
    # JSON is TOML for what is left, but for one character.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def name(key: str) -> str:
    """A name as a part of a TOML key."""
    return key if _BARE.fullmatch(key) else inline(key)


def dotted(key: tuple[str | int, ...]) -> str:
    """A path as TOML writes it."""
    return ".".join(name(str(part)) for part in key)
