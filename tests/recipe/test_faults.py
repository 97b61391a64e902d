"""Every fault is told at once, at its exact key and file, with a cause in plain words and the nearest name."""

from __future__ import annotations

from dataclasses import replace

import pytest

from artgen import Component, LossOptions, PluginError, RecipeError, hookimpl
from artgen.plugins import Plugins
from artgen.recipe import load_recipe

from .toys import RECIPE, toys


@pytest.fixture
def faults(tmp_path):
    """The faults of `recipe.toml`, with files told by their names."""

    def faults(recipe=RECIPE, plugins=None, **more):
        (tmp_path / "recipe.toml").write_text(recipe)
        with pytest.raises(RecipeError) as caught:
            load_recipe(tmp_path / "recipe.toml", plugins=plugins or toys(), **more)
        assert str(caught.value)
        return [replace(fault, file=fault.file.removeprefix(f"{tmp_path}/")) for fault in caught.value.faults]

    return faults


ONE_FAULT = {
    # what is replaced, by what, the key, words of the cause and of the remedy
    "misspelt option": ("width = 8", "widht = 8", "generator.conv.widht", "unknown key 'widht'", "'width'"),
    "quite unknown option": ("width = 8", "zzz = 8", "generator.conv.zzz", "unknown key 'zzz'", "Known here: 'width'"),
    "option of none": ("[metrics.swd]", "[metrics.swd]\nzzz = 8", "metrics.swd.zzz", "unknown key", ""),
    "text for a number": (
        "width = 8", "width = '8'", "generator.conv.width", 'expected an integer, found "8"', "Channels",
    ),
    "fraction": ("width = 8", "width = 8.5", "generator.conv.width", "expected an integer, found 8.5", ""),
    "true for a number": ("width = 8", "width = true", "generator.conv.width", "expected an integer, found true", ""),
    "number for text": ("width = 8", "note = 8", "generator.conv.note", "expected text in quotes, found 8", ""),
    "too large": ("width = 8", "width = 513", "generator.conv.width", "expected 512 or less, found 513", "Channels"),
    "too small": ("width = 8", "slope = 0", "generator.conv.slope", "expected more than 0, found 0", ""),
    "infinite": ("width = 8", "slope = inf", "generator.conv.slope", "a finite number", ""),
    "no number": ("width = 8", "slope = nan", "generator.conv.slope", "a finite number", ""),
    "wrong choice": (
        "width = 8", "activation = 'leeky'", "generator.conv.activation", "one of 'relu' or 'leaky'", "'leaky'",
    ),
    "wrong item": ("width = 8", "layers = [1, 'x']", "generator.conv.layers.1", 'an integer, found "x"', ""),
    "no array": ("width = 8", "layers = 1", "generator.conv.layers", "expected an array, found 1", ""),
    "wrong union": ("width = 8", "rate = 'x'", "generator.conv.rate", 'expected a number or a table, found "x"', ""),
    "wrong in union": ("width = 8", "rate = {a = 'x'}", "generator.conv.rate.a", "expected a number", ""),
    "unknown component": ("[generator.conv]", "[generator.conf]", "generator.conf", "the generator 'conf'", "'conv'"),
    "unknown loss": (
        "[losses.logistic]", "[losses.logistics]", "losses.logistics", "the loss 'logistics'", "'logistic'",
    ),
    "component of another kind": (
        "[metrics.swd]", "[metrics.filters]", "metrics.filters", "the metric 'filters'", "write [features.filters]",
    ),
    "unknown use": ("width = 8", "use = 'conf'", "generator.conv.use", "the generator 'conf'", "'conv'"),
    "use is no name": ("width = 8", "use = 3", "generator.conv.use", "expected the name of a generator, found 3", ""),
    "bad label": ("[metrics.swd]", "[metrics.'a/b']\nuse='swd'", "metrics.a/b", "label 'a/b'", ""),
    "two of one": ("[generator.conv]", "[generator.dense]\n[generator.conv]", "generator.conv", "'dense', 'conv'", ""),
    "misspelt table": ("[metrics.swd]", "[metric.swd]", "metric", "unknown key 'metric'", "'metrics'"),
    "misspelt key": ("title =", "tilte =", "tilte", "unknown key 'tilte'", "'title'"),
    "negative seed": ("seed = 3", "seed = -3", "seed", "expected 0 or more, found -3", "Start of every"),
    "huge seed": ("seed = 3", "seed = 99999999999999999999", "seed", "64 bits", ""),
    "title is no text": ("title = \"A toy\"", "title = 1979-05-27", "title", "a date or time is no value here", ""),
    "no such run key": ("[metrics.swd]", "[run]\npreview = 1", "run.preview", "unknown key", "'preview_images'"),
    "run is no table": ("title =", "run = 3\ntitle =", "run", "expected a table, found 3", ""),
    "no phase": (RECIPE[RECIPE.index("[[phase]]") :], "", "phase", "the recipe has no phase", "[[phase]]"),
    "phase with one bracket": (
        RECIPE[RECIPE.index("[[phase]]") :], "[phase]\nimages = 1", "phase", "expected [[phase]], found a table", "two",
    ),
    "phase without batch": ("batch = 10", "", "phase.0.batch", "the key 'batch' is required and missing", "Pictures"),
    "phase without end": ("images = 1_000", "", "phase.0", "by `images` or by `steps`", ""),
    "phase with two ends": ("images = 1_000", "images = 1\nsteps = 1", "phase.0", "(not both)", ""),
    "heading in a table": (
        "width = 8", "width = 8\nseed = 4", "generator.conv.seed", "unknown key 'seed'", "It belongs at the top"
    ),
    "phase too small": ("resolution = [16, 12]", "resolution = 2", "phase.1.resolution", "resolution 2 is outside", ""),
    "phase of three sides": ("[16, 12]", "[1, 2, 3]", "phase.1.resolution", "array of 2 or fewer", ""),
    "phase of one side": ("[16, 12]", "[64]", "phase.1.resolution.1", "the array has 1 item, 2 are needed", ""),
    "phase too long": ("steps = 7", "steps = 1000000000000", "phase.1.steps", "more than 10^12 pictures", ""),
    "fade over one": ("fade = 0.5", "fade = 1.5", "phase.1.fade", "expected 1 or less, found 1.5", ""),
    "data out of bounds": ("resolution = [32, 24]", "resolution = 2", "data.painted.resolution", "2 is outside", ""),
    "data without path": ("[data.painted]", "[data.folder]", "data.folder.path", "the key 'path' is required", ""),
    "no table": (
        "[metrics.swd]", "[metrics]\nswd = 1", "metrics.swd",
        "expected a table [metrics.swd], found 1", "Write [metrics.swd]",
    ),
    "name for a table": (
        "[generator.conv]\nwidth = 8", "", "generator", "the recipe names no generator", "there is 'canvas', 'conv'",
    ),
    "loss that does not fit": (
        "[losses.logistic]", "[losses.style]\n[losses.logistic]", "losses.style",
        "the loss 'style' needs 'features' for the generator, where the trainer 'game' gives 'fake', 'fake_logits'",
        "Losses that suit this trainer: 'logistic'",
    ),
    "loss without features": (
        "[trainer.game]", "[losses.style]\n[trainer.gallery]", "losses.style",
        "the loss 'style' compares pictures in a feature space, and there is none", "Add [features.NAME]; there is",
    ),
    "no loss for a side": ("[losses.logistic]\n", "", "trainer.game", "no loss judges the generator", "'logistic'"),
    "metric without features": (
        "[metrics.swd]", "[metrics.kid]", "metrics.kid", "measures in a feature space", "'filters'",
    ),
    "generator without critic": (
        "[generator.conv]\nwidth = 8", "[generator.canvas]", "trainer.game",
        "needs a critic, and 'canvas' brings none", "'judge'",
    ),
    "partner that is missing": (
        "[generator.conv]\nwidth = 8", "[generator.orphan]", "generator.orphan", "the critic 'nobody'", "'judge'",
    ),
    "device": ("[metrics.swd]", "[on.gpu.run]\nx = 1", "on.gpu", "a table for one of 'cpu', 'cuda', 'mps'", ""),
    "devices": ("title =", "on = 1\ntitle =", "on", "expected tables [on.cpu]", ""),
    "extends is no name": ("title =", "extends = 1\ntitle =", "extends", "expected a recipe or an array", ""),
    "extends nothing": ("title =", "extends = 'x.toml'\ntitle =", "extends", "there is no such file", "Bundled"),
    "extends itself": ("title =", "extends = 'recipe.toml'\ntitle =", "extends", "cannot extend itself", ""),
    "extends in a section": ("[metrics.swd]", "[on.cpu]\nextends = 'x'", "on.cpu.extends", "only at the top", ""),
    "fault in a section": (
        "[metrics.swd]", "[on.cpu.generator.conv]\nwidth = 0", "on.cpu.generator.conv.width", "1 or", "",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "key", "cause", "remedy"), ONE_FAULT.values(), ids=ONE_FAULT)
