"""What is promised to plugins: one list, told in one page, kept by the bundled plugins and by strangers alike."""

from __future__ import annotations

import ast
import importlib
import inspect
import runpy
from pathlib import Path

import pytest

import artgen
from artgen.public import ONLY, PUBLIC

ROOT = Path(__file__).resolve().parents[1]
NAMES = [(module, name) for module, names in PUBLIC.items() for name in names]
PLUGIN_FILES = sorted([*(ROOT / "plugins").rglob("*.py"), *(ROOT / "tests" / "third_party").rglob("*.py")])


@pytest.mark.parametrize(("module", "name"), NAMES, ids=lambda part: part)
def test_what_is_promised_is_there_and_documented(module, name):
    value = getattr(importlib.import_module(module), name)
    if inspect.isclass(value) or inspect.isfunction(value):
        assert value.__doc__, f"{module}.{name} has no docstring"


def test_classes_that_are_promised_in_part_have_these_parts():
    promised = {name: getattr(importlib.import_module(module), name) for module, name in NAMES if name in ONLY}
    assert promised.keys() == ONLY.keys()
    for name, methods in ONLY.items():
        assert all(method in vars(promised[name]) for method in methods)


def test_the_page_tells_what_the_code_says():
    script = runpy.run_path(str(ROOT / "docs" / "generate_public_api.py"))
    there = script["FILE"].read_text(encoding="utf-8")
    assert there == script["page"](), "what is public has changed: see docs/stability.md, then generate the page anew"


@pytest.mark.parametrize("file", PLUGIN_FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_plugins_use_nothing_else(file):
    used = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "artgen":
            used |= {(node.module, alias.name) for alias in node.names}
        elif isinstance(node, ast.Import):
            used |= {(alias.name, "") for alias in node.names if alias.name.startswith("artgen.")}
    private = {(module, name) for module, name in used if name not in PUBLIC.get(module, ())}
    assert not private, f"not in artgen.public: {sorted(private)}"


def test_every_public_name_of_the_front_door_is_listed():
    assert PUBLIC["artgen"] == tuple(artgen.__all__)
    assert sorted(artgen.__all__) == list(artgen.__all__)
