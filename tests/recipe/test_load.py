"""Recipes become complete, typed values; layers lie over each other in the promised order."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import Field

from artgen import FilePath, Options, RecipeError, hookimpl
from artgen.recipe import DEVICES, bundled_recipes, load_recipe
from tests.conftest import bundled_runs, data_for

from .toys import RECIPE, component, toys


@pytest.fixture(scope="module")
def plugins():
    return toys()


@pytest.fixture
def load(tmp_path, plugins):
    """Write files and load the first, `recipe.toml`."""

    def load(recipe=RECIPE, device="cpu", overrides=(), data=None, **files):
        for name, text in files.items():
            (tmp_path / f"{name}.toml").write_text(text)
        (tmp_path / "recipe.toml").write_text(recipe)
        return load_recipe(tmp_path / "recipe.toml", device=device, overrides=overrides, data=data, plugins=plugins)

    return load


def test_a_recipe_is_complete(load, tmp_path):
    recipe = load()
    assert (recipe.name, recipe.file) == ("recipe", tmp_path / "recipe.toml")
    assert (recipe.title, recipe.seed, recipe.description) == ("A toy", 3, "")
    assert recipe.data.label == "painted"
    assert recipe.data.options.size == (24, 32)
    assert recipe.generator.options.width == 8
    assert recipe.generator.options.slope == 0.2
    assert recipe.critic.component.name == "judge"
    assert recipe.critic.options.width == 64
    assert recipe.augment is None
    assert recipe.features is None
    assert [loss.label for loss in recipe.losses] == ["logistic", "penalty"]
    assert recipe.losses[1].options.weight == 10.0
    assert [(phase.images, phase.size) for phase in recipe.phases] == [(1000, (24, 32)), (21, (12, 16))]
    assert recipe.run.preview_images == 20_000
    assert [metric.label for metric in recipe.metrics] == ["swd"]


def test_a_recipe_is_frozen(load):
    recipe = load()
    with pytest.raises(dataclasses.FrozenInstanceError):
        recipe.seed = 4
    with pytest.raises(ValueError, match="frozen"):
        recipe.generator.options.width = 9


MORE = """
description = '''Two lines,
"quoted" \\ and é'''
[critic.patch]
[augment.flip]
note = "kept"
start = "weights.bin"
rate = { a = 1, b = 2.5e-7 }
[features.filters]
[metrics.kid]
"""


def test_the_resolved_recipe_reads_back_equal(load, tmp_path, plugins):
    description, tables = MORE.split("[critic", 1)
    recipe = load(
        f"{description}{RECIPE}[critic{tables}"
        "[losses.mine]\nuse = 'Toys:logistic'\nweight = 0.1\n[on.cpu.run]\nprecision = 'bf16'\n"
    )
    (tmp_path / "run").mkdir()
    stored = tmp_path / "run" / "resolved.toml"
    stored.write_text(recipe.to_toml())
    for device in DEVICES:
        again = load_recipe(str(stored), device=device, plugins=plugins)
        assert again == recipe
        assert again.fingerprint == recipe.fingerprint
        assert again.to_toml() == recipe.to_toml()
    assert again.augment.options.start == str(tmp_path / "weights.bin")
    assert again.run.precision == "bf16"
    assert again.losses[2].label == "mine"


def test_the_fingerprint_follows_the_pixels(load):
    prints = {
        load().fingerprint,
        load(overrides=["seed=4"]).fingerprint,
        load(overrides=["generator.conv.slope=0.3"]).fingerprint,
        load(overrides=["losses.penalty.every=1"]).fingerprint,
    }
    assert len(prints) == 4
    assert load(overrides=["title=Other", "description=words"]).fingerprint in prints


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("note=plain words", "plain words"),
        ("note='8'", "8"),
        ("note=", ""),
        ("note=a=b", "a=b"),
        ("width=16", 16),
        ("slope=2", 2.0),
        ("layers=[4, 5]", (4, 5)),
        ("rate={a=1}", {"a": 1.0}),
        ("activation=leaky", "leaky"),
    ],
)
def test_set_takes_any_toml_value_and_bare_words(load, argument, value):
    field = argument.partition("=")[0]
    recipe = load(overrides=[f"generator.conv.{argument}"])
    assert getattr(recipe.generator.options, field) == value
    assert recipe.generator.options.width == (16 if field == "width" else 8)


def test_set_replaces_arrays_and_chosen_components(load):
    recipe = load(overrides=["phase=[{images=5,batch=5}]", "generator.dense.width=4", "generator.dense.slope=1"])
    assert [phase.images for phase in recipe.phases] == [5]
    assert recipe.generator.component.name == "dense"
    assert (recipe.generator.options.width, recipe.generator.options.slope) == (4, 1.0)


def test_precedence(load):
    base = RECIPE + "[run]\npreview_images = 1\ncheckpoint_images = 1\nevaluate_images = 1\nevaluate_samples = 2\n"
    child = (
        "extends = 'base.toml'\n[run]\ncheckpoint_images = 2\nevaluate_images = 2\nevaluate_samples = 3\n"
        "[on.cpu.run]\nevaluate_images = 3\nevaluate_samples = 4\n[on.cuda.run]\nevaluate_images = 99\n"
    )
    run = load(child, overrides=["run.evaluate_samples=5"], base=base).run
    assert (run.preview_images, run.checkpoint_images, run.evaluate_images, run.evaluate_samples) == (1, 2, 3, 5)
    assert run.precision == "auto"
    assert load(child, device="mps", base=base).run.evaluate_images == 2


def test_extends_merges_tables_and_replaces_arrays_and_chosen_components(load):
    child = """
        extends = ["base.toml", "more.toml"]
        [generator.dense]
        [losses.penalty]
        weight = 5
        [[phase]]
        images = 8
        batch = 4
    """
    recipe = load(child, base=RECIPE + "[on.cpu.generator.conv]\nwidth = 2\n", more="seed = 9\n[augment.flip]\n")
    assert recipe.seed == 9
    assert recipe.augment.label == "flip"
    assert recipe.generator.label == "dense"  # and what [on.cpu] said of the former generator is gone with it
    assert recipe.generator.options.width == 64
    assert (recipe.losses[1].options.weight, recipe.losses[1].options.every) == (5.0, 16)
    assert len(recipe.phases) == 1


def test_a_recipe_has_the_last_word_over_the_sections_of_what_it_extends(load):
    base = RECIPE + "[on.cpu.generator.conv]\nwidth = 2\nslope = 0.5\n"
    recipe = load("extends = 'base.toml'\n[generator.conv]\nwidth = 4\n", base=base)
    assert (recipe.generator.options.width, recipe.generator.options.slope) == (4, 0.5)


def test_a_recipe_that_two_parents_share_does_not_undo_the_first(load):
    recipe = load(
        "extends = ['first.toml', 'second.toml']",
        first="extends = 'base.toml'\n[generator.conv]\nwidth = 1",
        second="extends = 'base.toml'\nseed = 7",
        base=RECIPE.replace("width = 8", "slope = 0.1"),
    )
    assert (recipe.generator.options.width, recipe.generator.options.slope, recipe.seed) == (1, 0.1, 7)


def test_a_section_of_a_device_replaces_a_chosen_component(load):
    text = RECIPE + "[on.cuda.generator.dense]\nwidth = 2\n[[on.cuda.phase]]\nimages = 1\nbatch = 1\n"
    assert load(text).generator.label == "conv"
    cuda = load(text, device="cuda")
    assert (cuda.generator.label, cuda.generator.options.width, len(cuda.phases)) == ("dense", 2, 1)


def test_data_fills_the_path_or_puts_a_folder_in_its_place(load, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    swapped = load(
        RECIPE.replace("resolution = [32, 24]", "resolution = [32, 24]\nmirror = true"), data="pictures"
    ).data
    assert (swapped.label, swapped.options.path) == ("folder", str(tmp_path / "pictures"))
    assert (swapped.options.resolution, swapped.options.mirror) == ((32, 24), True)
    text = RECIPE.replace("[data.painted]", "[data.mine]\nuse = 'folder'\npattern = '*.png'\npath = 'old'")
    filled = load(text, data=str(tmp_path / "new")).data
    assert (filled.label, filled.use, filled.options.path) == ("mine", "folder", str(tmp_path / "new"))
    assert filled.options.pattern == "*.png"


@pytest.mark.parametrize("given", ["photo.jpg", "photos", "film.mp4", "runs/mine"])
def test_data_fills_the_content_of_what_is_repainted(load, monkeypatch, tmp_path, given):
    """Whatever it is, a picture, a folder, a film, a run: the data set that the recipe names reads it."""
    monkeypatch.chdir(tmp_path)
    text = RECIPE.replace("[data.painted]", "[data.contents]\ncontent = 'old'\nstyle = 'mine.png'")
    filled = load(text, data=given).data
    assert (filled.label, filled.options.content) == ("contents", str(tmp_path / given))
    assert (filled.options.style, filled.options.resolution) == (str(tmp_path / "mine.png"), (32, 24))
    named = load(text.replace("contents]", "mine]\nuse = 'contents'"), data=given).data
    assert (named.label, named.use, named.options.content) == ("mine", "contents", str(tmp_path / given))
    missing = load(text.replace("content = 'old'\n", ""), data=given).data  # it need not be there before
    assert missing.options.content == str(tmp_path / given)
    beside = load(text, overrides=["data.contents.resolution=[64, 48]"], data=given).data.options
    assert (beside.content, beside.resolution, beside.style) == (
        str(tmp_path / given), (64, 48), str(tmp_path / "mine.png"),
    )  # fmt: skip


def test_relative_paths_start_where_they_are_written(load, monkeypatch, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "deep").mkdir()
    base = RECIPE.replace("width = 8", "start = 'weights.bin'\nalso = ['a', '../b', '/c']")
    (tmp_path / "deep" / "base.toml").write_text(base)
    monkeypatch.chdir(tmp_path / "elsewhere")
    options = load("extends = 'deep/base.toml'").generator.options
    assert options.start == str(tmp_path / "deep" / "weights.bin")
    assert options.also == [str(tmp_path / "deep" / "a"), str(tmp_path / "b"), "/c"]
    options = load("extends = 'deep/base.toml'", overrides=["generator.conv.start=here.bin"]).generator.options
    assert options.start == str(tmp_path / "elsewhere" / "here.bin")
    options = load("extends = 'deep/base.toml'\n[generator.conv]\nstart = 'mine.bin'").generator.options
    assert options.start == str(tmp_path / "mine.bin")
    assert load(overrides=["generator.conv.start=~/x"]).generator.options.start == str(Path("~/x").expanduser())
    assert load().generator.options.start == ""


class Part(Options):
    path: FilePath
    share: float = 1.0


class Whole(Options):
    path: FilePath = ""
    parts: tuple[Part, ...] = ()
    by_name: dict[str, FilePath] = Field(default_factory=dict)
    inner: Part | None = None


class Nesting:
    @hookimpl
    def artgen_generators(self):
        return [component("generator", "nesting", Whole)]


@pytest.fixture
def nested(tmp_path, monkeypatch):
    """Load recipes that say these things of a generator: one in `deep/`, one over it, and the command line in `at/`."""

    def load(deep, over="", *overrides):
        for name in ("deep", "at"):
            (tmp_path / name).mkdir(exist_ok=True)
        monkeypatch.chdir(tmp_path / "at")
        text = RECIPE.replace("[generator.conv]\nwidth = 8", f"[generator.nesting]\n{deep}\n[critic.judge]")
        (tmp_path / "deep" / "base.toml").write_text(text)
        (tmp_path / "recipe.toml").write_text(f"extends = 'deep/base.toml'\n[generator.nesting]\n{over}")
        plugins = toys(Nesting())
        return load_recipe(tmp_path / "recipe.toml", device="cpu", overrides=overrides, plugins=plugins).generator

    return load


def test_relative_paths_in_tables_of_a_table_start_where_they_are_written(nested, tmp_path):
    deep = "path = 'a'\nparts = [{ path = 'b' }, { path = '~' }]\nby_name = { x = 'c' }\ninner = { path = 'd' }"
    options = nested(deep).options
    home = tmp_path / "deep"
    assert (options.path, options.inner.path) == (str(home / "a"), str(home / "d"))
    assert [part.path for part in options.parts] == [str(home / "b"), str(Path("~").expanduser())]
    assert options.by_name == {"x": str(home / "c")}
    options = nested(deep, "parts = [{ path = 'e' }]\n[generator.nesting.inner]\nshare = 0.5").options
    assert [part.path for part in options.parts] == [str(tmp_path / "e")]
    assert (options.inner.path, options.inner.share) == (str(home / "d"), 0.5)
    options = nested(deep, "path = 'f'", "generator.nesting.parts=[{path='g'}]").options
    assert (options.path, options.parts[0].path) == (str(tmp_path / "f"), str(tmp_path / "at" / "g"))


def test_a_path_whose_folder_cannot_be_told_is_refused(nested):
    with pytest.raises(RecipeError) as caught:
        nested("path = 'a'\ninner = { path = 'b' }", "parts = [{ path = 'a' }]")
    assert "stands in recipes of several folders" in str(caught.value)
    assert "Write the full path." in str(caught.value)


def test_faults_in_tables_of_a_table_are_told_with_their_place(nested):
    with pytest.raises(RecipeError) as caught:
        nested("parts = [{ path = 'b' }, { path = 'c', share = 'x' }]\ninner = { paht = 'd' }")
    share, path = caught.value.faults
    assert share.key == ("generator", "nesting", "parts", 1, "share")
    assert share.source[share.column - 1 : share.end_column - 1] == "'x'"
    assert path.key == ("generator", "nesting", "inner", "paht")
    assert "path" in path.remedy


def test_use_gives_labels_of_ones_own(load):
    recipe = load(
        RECIPE.replace("[generator.conv]", "[generator.mine]\nuse = 'conv'").replace("[losses.penalty]", "")
        + "[losses.gentle]\nuse = 'penalty'\nweight = 0.1\n[losses.strong]\nuse = 'penalty'\nweight = 7\n"
    )
    assert (recipe.generator.label, recipe.generator.component.name) == ("mine", "conv")
    assert [(loss.label, loss.options.weight) for loss in recipe.losses[1:]] == [("gentle", 0.1), ("strong", 7.0)]


def test_a_named_critic_takes_the_place_of_the_partner(load):
    recipe = load(RECIPE + "[critic.patch]\nwidth = 3")
    assert (recipe.critic.label, recipe.critic.options.width) == ("patch", 3)


def test_a_generator_without_partner_needs_no_critic_where_none_is_trained(load):
    text = RECIPE.replace("[generator.conv]\nwidth = 8", "[generator.canvas]").replace("game", "alone")
    recipe = load(text.replace("[losses.logistic]\n[losses.penalty]\nweight = 10\nevery = 16", ""))
    assert recipe.critic is None
    assert recipe.losses == ()


@pytest.mark.parametrize("name", bundled_runs())
@pytest.mark.parametrize("device", DEVICES)
def test_every_bundled_recipe_is_without_fault(name, device, tmp_path):
    recipe = load_recipe(name, device=device, data=data_for(name))
    assert recipe.name == name
    assert recipe.title
    (tmp_path / "again.toml").write_text(recipe.to_toml())
    assert load_recipe(tmp_path / "again.toml") == recipe


def test_a_recipe_may_extend_a_bundled_one(tmp_path):
    name = next(iter(bundled_recipes()))
    (tmp_path / "mine.toml").write_text(f"extends = '{name}'\nseed = 12345\n")
    recipe = load_recipe(tmp_path / "mine.toml")
    assert (recipe.seed, recipe.title) == (12345, load_recipe(name).title)


def test_an_unknown_name_gives_the_nearest():
    with pytest.raises(RecipeError, match="Did you mean 'rembrandt'"):
        load_recipe("rembrant")


def test_checking_loads_no_heavy_package():
    code = (
        "import sys\nfrom artgen.recipe import bundled_recipes, load_recipe\n"
        "for name in {*bundled_recipes()} - {'films'}:\n"
        "    load_recipe(name, data='run' if name == 'stylised-walk' else None)\n"
        "sys.exit(', '.join({'torch', 'numpy', 'cv2', 'kornia', 'tomli_w'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_extends_knows_the_home_folder(load, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "base.toml").write_text(RECIPE)
    assert load("extends = '~/base.toml'\nseed = 9\n").seed == 9


@pytest.mark.parametrize("name", ["folder", "painted"])
def test_a_size_beside_data_leaves_the_rest_as_it_was(tmp_path, name):
    """`--set data.folder.resolution` says something of the folder that `--data` puts in, not that all else is gone."""
    recipe = RECIPE.replace("resolution = [32, 24]", "resolution = [32, 24]\nmirror = true\njitter_px = 3")
    (tmp_path / "recipe.toml").write_text(recipe.replace("resolution = [16, 12]", "resolution = [8, 8]"))
    overrides = [f"data.{name}.resolution=[16, 16]"]
    loaded = load_recipe(tmp_path / "recipe.toml", overrides=overrides, data="pictures", plugins=toys())
    options = loaded.data.options
    assert (loaded.data.label, options.resolution, options.mirror, options.jitter_px) == ("folder", (16, 16), True, 3)
