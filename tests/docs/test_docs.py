from __future__ import annotations

import importlib.util
import re
import shlex
import signal
import tomllib
from pathlib import Path

import click
import numpy as np
import pytest

import artgen.errors
from artgen.cli.main import artgen as command_line
from artgen.contract import EVENTS, HOOK_KINDS
from artgen.data.images import write_png
from artgen.recipe import DEVICES, load_recipe
from tests.conftest import ROOT
from tests.docs.pages import DOCS, PAGES, Shell, blocks, commands, prose

BASE = """
[data.atelier]
[generator.dcgan]
[critic.dcgan]
[losses.non-saturating]
[trainer.adversarial]
[[phase]]
images = 64
batch = 8
"""
GUIDE = DOCS / "plugin-guide.md"  # its files have a test of their own
WRONG = "wrong.toml"  # shown for its faults, which the command below it tells
SNIPPETS = [block for page in PAGES if page != GUIDE for block in blocks(page, "toml") if block.file != WRONG]
REMEDIES = [block for block in blocks(DOCS / "methods" / "adversarial-game.md", "toml") if block.text.count("\n") == 1]


def by_name(path):
    return str(path.relative_to(ROOT))


@pytest.fixture
def shell(tmp_path, monkeypatch):
    """A reader's folder, with 24 pictures in `pictures/`."""
    monkeypatch.chdir(tmp_path)
    Path("pictures").mkdir()
    draw = np.random.default_rng(0)
    for index in range(24):
        write_png(Path("pictures", f"{index:02}.png"), draw.integers(0, 256, (40, 36, 3), dtype=np.uint8))
    return Shell(monkeypatch)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("page", [DOCS / "tutorial.md", DOCS / "recipes.md", DOCS / "commands.md"], ids=by_name)
def test_commands_do_what_the_page_shows(page, shell):
    shell.type_page(page)


def test_no_page_shows_commands_that_are_not_run():
    shown = {page.name for page in PAGES if blocks(page, "console")}
    assert shown == {"tutorial.md", "recipes.md", "commands.md", "plugin-guide.md"}


@pytest.mark.parametrize("block", SNIPPETS, ids=str)
def test_recipe_loads(block, tmp_path):
    (tmp_path / "base.toml").write_text(BASE)
    tables = tomllib.loads(block.text).keys()
    whole = "extends" in tables or tables >= {"data", "generator", "losses", "trainer", "phase"}
    text = block.text if whole else f'extends = "base.toml"\n{block.text}'
    file = tmp_path / (block.file or "snippet.toml")
    file.write_text(text)
    for device in DEVICES:
        load_recipe(file, device=device)


@pytest.mark.parametrize("block", REMEDIES, ids=str)
@pytest.mark.parametrize("recipe", ["digits", "rembrandt"])
def test_remedy_is_one_line_that_arrives(block, recipe):
    line = block.text.strip()
    loaded = load_recipe(recipe, overrides=[line])
    wanted, tables = tomllib.loads(line), tomllib.loads(loaded.to_toml())
    assert holds(tables, wanted), f"{wanted} is not in {tables}"


def holds(tables, wanted):
    if isinstance(wanted, dict):
        return isinstance(tables, dict) and all(key in tables and holds(tables[key], wanted[key]) for key in wanted)
    return tables == wanted


def test_there_are_remedies():
    assert len(REMEDIES) >= 20


@pytest.mark.parametrize("page", PAGES, ids=by_name)
def test_artgen_commands_parse(page, monkeypatch):
    monkeypatch.setattr("artgen.plugins.use_files", lambda files: None)
    shown = [command for block in blocks(page, "console") for command, _ in commands(block)]
    shown += [line for block in blocks(page, "sh") for line in block.text.splitlines()]
    for text in (*re.findall(r"`(artgen [^`]+)`", prose(page)), *shown):
        # The page's own files are not here, and `--plugin` takes none that is not there.
        words = shlex.split(re.sub(r"--plugin \S+", f"--plugin {shlex.quote(__file__)}", text), comments=True)
        if "artgen" in words:
            parse(words[words.index("artgen") + 1 :], text)


def parse(words, text):
    """Read a command as click would; a subcommand named without its argument is fine."""
    command, context = command_line, click.Context(command_line)
    words = [word for word in words if word not in ("-h", "--help", "--debug", "--version")]
    while words and isinstance(command, click.Group):
        command = command.get_command(context, words.pop(0))
        assert command is not None, f"no such command: {text}"
        context = click.Context(command)
    if words:
        command.make_context(text, words)


@pytest.mark.parametrize("page", PAGES, ids=by_name)
def test_links_resolve(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{target} leads nowhere"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", file.read_text(), re.MULTILINE)
            slugs = [re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings]
            assert anchor in slugs, f"{target}: no such heading"


def test_every_page_is_on_the_map():
    targets = re.findall(r"\]\(([^)]+)\)", prose(DOCS / "index.md"))
    linked = {(DOCS / target.partition("#")[0]).resolve() for target in targets}
    assert {page for page in PAGES if page.name != "index.md"} == linked


def test_every_hook_is_in_the_guide():
    text = GUIDE.read_text()
    assert [hook for hook in (*HOOK_KINDS, *EVENTS) if f"`{hook}" not in text] == []


def leaves(command, path, context):
    """Every command with the words that call it, groups too."""
    yield path, command
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            yield from leaves(command.get_command(context, name), f"{path} {name}", context)


@pytest.mark.parametrize(
    ("path", "command"), list(leaves(command_line, "artgen", click.Context(command_line))), ids=lambda value: str(value)
)
def test_every_command_is_told_with_its_options(path, command):
    sections = re.split(r"^#+ (.+)\n", (DOCS / "commands.md").read_text(), flags=re.MULTILINE)
    told = dict(zip(sections[1::2], sections[2::2], strict=True))[path]
    options = {
        name
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for name in (*parameter.opts, *parameter.secondary_opts)
    }
    rows = [line.split("|")[1] for line in told.splitlines() if line.startswith("| `-")]
    assert {name for row in rows for name in re.findall(r"`(--[\w-]+)", row)} == options


def test_every_exit_code_is_told():
    errors = [
        error for error in vars(artgen.errors).values() if isinstance(error, type) and issubclass(error, Exception)
    ]
    codes = {0} | {error.exit_code for error in errors} | {128 + signal.SIGINT, 128 + signal.SIGTERM}
    told = re.findall(r"^\| (\d+) \|", (DOCS / "recipes.md").read_text(), re.MULTILINE)
    assert sorted(map(int, told)) == sorted(codes)


def test_reference_is_what_its_script_makes():
    spec = importlib.util.spec_from_file_location("generate_reference", DOCS / "generate_reference.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert script.reference() == script.FILE.read_text(), "run: python docs/generate_reference.py"
