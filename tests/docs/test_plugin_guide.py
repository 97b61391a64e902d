"""The package of the plugin guide is written down as the guide tells, imported, tested and trained."""

from __future__ import annotations

import importlib
import re
import sys
import tomllib
from pathlib import Path

import pytest

from artgen.contract import HOOK_KINDS
from artgen.hookspecs import Events, Registration
from tests.conftest import ROOT
from tests.docs.pages import DOCS, Shell, blocks

GUIDE = DOCS / "plugin-guide.md"
CODE = blocks(GUIDE, "python", "toml")
QUOTED = [block for block in CODE if block.file.startswith("tests/families/")]
FILES = [block for block in CODE if block not in QUOTED]


@pytest.fixture
def package(tmp_path, monkeypatch):
    """The reader's folder, importable as it is after an install."""
    for block in FILES:
        file = tmp_path / block.file
        file.parent.mkdir(exist_ok=True)
        file.write_text(block.text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.syspath_prepend(tmp_path / "tests")
    yield tmp_path
    for module in [name for name in sys.modules if name.startswith(("artgen_patterns", "test_patterns"))]:
        del sys.modules[module]


def test_every_block_is_a_file_or_a_quotation():
    assert len(QUOTED) == 5
    tree = next(block for block in blocks(GUIDE) if not block.language)
    assert {block.file for block in FILES} == set(re.findall(r"^  (\S+)", tree.text, re.MULTILINE))


@pytest.mark.parametrize("block", QUOTED, ids=lambda block: block.file)
def test_quotation_is_true(block):
    assert block.text.partition("\n")[2] in (ROOT / block.file).read_text()


def test_entry_point_leads_to_a_light_hook_module(package):
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    assert project["entry-points"]["artgen"] == {"patterns": "artgen_patterns"}
    source = Path("artgen_patterns/__init__.py").read_text()
    assert not re.search(r"^(import|from) (torch|numpy|kornia|cv2)", source, re.MULTILINE)


def test_tests_of_the_package_pass(package):
    module = importlib.import_module("test_patterns")
    tests = [test for name, test in vars(module).items() if name.startswith("test_")]
    assert len(tests) == 3
    for test in tests:
        test()


@pytest.mark.usefixtures("one_thread")
def test_package_is_listed_and_trains(package, monkeypatch):
    plugin = importlib.import_module("artgen_patterns")
    shell = Shell(monkeypatch, plugin, tiny={"critic.dcgan.width": 4})
    shell.type_page(GUIDE)
    assert Path("runs/patterns/samples/final.png").is_file()


def test_resumed_run_of_the_package_ends_in_the_same_bytes(package, monkeypatch):
    shell = Shell(monkeypatch, importlib.import_module("artgen_patterns"), tiny={"critic.dcgan.width": 4})
    shell.type("artgen run patterns.toml --out straight", [])
    shell.type("artgen run patterns.toml --out stopped", ["^C"])
    shell.type("echo $?", ["130"])
    shell.type("artgen run patterns.toml --out stopped", [])
    for part in ("generator", "average", "critic", "trainer"):
        straight, stopped = (sorted(Path(run, "checkpoints").glob("images-*"))[-1] for run in ("straight", "stopped"))
        assert (straight / f"{part}.safetensors").read_bytes() == (stopped / f"{part}.safetensors").read_bytes()


def test_every_event_is_told_with_its_arguments():
    text = GUIDE.read_text()
    for name, hook in vars(Events).items():
        if name.startswith("artgen_"):
            arguments = hook.__code__.co_varnames[1 : hook.__code__.co_argcount]
            assert f"| `{name}` | {', '.join(f'`{argument}`' for argument in arguments)} |" in text


def test_every_registration_hook_is_told_with_its_kind():
    text = GUIDE.read_text()
    assert {name for name in vars(Registration) if name.startswith("artgen_")} == set(HOOK_KINDS)
    for name, kind in HOOK_KINDS.items():
        assert f"| `{name}` | `{kind}` |" in text
