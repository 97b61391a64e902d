"""`artgen plugins`, and `--plugin FILE.py` wherever plugins are used."""

from __future__ import annotations

import json
import re

import pytest

from artgen.cli import main
from artgen.plugins import load_plugins, use_files
from tests.cli.conftest import TINY, refused

WEAVE = '''
"""A plugin in one file."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import nn

from artgen import Component, Options, hookimpl
from artgen.training import Generator, LatentSpace

ARTGEN_API = 1


class WeaveOptions(Options):
    """Few."""

    threads: int = Field(3, ge=1, le=64)
    """How many threads."""


class Weaver(Generator):
    latent = LatentSpace((4,))

    def __init__(self, options, size):
        super().__init__()
        self.size, self.layer = size, nn.Linear(4, 3 * size.height * size.width)

    def forward(self, z):
        return torch.tanh(self.layer(z)).view(len(z), 3, *self.size)


@hookimpl
def artgen_generators() -> list[Component]:
    return [
        Component(
            kind="generator",
            name="threads",
            summary="Threads",
            options=WeaveOptions,
            factory="weave:Weaver",
            partner="dense",
        )
    ]


@hookimpl(optional=True)
def artgen_saved(images: int) -> None:
    """Nothing."""
'''
RECIPE = TINY.replace("[generator.dense]\nlatent = 4\nhidden = [8]", "[generator.threads]")


@pytest.fixture
def weave(here):
    """A plugin file and a recipe that needs it."""
    (here / "weave.py").write_text(WEAVE)
    (here / "weave.toml").write_text(RECIPE)
    load_plugins.cache_clear()
    yield str(here / "weave.py")
    use_files(())
    load_plugins.cache_clear()


def test_a_recipe_runs_with_a_plugin_file(artgen, weave):
    refused(artgen("check", "weave.toml"), 2, "plugin provides the generator 'threads'")
    given = ("--plugin", "weave.py")
    done = artgen("check", "weave.toml", *given)
    assert (done.code, done.err) == (0, "")
    done = artgen("run", "weave.toml", "--device", "cpu", *given)
    assert done.code == 0, done.err
    for command in (
        ("sample", "runs/weave", "--count", "1"),
        ("evaluate", "runs/weave"),
        ("export", "runs/weave", "--no-onnx"),
    ):
        done = artgen(*command, *given)
        assert done.code == 0, done.err
        assert artgen(*command).code in (2, 5)


def test_a_plugin_file_can_be_named_by_a_variable(artgen, weave, monkeypatch):
    monkeypatch.setenv("ARTGEN_PLUGINS", weave)
    assert artgen("check", "weave.toml").code == 0


def test_a_missing_plugin_file_is_a_usage_error_or_a_broken_plugin(artgen, here, monkeypatch):
    refusal = artgen("plugins", "ls", "--plugin", "gone.py")
    assert refusal.code == 2
    assert "'--plugin'" in refusal.err
    assert "'gone.py'" in refusal.err
    monkeypatch.setenv("ARTGEN_PLUGINS", "gone.py")
    load_plugins.cache_clear()
    try:
        done = artgen("plugins", "ls", "--json")
    finally:
        monkeypatch.undo()
        load_plugins.cache_clear()
    [gone] = [plugin for plugin in json.loads(done.out) if plugin["plugin"] == "gone"]
    assert (gone["state"], gone["cause"], gone["origin"]) == ("broken", "there is no such file", "ARTGEN_PLUGINS")


def test_ls_tells_where_a_file_comes_from(artgen, weave):
    lines = artgen("plugins", "ls", "--plugin", "weave.py").out.splitlines()
    at = lines.index(f"weave  --plugin {weave}  healthy")
    assert lines[at + 1].split() == ["warning:", "its", "import", "loads", "torch"][:5] or "threads" in lines[at + 1]
    assert "    listens to artgen_saved" in lines


def test_show_tells_every_option(artgen, weave):
    for name in (("weave",), ("threads",), ("generator", "threads"), ("weave:threads",)):
        out = artgen("plugins", "show", *name, "--plugin", "weave.py").out
        for words in (
            "    origin     --plugin\n",
            "    listens    artgen_saved (optional)\n",
            "  generator 'threads': Threads\n",
            "    factory    weave:Weaver\n",
            "    partner    dense\n",
            "    threads = 3    int, >= 1, <= 64\n        How many threads.\n",
        ):
            assert words in out, out


def test_show_of_a_component_leaves_the_others_out(artgen, here):
    whole = artgen("plugins", "show", "dcgan").out
    assert "generator 'dcgan'" in whole
    assert "critic 'dcgan'" in whole
    part = artgen("plugins", "show", "critic dcgan").out
    assert "generator 'dcgan'" not in part
    assert "critic 'dcgan'" in part
    assert "loss 'hinge'" in artgen("plugins", "show", "artgen:hinge").out


