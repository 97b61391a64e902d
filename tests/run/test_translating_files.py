"""Pictures of any size through a generator: padding, tiles, lightness. What a user sees of it is in tests/cli."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from artgen.data.dataset import Workshop
from artgen.errors import DataError
from artgen.run import translating
from artgen.run.opening import open_run
from artgen.run.tasks import Task
from artgen.run.translating import Translator
from artgen.training import Generator, Size
from artgen_pix2pix import GeneratorOptions
from artgen_pix2pix.generator import UNet
from tests.families.drive import _quiet, families, train_family

pytestmark = pytest.mark.usefixtures("one_thread")
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run whose pictures come with their sources."""
    out = tmp_path_factory.mktemp("translator") / "run"
    train_family("translator", out)
    return out


@pytest.fixture
def translator(folder, tmp_path):
    """`translator(generator, side_px=0)`: of that run, but with another generator."""

    def make(generator, **options):
        run = open_run(folder, CPU, families(), Workshop(tmp_path, _quiet, 1))
        run.average = generator.eval().requires_grad_(False)
        vars(run)["generator"] = run.average  # in place of a copy that was settled
        return Translator(run, **({"side_px": 0} | options))

    return make


@pytest.fixture
def small_tiles(monkeypatch):
    """Tiles of 64 px, which overlap by 32 px; 8 px of that are context."""
    for name, value in {"WHOLE_PIXELS": 1000, "TILE_PX": 64, "OVERLAP_PX": 32}.items():
        monkeypatch.setattr(translating, name, value)


class Toy(Generator):
    """Any layers, as a generator of pictures from pictures; remembers what it was given."""

    takes = "picture"

    def __init__(self, layers, multiple=1):
        super().__init__()
        self.layers, self.multiple, self.given = layers, multiple, []

    def forward(self, source):
        self.given.append(source)
        return self.layers(source)


def convolutions(reach_px=6):
    torch.manual_seed(1)
    layers = [layer for _ in range(reach_px // 2) for layer in (nn.Conv2d(3, 3, 5, padding=2), nn.Tanh())]
    for layer in layers[::2]:
        nn.init.normal_(layer.weight, 0, 0.2)
    return nn.Sequential(*layers)


def noise(height, width):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (7, 9), (16, 32), (33, 20)])
def test_pictures_of_any_size_are_padded_by_reflection_and_cut_back(translator, size):
    toy = Toy(nn.Identity(), multiple=16)
    picture = noise(*size)
    assert np.array_equal(translator(toy).translate(picture), picture)
    (given,) = toy.given
    assert all(side % 16 == 0 and 0 <= side - before < 16 for side, before in zip(given.shape[2:], size, strict=True))
    # An oracle for one side: the neighbours of the first row beyond the border are those within it.
    rows = given[0, 0, :, :].numpy()
    top = (given.shape[2] - size[0]) // 2
    if 1 <= top < size[0]:
        assert np.array_equal(rows[top - 1], rows[top + 1])


@pytest.mark.parametrize("size", [(150, 200), (64, 300), (97, 40)])
def test_tiles_give_the_whole_picture_where_a_network_sees_no_farther_than_the_context(translator, size, monkeypatch):
    toy = Toy(convolutions())
    picture = noise(*size)
    whole = translator(toy).translate(picture)
    monkeypatch.setattr(translating, "WHOLE_PIXELS", 1000)
    monkeypatch.setattr(translating, "TILE_PX", 64)
    monkeypatch.setattr(translating, "OVERLAP_PX", 32)
    toy.given.clear()
    tiled = translator(toy).translate(picture)
    assert len(toy.given) > 1
    assert max(max(tile.shape[2:]) for tile in toy.given) == 64
    assert (
        np.abs(tiled.astype(int) - whole).max() <= 1
    )  # 1: on the edge between two values, after a sum in another order
    assert whole.std() > 10


def hard(side_px, multiple):
    """Tiles without overlap, for comparison."""
    starts = range(0, side_px, 64)
    return [(slice(start, min(start + 64, side_px)), torch.ones(min(64, side_px - start))) for start in starts]


