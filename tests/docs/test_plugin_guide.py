"""The plugin guide is followed, from its first line to its last, by somebody with a fresh environment."""

from __future__ import annotations

import fnmatch
import os
import re
import shlex
from pathlib import Path

import pytest

from artgen.cli.main import artgen as command_line
from artgen.contract import HOOK_KINDS
from artgen.hookspecs import Events, Registration
from artgen.scaffold import KINDS, package_files
from tests.conftest import ROOT
from tests.docs.pages import DOCS, as_pattern, blocks, commands
from tests.fresh import TINY

GUIDE = DOCS / "plugin-guide.md"
TEXT = GUIDE.read_text()
CODE = [block for block in blocks(GUIDE, "python", "toml") if block.file]
QUOTED = [block for block in CODE if block.file.startswith("tests/families/")]
WRITTEN = package_files("weave", "generator")
OWN = [block for block in CODE if block not in QUOTED and block.file not in WRITTEN]


class Reader:
    """Types what the guide shows, in order, and compares what comes back."""

    def __init__(self, fresh) -> None:
        self.fresh, self.code = fresh, 0
        self.where = fresh.folder / "reader"
        self.where.mkdir()

    def read(self, block) -> None:
        """Type the commands of a block, or write its file down."""
        if block.language == "console":
            for command, shown in commands(block):
                self.type(block, command, shown)
        elif block in OWN:
            (self.where / block.file).write_text(block.text)

    def type(self, block, command, shown) -> None:
        """Run a command; where it shows no error it must succeed."""
        if command.startswith("cd "):
            self.where = self.where / command[3:]
            assert self.where.is_dir(), block
            return
        if command == "echo $?":
            assert shown == [str(self.code)], block
            return
        # The page's recipes, with pictures and steps so few that each takes seconds.
        done = self.fresh.run(re.sub(r"(artgen run \S+)", rf"\1 {shlex.join(TINY)}", command), self.where)
        self.code = done.returncode
        printed = "\n".join(line.strip() for line in done.stdout.splitlines())
        pattern = "*" + "\n".join(map(as_pattern, shown)).replace("*\n", "*") + "*"
        assert fnmatch.fnmatchcase(printed, pattern), f"{block}: $ {command}\n{done.stdout}\nis not\n" + "\n".join(
            shown
        )
        fails = any(line.startswith("error:") or "  broken" in line for line in shown)
        assert bool(self.code) == fails, f"{block}: $ {command} ended with {self.code}\n{done.stdout}"


def test_guide_works_from_first_line_to_last(fresh):
    reader = Reader(fresh)
    for block in blocks(GUIDE):
        reader.read(block)
    assert reader.where.name == "artgen-weave"
    for run in ("weave", "waves", "rung"):
        assert (reader.where / "runs" / run / "samples" / "final.png").is_file()
    # The scaffold wrote what the page shows, and trying things out has changed none of it.
    assert {path: (reader.where / path).read_text() for path in WRITTEN} == WRITTEN


def test_at_most_five_commands_lead_to_a_tested_plugin_that_trains():
    first = next(block for block in blocks(GUIDE) if block.language == "console")
    typed = [command for command, _ in commands(first)]
    assert len(typed) <= 5
    assert (typed[0], typed[-2], typed[-1]) == ("artgen plugins new weave", "python -m pytest", "artgen run weave.toml")


@pytest.mark.parametrize("block", [block for block in CODE if block.file in WRITTEN], ids=lambda block: block.file)
def test_shown_file_is_what_the_scaffold_writes(block):
    shown, written = block.text.partition("\n")[2], WRITTEN[block.file]
    assert shown in written if block.language == "toml" else shown == written


def test_the_tree_is_what_the_scaffold_writes():
    tree = next(block for block in blocks(GUIDE) if not block.language)
    listed = [word for line in tree.text.splitlines()[1:] for word in line.split() if re.search(r"\.\w+$|^\.", word)]
    assert sorted(listed) == sorted(WRITTEN)


@pytest.mark.parametrize("block", QUOTED, ids=lambda block: block.file)
def test_quotation_is_true(block):
    assert block.text.partition("\n")[2] in (ROOT / block.file).read_text()


def test_every_block_of_code_is_a_file_a_quotation_or_a_remedy():
    assert len(QUOTED) == 5
    nameless = [block for block in blocks(GUIDE, "python", "toml") if not block.file]
    assert [block.text for block in nameless] == ['[generator.weave]\nuse = "artgen-weave:weave"\n']


def test_smallest_plugin_is_small():
    waves = next(block for block in OWN if block.file == "waves.py")
    assert len(waves.text.splitlines()) <= 70
    assert 1 + len(waves.text[waves.text.index("@hookimpl") :].splitlines()) <= 10  # and the line of the API version


def test_every_kind_of_package_is_told():
    assert tuple(re.findall(r"^\| `([a-z]+)` \| (?!`)", TEXT, re.MULTILINE)) == KINDS


def test_every_variable_is_told_that_artgen_reads():
    read = set()
    for file in (ROOT / "artgen").rglob("*.py"):
        read |= set(re.findall(r"environ[\w.]*[\[(]\s*[\"'](ARTGEN_\w*PLUGINS)", file.read_text(encoding="utf-8")))
    assert read == set(re.findall(r"^\| `(ARTGEN_\w+)` \|", TEXT, re.MULTILINE))


def test_every_command_about_plugins_is_shown():
    group = command_line.get_command(None, "plugins")
    assert [name for name in group.commands if f"artgen plugins {name}" not in TEXT] == []


def test_every_event_is_told_with_its_arguments():
    for name, hook in vars(Events).items():
        if name.startswith("artgen_"):
            arguments = hook.__code__.co_varnames[1 : hook.__code__.co_argcount]
            assert f"| `{name}` | {', '.join(f'`{argument}`' for argument in arguments)} |" in TEXT


def test_every_registration_hook_is_told_with_its_kind():
    assert {name for name in vars(Registration) if name.startswith("artgen_")} == set(HOOK_KINDS)
    for name, kind in HOOK_KINDS.items():
        assert f"| `{name}` | `{kind}` |" in TEXT


def test_the_complete_packages_are_there():
    for link in re.findall(r"\((\.\./tests/third_party/[\w-]+)\)", TEXT):
        assert Path(os.path.normpath(DOCS / link) + "/pyproject.toml").is_file()