def test_show_as_json_holds_options_with_bounds(artgen, weave):
    [plugin] = json.loads(artgen("plugins", "show", "weave", "--json", "--plugin", weave).out)
    assert plugin["listens"] == {"artgen_saved": "optional"}
    assert (plugin["api"], plugin["origin"], plugin["distribution"], plugin["file"]) == (1, "--plugin", "(file)", weave)
    assert plugin["import_seconds"] > 0
    [component] = plugin["components"]
    assert component["options"] == [
        {
            "name": "threads",
            "type": "int",
            "required": False,
            "default": 3,
            "bounds": {"ge": 1, "le": 64},
            "help": "How many threads.",
        }
    ]


def test_every_bundled_option_has_help_and_a_plain_type(artgen, here):
    for plugin in json.loads(artgen("plugins", "ls", "--json").out):
        for component in plugin["components"]:
            for option in component["options"]:
                assert option["help"], (component["name"], option)
                assert not any(word in option["type"] for word in ("Annotated", "typing", "<", "FieldInfo")), option
                assert option["required"] == (option["default"] is None) or option["default"] is None


def test_an_unknown_name_is_told_with_the_nearest(artgen, here):
    refused(artgen("plugins", "show", "dcgn"), 2, "no plugin, distribution or component 'dcgn'", "Did you mean 'dcgan'")
    refused(artgen("plugins", "show", "generator", "dcgn"), 2, "Did you mean 'generator dcgan'")
    refused(artgen("plugins", "show", "zzzzzz"), 2, "`artgen plugins ls`")


def test_every_command_that_uses_plugins_takes_files():
    context = main.click.Context(main.artgen)
    for path in (
        "run",
        "check",
        "sample",
        "evaluate",
        "export",
        "plugins ls",
        "plugins show",
        "plugins check",
        "recipe schema",
    ):
        command = main.artgen
        for name in path.split():
            command = command.get_command(context, name)
        assert any(option.name == "plugin" for option in command.params), path


def test_the_check_of_one_leaves_the_others_alone(artgen, here):
    done = artgen("plugins", "check", "dcgan", "dense")
    assert done.code == 0
    assert re.fullmatch(r"(dcgan|dense)  artgen \S+  healthy  [\d.]+ ms\n" * 2, done.out)
    (here / "meddler.py").write_text("import torch\ntorch.set_num_threads(7)\n" + REQUIRED.format(event="saved"))
    try:
        done = artgen("plugins", "check", "meddler", "--plugin", "meddler.py")
    finally:
        use_files(())
    assert done.code == 5
    assert f"meddler  --plugin {here / 'meddler.py'}  faulty" in done.out
    assert "    its import changed torch's thread count (1 -> 7); that is undone\n" in done.out
    assert "    its import loads torch" in done.out  # though this process had it already
    assert "1 of 1 plugin(s) should be mended: 'meddler'" in done.err
    refused(artgen("plugins", "check", "dnese"), 2, "Did you mean 'dense'")


def test_a_fault_in_a_plugins_own_code_is_the_plugins(artgen, here, weave):
    code = (
        WEAVE.replace("weave:Weaver", "weave:make") + "\n\ndef make(options, size):\n    return Weaver(options, size)\n"
    )
    (here / "weave.py").write_text(code.replace("return torch.tanh", "return len(None), torch.tanh"))
    done = artgen("run", "weave.toml", "--device", "cpu", "--dry-run", "--plugin", "weave.py")
    refused(done, 5, "plugin 'weave' (file): TypeError", f"({here / 'weave.py'}, line 31)")


REQUIRED = """
from artgen import hookimpl

@hookimpl
def artgen_{event}():
    raise ValueError("no room")
"""


def test_a_required_hook_that_fails_ends_the_command_with_its_code(artgen, here):
    (here / "keeper.py").write_text(REQUIRED.format(event="saved"))
    try:
        done = artgen("run", "tiny.toml", "--device", "cpu", "--plugin", "keeper.py")
        refused(
            done,
            5,
            f"plugin 'keeper' (file), {here / 'keeper.py'}: artgen_saved failed: ValueError: no room",
            "line 6)",
        )
        assert any((here / "runs" / "tiny" / "checkpoints").iterdir())
        (here / "keeper.py").write_text(REQUIRED.format(event="run_ended"))
        use_files(())
        done = artgen("run", "tiny.toml", "--device", "cpu", "--plugin", "keeper.py")
        assert done.code == 5
        assert "artgen_run_ended failed" in done.err
        assert "report.html" in done.out  # the run came to its end
    finally:
        use_files(())