def jumps(made):
    """From each column to the next, the mean over rows: at worst where tiles of 64 px end or begin, and elsewhere."""
    steps = np.abs(np.diff(made.astype(float), axis=1)).mean(axis=(0, 2))
    inside = np.arange(len(steps))[16:-16]  # the border of a picture is another matter
    at_border = inside % 32 >= 31
    return steps[inside[at_border]].max(), steps[inside[~at_border]].max()


@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_tiles_of_a_unet_show_no_seam(translator, small_tiles, monkeypatch, norm):
    torch.manual_seed(2)
    network = UNet(GeneratorOptions(width=8, widest=16, depth=4, norm=norm, upsample="resize"), Size(16, 16))
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.xavier_normal_(module.weight, 0.8)
    down, across = np.mgrid[0:1:160j, 0:1:320j]
    picture = (np.stack([down, across**2, 1 - across], axis=2) * 255).astype(np.uint8)  # no tile is like the next
    seam, elsewhere = jumps(translator(network).translate(picture))
    assert seam <= elsewhere
    monkeypatch.setattr(translating, "_tiles", hard)
    cut, _ = jumps(translator(network).translate(picture))
    assert cut > 2 * elsewhere  # the measure sees a seam


class Exhausted(nn.Module):
    """Has memory for so many pixels."""

    def __init__(self, pixels):
        super().__init__()
        self.pixels = pixels

    def forward(self, source):
        if source.shape[2] * source.shape[3] > self.pixels:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")
        return source * 1


def test_a_picture_that_does_not_fit_into_memory_is_taken_in_tiles(translator, monkeypatch):
    monkeypatch.setattr(translating, "TILE_PX", 64)
    monkeypatch.setattr(translating, "OVERLAP_PX", 32)
    toy = Toy(Exhausted(64 * 64))
    picture = noise(100, 150)
    assert np.array_equal(translator(toy).translate(picture), picture)
    assert len(toy.given) > 2


def test_a_picture_that_fits_in_no_way_is_told_as_one_that_cannot_be_used(translator, tmp_path):
    translating.files.replace(tmp_path / "a.png", translating.encode_png(noise(30, 30)))
    with pytest.raises(DataError, match="out of memory") as refused:
        translator(Toy(Exhausted(1))).translate_file(Task(tmp_path / "a.png", tmp_path / "out" / "a.png"), _quiet)
    assert "--side" in refused.value.remedy
    assert not (tmp_path / "out").exists()


class Sepia(Generator):
    """Moderate colours, in the lightness of the source."""

    takes, keeps_lightness = "picture", True

    def forward(self, source):
        lab = translating.rgb_to_lab((source + 1) / 2)
        lab[:, 1], lab[:, 2] = 8.0, 15.0
        return translating.lab_to_rgb(lab) * 2 - 1


def test_a_generator_that_keeps_lightness_blurs_nothing(translator, monkeypatch):
    monkeypatch.setattr(translating, "_STRIP_PIXELS", 1000)
    greys = np.random.default_rng(0).integers(70, 190, (90, 70, 1), np.uint8).repeat(3, axis=2)
    made = translator(Sepia(), side_px=16).translate(greys)
    before, after = (cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2LAB) for picture in (greys, made))
    assert np.abs(after[..., 0] - before[..., 0]).max() < 0.5
    assert np.abs(after[..., 1] - 8).max() < 1
    assert np.abs(after[..., 2] - 15).max() < 1


def test_other_generators_are_shown_small_pictures_and_theirs_are_enlarged(translator):
    toy = Toy(nn.Identity())
    made = translator(toy, side_px=16).translate(noise(64, 96))
    assert toy.given[0].shape == (1, 3, 16, 24)
    assert made.shape == (64, 96, 3)
    assert np.abs(np.diff(made.astype(int), axis=1)).mean() < 0.25 * np.abs(np.diff(noise(64, 96).astype(int))).mean()
    flat = np.full((10, 8, 3), 99, np.uint8)  # smaller than in training: enlarged, and brought back
    assert np.array_equal(translator(toy, side_px=16).translate(flat), flat)
    assert toy.given[-1].shape == (1, 3, 20, 16)
