"""Writes `docs/public-api.md` from `artgen.public`: `python docs/generate_public_api.py`."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from artgen import API_VERSION
from artgen.public import ONLY, PUBLIC

FILE = Path(__file__).with_name("public-api.md")

_INTRODUCTION = f"""# What is public

API version {API_VERSION}. Made by `python docs/generate_public_api.py` from `artgen/public.py`; do not edit it by hand.
What the promise is, and how a name leaves this list, is told in [stability](stability.md).
"""


def page() -> str:
    """The whole page."""
    lines = [_INTRODUCTION]
    for module, names in PUBLIC.items():
        there = importlib.import_module(module)
        lines += [f"## `{module}`\n", "```python"]
        lines += [line for name in names for line in _signatures(name, getattr(there, name))]
        lines += ["```\n"]
    return "\n".join(lines).rstrip() + "\n"


def _signatures(name: str, value: Any) -> Iterator[str]:
    """A function as it is called; a class with what it adds of its own: fields, then methods."""
    if inspect.isclass(value):
        yield f"class {name}({', '.join(base.__name__ for base in value.__bases__ if base is not object)})"
        for field, annotation in inspect.get_annotations(value).items():
            if not field.startswith("_"):
                yield f"    {field}: {_plain(annotation)}"
        for method, what in vars(value).items():
            if method not in ONLY.get(name, (method,)):
                continue
            promised = not method.startswith("_") or method == "__call__" or (method == "__init__" and _own(value))
            if isinstance(what, property) and promised:
                yield f"    {method} (property)"
            elif isinstance(what, classmethod | staticmethod) and promised:
                yield f"    {method}{_signature(what.__func__)}"
            elif inspect.isfunction(what) and promised:
                yield f"    {method}{_signature(what)}"
    elif inspect.isfunction(value):
        yield f"{name}{_signature(value)}"
    elif isinstance(value, int):
        yield f"{name} = {value}"
    else:
        yield name


def _own(value: Any) -> bool:
    """Whether the class writes its `__init__` itself: that of a dataclass is told by its fields."""
    return not hasattr(value, "__dataclass_fields__") and not getattr(value, "_is_protocol", False)


def _signature(function: Any) -> str:
    return re.sub(r"(: |-> )'([^']+)'", r"\1\2", str(inspect.signature(function)))


def _plain(annotation: Any) -> str:
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__forward_arg__", None)
    return text or getattr(annotation, "__name__", str(annotation))


if __name__ == "__main__":
    FILE.write_text(page(), encoding="utf-8")
