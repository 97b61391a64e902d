"""The data sets of pairs as a recipe has them; how they are prepared is in tests/data/test_pairs_of_files.py."""

from __future__ import annotations

import numpy as np
import pytest

from artgen.data.images import write_png
from artgen.errors import RecipeError
from artgen.recipe import load_recipe
from artgen.run.build import prepare_data

PICTURES = np.random.default_rng(0).integers(0, 256, (2, 3, 16, 16, 3), dtype=np.uint8)
REST = """
[generator.dcgan]
[losses.non-saturating]
[trainer.adversarial]
[[phase]]
images = 8
batch = 4
"""


@pytest.fixture
def folder(tmp_path):
    for side, pictures in zip(("labels", "photos"), PICTURES, strict=True):
        (tmp_path / "data" / side).mkdir(parents=True)
        for index, picture in enumerate(pictures):
            write_png(tmp_path / "data" / side / f"{index}.png", picture)
    return tmp_path / "data"


def recipe(tmp_path, table, **more):
    (tmp_path / "recipe.toml").write_text(table + REST)
    return load_recipe(tmp_path / "recipe.toml", **more)


@pytest.mark.parametrize(
    "options",
    ["", 'source = "labels"\ntarget = "../data/photos"', 'target = "HERE/photos"'],
    ids=["names", "relative", "absolute"],
)
def test_folders_are_named_or_placed(tmp_path, folder, artgen_workshop, options):
    table = f'[data.pairs]\npath = "data"\nresolution = 16\n{options.replace("HERE", str(folder))}\n'
    dataset = prepare_data(recipe(tmp_path, table), artgen_workshop)
    assert np.array_equal(dataset.source, PICTURES[0])
    assert np.array_equal(dataset.real, PICTURES[1])


@pytest.mark.parametrize("name", ["pairs", "side-by-side"])
def test_data_sets_the_path(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    text = f'[data.{name}]\npath = "nowhere"\nlabels = true\n'
    options = recipe(tmp_path, text, data="elsewhere").data.options
    assert (options.path, options.labels) == (str(tmp_path / "elsewhere"), True)
    assert recipe(tmp_path, text.replace('path = "nowhere"\n', ""), data="elsewhere").data.options == options


def test_a_path_is_needed_and_a_direction_is_one_of_two(tmp_path):
    with pytest.raises(RecipeError, match="path"):
        recipe(tmp_path, "[data.pairs]\n")
    with pytest.raises(RecipeError, match="left-to-right"):
        recipe(tmp_path, '[data.side-by-side]\npath = "x"\ndirection = "BtoA"\n')


def test_camvid(shared_data, artgen_workshop, tmp_path):
    table = f'[data.pairs]\npath = "{shared_data}/camvid/val"\nlabels = true\nresolution = [64, 48]\n'
    dataset = prepare_data(recipe(tmp_path, table), artgen_workshop)
    assert len(dataset) == 101
    assert "skipped" not in dataset.notes
    assert len(np.unique(dataset.source.reshape(-1, 3), axis=0)) == 12  # its eleven classes, and those without one
