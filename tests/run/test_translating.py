"""What a generator of pictures from pictures is given: pairs of the data, or sources that the recipe derives."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stdout
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import interpolate

from artgen.cli.main import artgen as command_line
from artgen.data.dataset import Dataset, Workshop
from artgen.data.feed import Feed
from artgen.data.pixels import to_float
from artgen.errors import RecipeError
from artgen.recipe import load_recipe
from artgen.run.build import build, prepare_data
from artgen.run.evaluate import evaluate, pairs_for
from artgen.run.opening import open_run
from artgen.run.pictures import settle
from artgen.training import Generator, Size
from tests.families.drive import RECIPES, _quiet, families, train_family

pytestmark = pytest.mark.usefixtures("one_thread")
CPU = torch.device("cpu")
ATELIER = "[data.atelier]\ncount = 4\nresolution = 16\n"
NEGATIVES = "[data.negatives]\nresolution = 16\n"
TRANSLATOR = RECIPES["translator"].removeprefix(NEGATIVES)


@pytest.fixture
def built(tmp_path):
    """`built(text) -> job`."""

    def load(text):
        (tmp_path / "toy.toml").write_text(text)
        recipe = load_recipe(tmp_path / "toy.toml", plugins=families())
        return build(recipe, prepare_data(recipe, Workshop(tmp_path, _quiet, 1)), CPU, "fp32")

    return load


def test_pairs_and_derived_sources_at_once_are_refused(built):
    with pytest.raises(RecipeError, match=r"toy: source.mine: the pictures of data.negatives are pairs") as refused:
        built(NEGATIVES + '[source.mine]\nuse = "small"\n' + TRANSLATOR)
    assert refused.value.remedy == "Take [source.mine] out, or choose a data set that has no pairs."


def test_a_generator_that_takes_pictures_wants_pairs_or_a_source(built):
    with pytest.raises(RecipeError, match="no pairs") as refused:
        built(ATELIER + TRANSLATOR)
    assert "[source.NAME]" in refused.value.remedy
    assert built(ATELIER + "[source.small]\n" + TRANSLATOR).feed.paired
    assert built(NEGATIVES + TRANSLATOR).feed.paired


def test_options_of_the_data_reach_the_feed(built):
    text = ATELIER + "[source.small]\n" + TRANSLATOR
    plain, jittered = built(text).feed, built(text.replace("count", "jitter_px = 5\nmirror = true\ncount")).feed
    size = plain.dataset.real.shape[1:3]
    reals = [feed.batch(0, 4, SimpleNamespace(height=size[0], width=size[1])).real for feed in (plain, jittered)]
    assert not torch.equal(*reals)


def test_a_finished_run_derives_the_same_sources(tmp_path):
    train_family("derived", tmp_path / "run")
    run = open_run(tmp_path / "run", CPU, families(), Workshop(tmp_path / "cache", _quiet, 1))
    reals = to_float(run.feed.reals(5, run.size))
    small = interpolate(interpolate(reals, size=(4, 4), mode="area"), size=(16, 16), mode="bilinear")
    torch.testing.assert_close(run.sources.sources(5, run.size), small)
    with torch.no_grad():
        made = run.generator(small).clamp(-1, 1)
    torch.testing.assert_close(to_float(run.sample(5, seed=0)), made, rtol=0, atol=1.1 / 127.5)


def test_the_record_names_the_plugin_and_the_recipe_keeps_the_table(tmp_path):
    train_family("derived", tmp_path / "run", overrides=["source.small.factor=2"])
    plugins = json.loads((tmp_path / "run" / "run.json").read_text())["plugins"]
    assert plugins["sources"]["used"]
    assert not plugins["pairs"]["used"]
    again = load_recipe(tmp_path / "run" / "recipe.toml", plugins=families())
    assert (again.source.use, again.source.options.factor) == ("small", 2)
    other = load_recipe(tmp_path / "run" / "recipe.toml", plugins=families(), overrides=["source.small.factor=4"])
    assert other.fingerprint != again.fingerprint


def test_a_later_layer_replaces_the_source(tmp_path):
    (tmp_path / "base.toml").write_text(RECIPES["derived"])
    (tmp_path / "toy.toml").write_text('extends = "base.toml"\n[source.edges]\nblur_px = 2.0\n')
    recipe = load_recipe(tmp_path / "toy.toml", plugins=families())
    assert (recipe.source.label, recipe.source.options.blur_px) == ("edges", 2.0)
    (tmp_path / "toy.toml").write_text(RECIPES["derived"] + "\n[source.edges]\n")
    with pytest.raises(RecipeError, match="one source is chosen, found 'small', 'edges'"):
        load_recipe(tmp_path / "toy.toml", plugins=families())


HELD_OUT = ["metrics.paired={}", "metrics.nearest={}", "data.negatives.held_out=0.3", "run.evaluate_samples=16"]


def test_made_pictures_and_real_ones_are_compared_one_by_one(tmp_path):
    train_family("translator", tmp_path / "run", overrides=HELD_OUT)
    run = open_run(tmp_path / "run", CPU, families(), Workshop(tmp_path / "cache", _quiet, 1))
    layer = run.generator.convolution
    layer.weight.copy_(-torch.eye(3)[:, :, None, None])  # the pairs are negatives: this makes each picture to the bit
    layer.bias.zero_()
    fake = run.sample(16, seed=0)
    assert len(fake) == 7  # of 24 pictures
    pairs = pairs_for(run.recipe, run.generator, run.feed, len(fake), run.size)
    assert torch.equal(fake, pairs.real)
    assert torch.equal(fake, 255 - pairs.source)
    figures, _ = evaluate(run.recipe, fake, run.feed.all_real(run.size), None, pairs)
    assert figures["paired/l1"] == 0
    assert figures["paired/source_l1"] > 0.3
    assert figures["nearest/copied_share"] < 1  # what was made exactly is no training picture


def test_the_run_and_the_command_measure_the_same(tmp_path, monkeypatch):
    finished = train_family("translator", tmp_path / "run", overrides=HELD_OUT)
    names = {"l1", "psnr", "ssim", "source_l1", "source_psnr", "source_ssim"}
    assert {f"paired/{name}" for name in names} <= finished.figures.keys()
    assert (tmp_path / "run" / "samples" / "paired.png").is_file()
    monkeypatch.setattr("artgen.plugins.load_plugins", families)
    monkeypatch.setenv("ARTGEN_CACHE", str(tmp_path / "cache"))
    output = io.StringIO()
    with redirect_stdout(output):
        command_line(["evaluate", str(tmp_path / "run"), "--json", "--device", "cpu"], standalone_mode=False)
    told = json.loads(output.getvalue())
    for name in names:
        assert told[f"paired/{name}"] == pytest.approx(finished.figures[f"paired/{name}"])


def test_a_generator_that_takes_no_pictures_has_nothing_to_compare(tmp_path):
    with pytest.raises(RecipeError, match=r"metrics.paired: it compares each made picture"):
        train_family("penalty", tmp_path / "run", overrides=["metrics.paired={}"])


class Normalised(Generator):
    takes = "picture"

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(3)

    def forward(self, source):
        return self.norm(source)


def test_statistics_settle_on_sources_that_training_sees():
    size = Size(4, 4)
    numbered = np.arange(20, dtype=np.uint8)[:, None, None, None].repeat(4, 1).repeat(4, 2).repeat(3, 3)
    held_out = Feed(Dataset(numbered, "x"), 1, CPU, held_out=0.25).reals(20, size)[:, 0, 0, 0].tolist()
    sources = np.zeros_like(numbered)
    sources[held_out] = 255
    feed = Feed(Dataset(numbered, "x", sources), 1, CPU, held_out=0.25)
    assert (feed.sources(20, size) == 1).all()
    mean = settle(Normalised(), 1, CPU, "fp32", feed, size).norm.running_mean
    torch.testing.assert_close(mean, torch.full((3,), -1.0))
