"""Pairs as a recipe has them, and their metric; how files become pairs is in tests/data/test_pairs_of_files.py."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from artgen.data.images import write_png
from artgen.errors import DataError, RecipeError
from artgen.recipe import load_recipe
from artgen.run.build import prepare_data
from artgen_pairs import PairedOptions
from artgen_pairs.paired import PICTURES as AT_ONCE
from artgen_pairs.paired import Paired, likeness

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


# The metric


def smooth(count=5, height=24, width=20, seed=0):
    coarse = np.random.default_rng(seed).integers(0, 256, (count, 4, 4, 3), dtype=np.uint8)
    return np.stack([cv2.resize(one, (width, height), interpolation=cv2.INTER_CUBIC) for one in coarse])


def tensor(pictures):
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).contiguous()


def structural_similarity(x, y):
    """Equation 13 of Wang et al. 2004 with its Gaussian of 11 px, where it fits, by OpenCV in float64."""

    def mean(values):
        return cv2.GaussianBlur(values, (11, 11), 1.5)[5:-5, 5:-5]

    x, y = x / 255.0, y / 255.0
    mu_x, mu_y = mean(x), mean(y)
    var_x, var_y, covariance = mean(x * x) - mu_x**2, mean(y * y) - mu_y**2, mean(x * y) - mu_x * mu_y
    c1, c2 = 0.01**2, 0.03**2
    ratio = (2 * mu_x * mu_y + c1) * (2 * covariance + c2) / ((mu_x**2 + mu_y**2 + c1) * (var_x + var_y + c2))
    return ratio.mean()


def test_likeness_is_what_others_measure():
    x = smooth()
    y = np.clip(x + np.random.default_rng(1).normal(0, 20, x.shape), 0, 255).round().astype(np.uint8)
    found = likeness(tensor(x), tensor(y))
    assert found["l1"] == pytest.approx(np.abs(x / 255.0 - y / 255.0).mean(), rel=1e-5)
    assert found["psnr"] == pytest.approx(np.mean([cv2.PSNR(*pair) for pair in zip(x, y, strict=True)]), rel=1e-5)
    wanted = np.mean([structural_similarity(*pair) for pair in zip(x, y, strict=True)])
    assert found["ssim"] == pytest.approx(wanted, abs=1e-4)


def test_equal_pictures_are_as_near_as_pixels_can_be():
    x = tensor(smooth())
    found = likeness(x, x)
    assert found["l1"] == 0
    assert found["ssim"] == pytest.approx(1, abs=1e-5)
    assert found["psnr"] == pytest.approx(20 * np.log10(2 * 255), abs=1e-3)


def test_many_pictures_are_compared_in_chunks():
    x, y = tensor(smooth(AT_ONCE + 3)), tensor(smooth(AT_ONCE + 3, seed=1))
    halves = [likeness(x[part], y[part]) for part in (slice(3), slice(3, None))]
    for name, value in likeness(x, y).items():
        expected = (3 * halves[0][name] + AT_ONCE * halves[1][name]) / (AT_ONCE + 3)
        assert value == pytest.approx(expected, rel=1e-5)


def test_figures_stand_beside_those_of_the_source_and_the_sheet_shows_all_three():
    real, source = tensor(smooth()), tensor(smooth(seed=1))
    measured = Paired(PairedOptions(shown=2)).measure(real.clone(), real, None, source)
    assert measured.values["l1"] == 0
    assert {name: measured.values[f"source_{name}"] for name in ("l1", "psnr", "ssim")} == likeness(source, real)
    sheet = measured.sheets["paired"][2:26].permute(2, 0, 1)  # one row, with a margin of 2 px
    tiles = [sheet[:, :, 2 + 22 * index : 22 + 22 * index] for index in range(6)]
    for tile, picture in zip(tiles, (source[0], real[0], real[0], source[1], real[1], real[1]), strict=True):
        assert torch.equal(tile, picture)


@pytest.mark.parametrize("size", [(10, 30), (30, 10)])
def test_pictures_smaller_than_the_window_are_refused(size):
    small = torch.zeros(3, 3, *size, dtype=torch.uint8)
    with pytest.raises(DataError, match=f"3 picture.s. of {size[1]}x{size[0]} px"):
        Paired(PairedOptions()).measure(small, small, None, small)
