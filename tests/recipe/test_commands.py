"""`artgen check`, `artgen recipe`, `artgen plugins`."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from artgen import PluginError, RecipeError
from artgen.cli.check import check
from artgen.cli.plugins import plugins
from artgen.cli.recipe import recipe
from artgen.plugins import Plugins, load_plugins
from artgen.recipe import bundled_recipes, load_recipe

from .toys import RECIPE, toys


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run a command in an empty folder, with the toys installed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("artgen.plugins.load_plugins", toys)

    def run(command, *arguments):
        result = CliRunner().invoke(command, arguments)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


def test_check_says_that_there_is_no_fault(run, tmp_path):
    (tmp_path / "mine.toml").write_text(RECIPE)
    assert run(check, "mine.toml").stdout.splitlines() == [
        f"mine on {device}: no fault; 1,021 pictures in 2 phase(s)" for device in ("cpu", "cuda", "mps")
    ]
    assert run(check, "mine.toml", "--device", "cuda").stdout.count("no fault") == 1
    assert json.loads(run(check, "mine.toml", "--json").stdout) == []


def test_check_tells_the_faults_of_every_device_once(run, tmp_path):
    text = RECIPE.replace("seed", "sead") + "[on.cuda.run]\nprecision = 'fp8'\n[on.cpu.generator.conv]\nwidht = 1\n"
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(RecipeError) as caught:
        run(check, "mine.toml")
    keys = {fault.key for fault in caught.value.faults}
    assert keys == {("sead",), ("on", "cuda", "run", "precision"), ("on", "cpu", "generator", "conv", "widht")}
    assert len(caught.value.faults) == 3
    with pytest.raises(RecipeError) as caught:
        run(check, "mine.toml", "--device", "mps")
    assert [fault.key for fault in caught.value.faults] == [("sead",)]


def test_check_tells_faults_as_json(run, tmp_path):
    (tmp_path / "mine.toml").write_text(RECIPE)
    result = run(check, "mine.toml", "--json", "--set", "generator.conv.widht=3")
    assert result.exit_code == 2
    [fault] = json.loads(result.stdout)
    assert fault["key"] == ["generator", "conv", "widht"]
    assert (fault["file"], fault["source"], fault["line"]) == ("--set", "generator.conv.widht=3", 1)
    assert fault["source"][fault["column"] - 1 : fault["end_column"] - 1] == "widht"
    assert (fault["code"], fault["nearest"], fault["owner"]) == ("E-key", "width", "plugin 'Toys' (in process)")
    assert "unknown key" in fault["cause"]
    assert "'width'" in fault["remedy"]
    result = run(check, "nowhere.toml", "--json")
    assert result.exit_code == 2
    assert "no such file" in json.loads(result.stdout)[0]["cause"]


def test_check_prints_the_complete_recipe(run, tmp_path):
    (tmp_path / "mine.toml").write_text(RECIPE)
    result = run(check, "mine.toml", "--filled", "--data", "pictures", "--set", "run.precision=fp32")
    (tmp_path / "filled.toml").write_text(result.stdout)
    filled = load_recipe("filled.toml", plugins=toys())
    assert filled.data.options.path == str(tmp_path / "pictures")
    assert filled.run.precision == "fp32"
    assert filled.critic.label == "judge"


def test_recipes_are_listed_shown_and_copied(run, tmp_path):
    names = list(bundled_recipes())
    listed = run(recipe, "ls").stdout.splitlines()
    assert [line.split()[0] for line in listed] == names
    assert [entry["name"] for entry in json.loads(run(recipe, "ls", "--json").stdout)] == names
    text = bundled_recipes()[names[0]].read_text()
    assert run(recipe, "show", names[0]).stdout == text
    assert run(recipe, "copy", names[0]).stdout == f"{names[0]}.toml\n"
    assert (tmp_path / f"{names[0]}.toml").read_text() == text
    run(recipe, "copy", names[0], "mine.toml")
    (tmp_path / "folder").mkdir()
    run(recipe, "copy", names[0], "folder")
    assert (tmp_path / "folder" / f"{names[0]}.toml").read_text() == text


def test_a_copy_never_overwrites(run, tmp_path):
    name = next(iter(bundled_recipes()))
    (tmp_path / "mine.toml").write_text("precious")
    with pytest.raises(RecipeError, match="such a file already") as caught:
        run(recipe, "copy", name, "mine.toml")
    assert caught.value.exit_code == 2
    assert (tmp_path / "mine.toml").read_text() == "precious"


@pytest.mark.parametrize("command", ["show", "copy"])
def test_an_unknown_bundled_recipe(run, command):
    with pytest.raises(RecipeError, match="no bundled recipe 'rembrant'\n  Did you mean 'rembrandt'"):
        run(recipe, command, "rembrant")


def test_a_copy_to_nowhere(run):
    with pytest.raises(RecipeError, match="cannot be written"):
        run(recipe, "copy", next(iter(bundled_recipes())), "no/such/folder.toml")


class Broken:
    """A plugin without a hook."""


def test_plugins_are_listed_with_their_faults(run, monkeypatch):
    monkeypatch.setattr("artgen.plugins.load_plugins", lambda: toys(Broken()))
    text = run(plugins, "ls").stdout
    assert "Toys  in process  healthy" in text
    assert "generator  conv                  A toy" in text
    assert "Broken  in process  broken\n    it implements no hook" in text
    healthy, broken = json.loads(run(plugins, "ls", "--json").stdout)
    assert (healthy["plugin"], healthy["state"], healthy["cause"]) == ("Toys", "healthy", "")
    style = {"kind": "loss", "name": "style", "summary": "A toy", "factory": "no.module:Thing"}
    assert any(style.items() <= component.items() for component in healthy["components"])
    assert (broken["state"], broken["components"]) == ("broken", [])


def test_without_an_install_the_list_says_so(run, monkeypatch):
    monkeypatch.setattr("artgen.plugins.load_plugins", lambda: Plugins(points=()))
    with pytest.raises(PluginError, match="pip install -e"):
        run(plugins, "ls")


def test_the_bundled_plugins_are_healthy():
    bundled = [plugin for plugin in load_plugins().plugins if plugin.distribution == "artgen"]
    assert bundled
    assert not [f"{plugin}: {plugin.cause}" for plugin in bundled if plugin.state != "healthy"]