def test_one_fault(faults, old, new, key, cause, remedy):
    assert old in RECIPE
    [fault] = faults(RECIPE.replace(old, new, 1))
    assert ".".join(map(str, fault.key)) == key
    assert cause in fault.cause
    assert remedy in f"{fault.remedy} {fault.about}"
    assert fault.file == "recipe.toml"


def test_all_faults_at_once(faults):
    text = RECIPE.replace("width = 8", "widht = 8\nslope = -1").replace("[losses.logistic]", "[losses.logstic]")
    text = text.replace("batch = 10", "batch = 'x'").replace("seed = 3", "seed = 1979-05-27").replace("game", "gane")
    keys = {".".join(map(str, fault.key)) for fault in faults(text)}
    assert keys == {
        "seed",
        "generator.conv.widht",
        "generator.conv.slope",
        "losses.logstic",
        "trainer.gane",
        "phase.0.batch",
    }


def test_an_empty_recipe_is_told_what_it_lacks(faults):
    assert [fault.key for fault in faults("")] == [("data",), ("generator",), ("trainer",), ("phase",)]


def test_a_fault_in_a_parent_names_its_file(faults, tmp_path):
    (tmp_path / "base.toml").write_text(RECIPE.replace("width = 8", "widht = 8\nslope = 'x'"))
    found = faults("extends = 'base.toml'\nsead = 1\n[generator.conv]\nslope = 'y'\n")
    assert {(fault.file, fault.key) for fault in found} == {
        ("base.toml", ("generator", "conv", "widht")),
        ("recipe.toml", ("generator", "conv", "slope")),
        ("recipe.toml", ("sead",)),
    }


