"""`artgen check --filled` and `--origin`: the complete recipe, and where each value came from."""

from __future__ import annotations

import json
import logging

import pytest
from click.testing import CliRunner
from pydantic import Field

import artgen
from artgen import Options, hookimpl
from artgen.cli.check import check
from artgen.recipe import DEVICES, load_recipe
from tests.conftest import bundled_runs, data_for

from .toys import RECIPE, component, toys


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run `artgen check` on `recipe.toml`, which extends `base.toml`, with the toys installed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("artgen.plugins.load_plugins", toys)
    (tmp_path / "base.toml").write_text(RECIPE)
    child = "extends = 'base.toml'\n[generator.conv]\nrate.a = 1\nrate.b = 2\n[on.cpu.run]\nprecision = 'bf16'\n"
    (tmp_path / "recipe.toml").write_text(child)

    def run(*arguments):
        result = CliRunner().invoke(check, ["recipe.toml", *arguments])
        assert result.exit_code == 0, result.output
        return result.stdout

    return run


MORE = ["--set", "generator.conv.note=two\nlines # \x1b", "--set", "generator.conv.rate.b=3", "--data", "pictures"]


def test_every_line_says_where_it_came_from(run, tmp_path):
    lines = [line for line in run("--origin", *MORE).splitlines() if line]
    assert all("  # " in line for line in lines)
    told = [tuple(part.strip() for part in line.rsplit("  # ", 1)) for line in lines]
    for expected in [
        ('title = "A toy"', "base.toml:2"),
        ("seed = 3", "base.toml:3"),
        ("[data.folder]", "--data pictures"),
        ("resolution = [32, 24]", "base.toml:6"),
        ("mirror = false", "--data pictures"),
        ('pattern = "*"', "default of 'folder' (in process)"),
        (f'path = "{tmp_path}/pictures"', "--data pictures"),
        ("[generator.conv]", "base.toml:8"),
        ("width = 8", "base.toml:9"),
        ("slope = 0.2", "default of 'conv' (in process)"),
        ("rate.a = 1.0", "recipe.toml:3"),
        ("rate.b = 3.0", "--set generator.conv.rate.b=3"),
        ("[critic.judge]", "partner of the generator 'conv' (in process)"),
        ("[losses.logistic]", "base.toml:11"),
        ("images = 1000", "base.toml:19"),
        ("images = 21", "steps x batch, base.toml:23"),
        ("resolution = [16, 12]", "base.toml:25"),
        ("resolution = [32, 24]", "the resolution of data.folder"),
        ("fade = 0.0", f"default (artgen {artgen.__version__})"),
        ('precision = "bf16"', "recipe.toml:6"),
    ]:
        assert expected in told
    assert any("--set generator.conv.note=two\\nlines # \\x1b" in origin for _, origin in told if "note" in origin)


@pytest.mark.parametrize("arguments", [[], MORE, ["--device", "cuda"]])
def test_what_is_printed_reads_back_as_the_same_recipe(run, tmp_path, arguments):
    for way in ("--filled", "--origin"):
        (tmp_path / "again.toml").write_text(run(way, *arguments))
        (tmp_path / "filled.toml").write_text(run("--filled", *arguments))
        again, filled = (load_recipe(tmp_path / name, plugins=toys()) for name in ("again.toml", "filled.toml"))
        assert again == filled
    device = arguments[1] if "--device" in arguments else "cpu"
    given = {"overrides": [MORE[1], MORE[3]], "data": "pictures"} if arguments == MORE else {}
    assert again == load_recipe("recipe.toml", device=device, plugins=toys(), **given)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", bundled_runs())
def test_of_every_bundled_recipe(name, device, tmp_path):
    data = [f"--data={data_for(name)}"] if data_for(name) else []
    result = CliRunner().invoke(check, [name, "--origin", "--device", device, *data])
    (tmp_path / "again.toml").write_text(result.stdout)
    again = load_recipe(tmp_path / "again.toml", device=device)
    assert again == load_recipe(name, device=device, data=data_for(name))


def test_as_json(run):
    told = json.loads(run("--json", "--origin", *MORE))
    assert {"key": ["generator", "conv", "width"], "value": 8, "origin": "base.toml:9"} in told
    assert {"key": ["phase", 1, "images"], "value": 21, "origin": "steps x batch, base.toml:23"} in told
    assert {"key": ["metrics", "swd"], "value": {}, "origin": "base.toml:28"} in told
    filled = json.loads(run("--json", "--filled"))
    assert filled["phase"][1]["images"] == 21
    assert json.loads(run("--json")) == []


class Old(Options):
    """Options of which some are on their way out."""

    width: int = 3
    size: int = Field(3, deprecated="use `width`")
    depth: int = Field(1, deprecated=True)


class Aging:
    """A plugin with such options."""

    @hookimpl
    def artgen_augmentations(self):
        return [component("augment", "aging", Old)]


def test_a_deprecated_option_is_warned_of_once_and_not_written_down(tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("artgen.plugins.load_plugins", lambda: toys(Aging()))
    (tmp_path / "recipe.toml").write_text(RECIPE + "[augment.aging]\nwidth = 4\nsize = 5\n")
    with caplog.at_level(logging.WARNING):
        filled = CliRunner().invoke(check, ["recipe.toml", "--filled", "--set", "augment.aging.depth=2"]).stdout
    assert sorted(caplog.messages) == [
        "--set:1: augment.aging.depth is deprecated: leave it out",
        "recipe.toml:31: augment.aging.size is deprecated: use `width`",
    ]
    assert "size = 5" in filled
    caplog.clear()
    (tmp_path / "recipe.toml").write_text(RECIPE + "[augment.aging]\nwidth = 4\n")
    plain = CliRunner().invoke(check, ["recipe.toml", "--filled"]).stdout
    assert "size" not in plain
    assert caplog.messages == []