def test_broken_syntax_in_a_parent_names_its_file(faults, tmp_path):
    (tmp_path / "base.toml").write_text("[generator\n")
    fault = next(fault for fault in faults("extends = 'base.toml'\n") if fault.code == "E-syntax")
    assert (fault.file, fault.line) == ("base.toml", 1)
    assert "header of this table is not closed" in fault.cause
    assert fault.via == (str(tmp_path / "recipe.toml"),)


@pytest.mark.parametrize(
    ("argument", "key", "cause"),
    [
        ("seed", "", "there is no '='"),
        ("seed=x", "seed", 'expected an integer, found "x"'),
        ("generator.conv.widht=3", "generator.conv.widht", "unknown key 'widht'"),
        ("generator..width=3", "", "not a TOML key"),
        ("=3", "", "not a TOML key"),
        ("phase=[{images=1", "", "not a TOML value"),
        ("title='a", "", "not a TOML value"),
        ("title=\udc80", "title", "bytes that are no text"),
        ("a\nb=3", "", "not a TOML key"),
        ("title=" + "x" * 10_001, "", "too long"),
        ("a." * 100 + "b=1", "", "too long"),
        ("title=" + "[" * 9000, "", "not a TOML value"),
        ("on.cpu.run.precision=fp32", "on", "only at the top"),
        ("extends=x", "extends", "only at the top"),
        ("phase.0.images=3", "phase", "an array of 2, not one table"),
    ],
)
def test_a_fault_of_an_argument_points_at_it(faults, argument, key, cause):
    [fault] = faults(overrides=[argument])
    assert fault.file == "--set"
    assert fault.source == argument.split("\n")[0]
    assert ".".join(map(str, fault.key)) == key
    assert cause in fault.cause


def test_a_fault_of_data_points_at_it(faults):
    [fault] = faults(data="a\0b")
    assert (fault.file, fault.source, fault.key) == ("--data", "a\0b", ("data", "folder", "path"))


class Rival:
    """Claims a name of the toys."""

    @hookimpl
    def artgen_losses(self):
        needs = {"generator": ("fake_logits",), "critic": ("real_logits",)}
        names = ("logistic", "own")
        return [
            Component(kind="loss", name=name, summary="Mine", options=LossOptions, factory="a:b", needs=needs)
            for name in names
        ]


def test_a_clash_is_a_fault_of_plugins_and_only_where_the_name_is_used(faults, tmp_path):
    plugins = toys(Rival())
    [fault] = faults(plugins=plugins)
    assert "claimed by the plugins 'Toys'" in fault.cause
    assert "'Rival'" in fault.cause
    with pytest.raises(PluginError) as caught:
        load_recipe(tmp_path / "recipe.toml", plugins=plugins)
    assert caught.value.exit_code == 5
    (tmp_path / "recipe.toml").write_text(RECIPE.replace("[losses.logistic]", '[losses."Toys:logistic"]'))
    assert load_recipe(tmp_path / "recipe.toml", plugins=plugins).losses[0].component.summary == "A toy"
    (tmp_path / "recipe.toml").write_text(RECIPE.replace("[losses.logistic]", "[losses.own]"))
    assert load_recipe(tmp_path / "recipe.toml", plugins=plugins).losses[0].component.summary == "Mine"


def test_a_clash_beside_other_faults_is_a_fault_of_the_recipe(faults, tmp_path):
    plugins = toys(Rival())
    assert len(faults(RECIPE.replace("width", "widht"), plugins=plugins)) == 2
    with pytest.raises(RecipeError) as caught:
        load_recipe(tmp_path / "recipe.toml", plugins=plugins)
    assert caught.value.exit_code == 2


def test_options_that_raise_are_a_fault_of_their_plugin(faults, tmp_path):
    [fault] = faults(RECIPE.replace("[generator.conv]\nwidth = 8", "[generator.fussy]"))
    assert "toys.Fussy cannot read this table: KeyError('no excuse')" in fault.cause
    with pytest.raises(PluginError):
        load_recipe(tmp_path / "recipe.toml", plugins=toys())


def test_without_plugins_the_remedy_is_to_install(tmp_path):
    (tmp_path / "recipe.toml").write_text(RECIPE)
    with pytest.raises(PluginError, match="pip install -e"):
        load_recipe(tmp_path / "recipe.toml", plugins=Plugins(points=()))


@pytest.mark.parametrize("resolution", ["64", "[24, 32]", "[32, 16]"])
def test_a_phase_neither_enlarges_nor_distorts_the_pictures(faults, resolution):
    text = RECIPE.replace("[[phase]]", f"[[phase]]\nresolution = {resolution}", 1)
    (fault,) = faults(text)
    assert fault.key == ("phase", 0, "resolution")
    assert "no smaller copy" in fault.cause
