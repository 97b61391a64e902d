"""Contents and styles: read at their sizes, masked, recoloured as papers say, given back colours and alpha."""

from __future__ import annotations

import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from pydantic import ValidationError

from artgen.data.images import encode_png, write_png
from artgen.errors import DataError, PluginError, RecipeError
from artgen.recipe import load_recipe
from artgen.testing import DatasetContract
from artgen.testing.runs import train
from artgen.testing.runs import workshop as quiet_workshop
from artgen.walk import frames_of
from artgen_pictures import BUILTIN_CONTENTS, BUILTIN_MASKS, BUILTIN_STYLES, FilmOptions, PicturesOptions, WalkOptions
from artgen_pictures.colours import GREY, LUMA, Map, Moments, matched, matched_luminance, mixed, moments, recoloured
from artgen_pictures.contents import film, pictures, walk
from artgen_pictures.studio import FLIGHT_FRAMES, builtin, flight, half

MATCHINGS = ["symmetric", "cholesky", "pca"]
EPSILON = 1e-5


def noise(height: int = 30, width: int = 40, seed: int = 0, low: int = 60, high: int = 190) -> np.ndarray:
    """Colours that depend on each other, away from black and white."""
    draw = np.random.default_rng(seed)
    mixing = draw.uniform(0, 1, (3, 3))
    colours = draw.uniform(0, 1, (height, width, 3)) @ (mixing / mixing.sum(0))
    return (low + (high - low) * colours).round().astype(np.uint8)


def options_of(kind=PicturesOptions, **table):
    return kind.model_validate_json(json.dumps(table))


@pytest.fixture
def made(tmp_path):
    """Make a data set of pictures, or of a film, from a table as a recipe has it."""

    def make(kind=PicturesOptions, **table):
        factory = {FilmOptions: film, WalkOptions: walk}.get(kind, pictures)
        return factory(options_of(kind, **{"style": str(tmp_path / "style.png"), **table}), quiet_workshop(tmp_path))

    write_png(tmp_path / "style.png", noise(20, 24, seed=1))
    return make


@pytest.fixture
def content(tmp_path):
    path = tmp_path / "content.png"
    write_png(path, noise())
    return str(path)


def folder_of(path: Path, *shown: np.ndarray) -> str:
    path.mkdir()
    for index, picture in enumerate(shown):
        write_png(path / f"{index:02}.png", picture)
    return str(path)


# Options


def test_a_style_is_written_as_text_an_array_or_tables():
    assert [style.path for style in options_of().style] == ["builtin:swirls"]
    assert [style.path for style in options_of(style="").style] == ["builtin:swirls"]
    assert [style.path for style in options_of(style="a.png").style] == ["a.png"]
    both = options_of(style=["a.png", {"path": "b.png", "weight": 2, "where": "m.png", "part": "p.png"}]).style
    assert [style.path for style in both] == ["a.png", "b.png"]
    assert (both[1].weight, both[1].where, both[1].part) == (2.0, "m.png", "p.png")
    assert options_of(content="").content == "builtin:landscape"


RECIPE = """
[generator.dcgan]
[critic.dcgan]
[losses.non-saturating]
[trainer.adversarial]
[[phase]]
images = 64
batch = 8
[data.pictures]
"""


def test_relative_paths_start_at_the_recipe(tmp_path, monkeypatch):
    (tmp_path / "deep").mkdir()
    table = "content = 'a.png'\nstyle = ['b.png', { path = 'c.png', where = 'm.png' }, 'builtin:waves']\n"
    (tmp_path / "deep" / "base.toml").write_text(RECIPE + table)
    (tmp_path / "mine.toml").write_text("extends = 'deep/base.toml'\n[data.pictures]\nstyle = 'b.png'\n")
    monkeypatch.chdir(tmp_path)
    recipe = load_recipe(tmp_path / "deep" / "base.toml")
    (tmp_path / "whole.toml").write_text(recipe.to_toml())
    for read in (recipe, load_recipe(tmp_path / "whole.toml")):
        data, home = read.data.options, tmp_path / "deep"
        assert data.content == str(home / "a.png")
        assert [style.path for style in data.style] == [str(home / "b.png"), str(home / "c.png"), "builtin:waves"]
        assert (data.style[0].where, data.style[1].where) == ("", str(home / "m.png"))
    data = load_recipe(tmp_path / "mine.toml").data.options
    assert (data.content, data.style[0].path) == (str(tmp_path / "deep" / "a.png"), str(tmp_path / "b.png"))
    override = load_recipe(tmp_path / "deep" / "base.toml", overrides=["data.pictures.style=d.png"])
    assert override.data.options.style[0].path == str(tmp_path / "d.png")


@pytest.mark.parametrize(
    ("line", "where", "words"),
    [
        ("style = [{ path = 'a.png', weight = 0.0 }]", "0.0", "expected more than 0, found 0.0"),
        ("style = ['a.png', { path = 'b.png', wieght = 2 }]", "wieght", "Did you mean 'weight'?"),
        ("style = ['a.png', { weight = 2 }]", "{ weight = 2 }", "the key 'path' is required and missing"),
        ("style = []", "[]", "an empty array names no style"),
        ("style = 'builtin:swrils'", "'builtin:swrils'", "'builtin:swirls' or 'builtin:waves' or 'builtin:mosaic'"),
        (
            "style = [{ path = 'a.png', where = 'builtin:uper' }]",
            "'builtin:uper'",
            "'builtin:upper' or 'builtin:lower'",
        ),
        ("content = 'builtin:portrait'", "'builtin:portrait'", "is no picture that the program paints"),
        ("style_scale = 5.0", "5.0", "expected 4 or less, found 5.0"),
        ("colours = 'lumniance'", "'lumniance'", "Did you mean 'luminance'?"),
        ("mirror = true", "true", "mirror has no meaning for pictures that are repainted"),
        ("jitter_px = 3", "3", "Take jitter_px away."),
        ("held_out = 0.1", "0.1", "held_out has no meaning"),
    ],
)
def test_faults_are_told_with_their_place(tmp_path, line, where, words):
    (tmp_path / "recipe.toml").write_text(RECIPE + line)
    with pytest.raises(RecipeError) as caught:
        load_recipe(tmp_path / "recipe.toml")
    (fault,) = caught.value.faults
    assert words in str(fault)
    assert fault.source == line
    assert where in line[fault.column - 1 : fault.end_column - 1]


# Contents


@pytest.mark.parametrize(
    ("resolution", "size"), [(80, (60, 80)), (20, (15, 20)), ([100, 30], (30, 40)), ([20, 100], (15, 20))]
)
def test_a_content_keeps_its_shape_and_is_fitted_into_the_box(made, content, resolution, size):
    dataset = made(content=content, resolution=resolution)
    assert dataset.real.shape == (1, *size, 3)
    assert dataset.real.dtype == np.uint8
    assert dataset.repainting.names == ("content",)
    assert dataset.repainting.frames_per_second is None
    assert np.abs(dataset.real.mean((0, 1, 2)) - noise().mean((0, 1))).max() < 1


def test_a_content_of_its_own_size_is_left_alone(made, content):
    dataset = made(content=content, resolution=40)
    assert np.array_equal(dataset.real[0], noise())
    assert dataset.repainting.finish is None
    assert dataset.notes["size"] == "40x30"


def test_a_folder_is_read_in_the_order_of_its_names(made, tmp_path):
    path = Path(folder_of(tmp_path / "shown", *(noise(seed=seed) for seed in range(3))))
    (path / "below").mkdir()
    write_png(path / "below" / "last.png", noise(seed=3))
    (path / "words.txt").write_text("no picture")
    dataset = made(content=str(path), resolution=40)
    assert np.array_equal(dataset.real, [noise(seed=seed) for seed in range(4)])
    assert dataset.repainting.names == ("00", "01", "02", "below-last")


def test_contents_of_one_shape_may_differ_in_size(made, tmp_path):
    dataset = made(content=folder_of(tmp_path / "shown", noise(30, 40), noise(60, 80)), resolution=40)
    assert dataset.real.shape == (2, 30, 40, 3)


def test_contents_of_two_shapes_are_refused(made, tmp_path):
    path = folder_of(tmp_path / "shown", noise(30, 40), noise(40, 30))
    with pytest.raises(DataError, match="00 would be made at 40x30 px and 01 at 30x40") as caught:
        made(content=path, resolution=40)
    assert caught.value.place == path
    assert "sort them into folders by shape" in caught.value.remedy


def test_what_is_no_content_is_refused(made, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "words.txt").write_text("no picture")
    twins = Path(folder_of(tmp_path / "twins", noise()))
    (twins / "00.jpg").write_bytes(encode_png(noise()))
    write_png(tmp_path / "strip.png", noise(2, 200))
    for name, kind, words in [
        ("nowhere", PicturesOptions, "Give a picture, or a folder of pictures"),
        ("nowhere", FilmOptions, "Give a film, or a folder of its frames"),
        ("empty", PicturesOptions, "no pictures in this folder"),
        ("empty", FilmOptions, "no pictures in this folder"),
        ("words.txt", PicturesOptions, "not JPEG, PNG"),
        ("twins", PicturesOptions, "00.jpg and of 00.png would have one name, 00"),
        ("strip.png", PicturesOptions, "would be made at 64x1"),
    ]:
        with pytest.raises(DataError) as caught:
            made(kind, content=str(tmp_path / name), resolution=64)
        assert words in str(caught.value)
        assert str(tmp_path / name) in caught.value.place


def test_alpha_is_given_back(made, tmp_path):
    """The fourth channel of what is finished is the content's alpha, at the size of what was made."""
    alpha = np.repeat(np.linspace(0, 255, 40).astype(np.uint8)[None], 30, axis=0)
    path = Path(folder_of(tmp_path / "shown", noise()))
    (path / "seen.png").write_bytes(encode_png(np.dstack([noise(seed=2), alpha])))
    dataset = made(content=str(path), resolution=40)
    share = alpha[..., None] / 255
    assert np.abs(dataset.real[1] - (noise(seed=2) * share + 255 * (1 - share))).max() <= 1  # over white
    draw = torch.rand(2, 3, 30, 40) * 2 - 1
    finished = dataset.repainting.finish(draw, 0)
    assert torch.equal(finished[:, :3], draw)
    assert torch.equal(finished[0, 3], torch.ones(30, 40))
    assert np.abs((finished[1, 3].numpy() + 1) * 127.5 - alpha).max() < 1e-3
    small = dataset.repainting.finish(draw[1:, :, :15, :20], 1)
    halves = alpha.reshape(15, 2, 20, 2).mean((1, 3))
    assert np.abs((small[0, 3].numpy() + 1) * 127.5 - halves).max() < 1e-3


def test_an_alpha_that_hides_nothing_is_none(made, tmp_path):
    (tmp_path / "seen.png").write_bytes(encode_png(np.dstack([noise(), np.full((30, 40), 255, np.uint8)])))
    assert made(content=str(tmp_path / "seen.png"), resolution=40).repainting.finish is None


# Styles and masks


@pytest.mark.parametrize(("scale", "size"), [(1.0, (33, 40)), (0.5, (17, 20)), (2.0, (67, 80))])
def test_a_style_has_the_size_of_the_content_times_the_scale(made, content, scale, size):
    dataset = made(content=content, resolution=40, style_scale=scale)
    (style,) = dataset.repainting.styles
    assert style.picture.shape == (*size, 3)  # of 20x24 px
    assert (style.weight, style.where, style.part) == (1.0, None, None)
    assert dataset.notes["styles"] == ["style.png"]
    assert dataset.notes.get("enlarged_styles", []) == (["style.png"] if scale > 0.6 else [])


def test_masks_are_shrunk_by_area_and_lie_on_their_pictures(made, content, tmp_path):
    where, part = np.zeros((60, 80, 3), np.uint8), np.zeros((40, 48, 3), np.uint8)
    where[:, 41:], part[:20] = 255, 128
    write_png(tmp_path / "where.png", where)
    write_png(tmp_path / "part.png", part)
    style = {"path": str(tmp_path / "style.png"), "weight": 3, "where": str(tmp_path / "where.png")}
    dataset = made(
        content=content, resolution=40, style_scale=0.6, style=[style | {"part": str(tmp_path / "part.png")}]
    )
    (style,) = dataset.repainting.styles
    assert style.weight == 3.0
    assert style.where.shape == (30, 40)
    assert (style.where[:, :20] == 0).all()
    assert (style.where[:, 20] == 128).all()
    assert (style.where[:, 21:] == 255).all()
    assert style.part.shape == style.picture.shape[:2] == (20, 24)
    assert (style.part[:10] == 128).all()
    assert (style.part[10:] == 0).all()


@pytest.mark.parametrize("size", [(4, 4), (37, 5), (48, 64), (300, 2)])
def test_the_built_in_masks_are_soft_halves_that_add_up(size):
    upper, lower = (half(name, size) for name in BUILTIN_MASKS)
    assert upper.shape == lower.shape == size
    assert (upper.astype(int) + lower == 255).all()
    assert (upper[0] == 255).all()
    assert (upper[-1] == 0).all()
    assert (np.diff(upper.astype(int), axis=0) <= 0).all()
    assert (np.diff(upper.astype(int), axis=1) == 0).all()
    assert abs(upper.mean() - 127.5) < 1  # halves
    assert np.abs(np.diff(upper.astype(int), axis=0)).max() <= 2 + 255 * 1.5 / (size[0] / 5)  # soft, over a fifth


def test_a_built_in_mask_lies_on_any_content(made, content):
    styles = [{"path": "builtin:swirls", "where": "builtin:upper"}, {"path": "builtin:waves", "where": "builtin:lower"}]
    for resolution, size in ((40, (30, 40)), (20, (15, 20))):
        repainting = made(content=content, resolution=resolution, style=styles).repainting
        for style, name in zip(repainting.styles, BUILTIN_MASKS, strict=True):
            assert np.array_equal(style.where, half(name, size))


def test_what_is_transparent_is_no_part_of_a_style(made, content, tmp_path):
    alpha = np.full((20, 24), 255, np.uint8)
    alpha[:, :12] = 0
    (tmp_path / "style.png").write_bytes(encode_png(np.dstack([noise(20, 24), alpha])))
    (style,) = made(content=content, resolution=40, style_scale=0.6).repainting.styles
    assert np.array_equal(style.part, alpha)
    half = np.zeros((20, 24, 3), np.uint8)
    half[:10] = 255
    write_png(tmp_path / "half.png", half)
    named = {"path": str(tmp_path / "style.png"), "part": str(tmp_path / "half.png")}
    (style,) = made(content=content, resolution=40, style_scale=0.6, style=[named]).repainting.styles
    assert np.array_equal(style.part > 0, (alpha > 0) & (half[..., 0] > 0))


def test_what_is_no_style_or_no_mask_is_refused(made, content, tmp_path):
    (tmp_path / "folder").mkdir()
    write_png(tmp_path / "black.png", np.zeros((30, 40, 3), np.uint8))
    write_png(tmp_path / "tall.png", np.full((40, 30, 3), 255, np.uint8))
    good = str(tmp_path / "style.png")
    for style, name, words in [
        ("nowhere.png", "nowhere.png", "Give a picture as `style`."),
        ("folder", "folder", "`artgen translate RECIPE --style FOLDER` makes one for each"),
        ({"path": good, "where": "black.png"}, "black.png", "this mask is black"),
        ({"path": good, "where": "tall.png"}, "tall.png", "30x40 px, another shape than the content, which has 40x30"),
        ({"path": good, "part": "tall.png"}, "tall.png", "another shape than the style, which has 40x33"),
        ({"path": good, "part": "missing.png"}, "missing.png", "No such file"),
    ]:
        table = style if isinstance(style, dict) else {"path": style}
        absolute = {key: str(tmp_path / value) for key, value in table.items()}
        with pytest.raises(DataError) as caught:
            made(content=content, resolution=40, style=[absolute])
        assert words in str(caught.value)
        assert str(tmp_path / name) in caught.value.place


def test_a_style_that_would_not_fit_into_memory_is_refused(made, content):
    with pytest.raises(DataError, match=r"taken at 16384x13653 px; the limit is 100,000,000") as caught:
        made(content=content, resolution=4096, style_scale=4.0)
    assert "style_scale" in caught.value.remedy


# Colours


def drawn(seed):
    """Moments of colours, full rank."""
    draw = np.random.default_rng(seed)
    spread = draw.normal(0, 0.2, (3, 3))
    return Moments(draw.uniform(0, 1, 3), spread @ spread.T)


@pytest.mark.parametrize("matching", MATCHINGS)
@pytest.mark.parametrize("seed", range(4))
def test_mean_and_covariance_become_those_of_the_other(matching, seed):
    given, wanted = drawn(seed), drawn(seed + 10)
    t, b = matched(given, wanted, matching)
    assert t.dtype == np.float64
    assert np.allclose(t @ given.mean + b, wanted.mean, rtol=0, atol=1e-12)
    mapped = t @ (given.covariance + EPSILON * np.eye(3)) @ t.T
    assert np.allclose(mapped, wanted.covariance + EPSILON * np.eye(3), rtol=0, atol=1e-9)


def test_the_three_maps_are_those_of_their_names():
    given, wanted = drawn(1), drawn(2)
    a, b = (one.covariance + EPSILON * np.eye(3) for one in (given, wanted))
    symmetric, cholesky, pca = (matched(given, wanted, name).matrix for name in MATCHINGS)
    assert np.allclose(symmetric, symmetric.T, atol=1e-10)  # the only one that is, and turns no colour round:
    assert np.linalg.eigvalsh((symmetric + symmetric.T) / 2).min() > 0
    assert np.allclose(np.triu(cholesky, 1), 0)
    assert (np.diag(cholesky) > 0).all()
    values, vectors = np.linalg.eig(a)  # T A^1/2 is the root of B: symmetric, and squared it is B
    rooted = pca @ vectors @ np.diag(np.sqrt(values)) @ np.linalg.inv(vectors)
    assert np.allclose(rooted, rooted.T, atol=1e-9)
    assert np.allclose(rooted @ rooted, b, atol=1e-9)
    assert not np.allclose(symmetric, pca, atol=1e-3)


@pytest.mark.parametrize("matching", MATCHINGS)
def test_a_picture_matched_with_itself_stays(matching):
    t, b = matched(drawn(3), drawn(3), matching)
    assert np.allclose(t, np.eye(3), atol=1e-9)
    assert np.allclose(b, 0, atol=1e-9)


@pytest.mark.parametrize("matching", MATCHINGS)
@pytest.mark.parametrize("flat", ["grey", "one colour"])
def test_pictures_without_colours_give_finite_ones(matching, flat):
    grey = np.repeat(noise()[..., :1], 3, axis=2) if flat == "grey" else np.full((30, 40, 3), 90, np.uint8)
    colourful = noise(seed=4)
    for given, wanted in ((grey, colourful), (colourful, grey)):
        change = matched(moments([given]), moments([wanted]), matching)
        changed = change(given)
        assert np.isfinite(changed).all()
        assert np.allclose(changed.mean((0, 1)), wanted.mean((0, 1)) / 255, atol=1e-4)


def test_moments_are_those_of_numpy():
    one, two, share = noise(), noise(seed=5), np.random.default_rng(0).integers(0, 256, (30, 40), dtype=np.uint8)
    colours = np.concatenate([one.reshape(-1, 3), two.reshape(-1, 3)]) / 255
    found = moments([one, two])
    assert np.allclose(found.mean, colours.mean(0), atol=1e-12)
    assert np.allclose(found.covariance, np.cov(colours.T, bias=True), atol=1e-12)
    weights = np.concatenate([share.ravel(), share.ravel()])
    found = moments([one, two], share)
    assert np.allclose(found.mean, np.average(colours, axis=0, weights=weights), atol=1e-12)
    assert np.allclose(found.covariance, np.cov(colours.T, bias=True, aweights=weights), atol=1e-12)


def test_moments_of_several_styles_are_weighted():
    a, b = drawn(1), drawn(2)
    both = mixed([a, b], [1.0, 3.0])
    assert np.allclose(both.mean, 0.25 * a.mean + 0.75 * b.mean)
    assert np.allclose(both.covariance, 0.25 * a.covariance + 0.75 * b.covariance)


def colours_of(picture, where=None):
    """Mean and covariance, by NumPy, of the pixels in a mask."""
    colours = picture[np.ones(picture.shape[:2], bool) if where is None else where] / 255
    return colours.mean(0), np.cov(colours.T, bias=True)


@pytest.mark.parametrize("matching", MATCHINGS)
@pytest.mark.parametrize("direction", ["style", "content"])
def test_one_is_recoloured_like_the_other(made, content, matching, direction):
    free = made(content=content, resolution=40, style_scale=0.6)
    dataset = made(content=content, resolution=40, style_scale=0.6, colours=direction, matching=matching)
    (style,), (style_before,) = dataset.repainting.styles, free.repainting.styles
    if direction == "style":
        assert np.array_equal(style.picture, style_before.picture)
    else:
        assert np.array_equal(dataset.real, free.real)
    for found, wanted in zip(colours_of(dataset.real[0]), colours_of(style.picture), strict=True):
        assert np.abs(found - wanted).max() < 0.003  # bytes, and nothing is clipped
    assert not np.array_equal(style.picture, style_before.picture) or not np.array_equal(dataset.real, free.real)


def test_each_region_gets_the_colours_of_its_styles(made, content, tmp_path):
    masks = np.zeros((3, 30, 40), bool)
    masks[0, :, :14], masks[1, :, 14:28] = True, True  # and the rest has no style
    for index in (0, 1):
        write_png(tmp_path / f"mask{index}.png", np.repeat(masks[index, ..., None], 3, axis=2) * np.uint8(255))
        write_png(tmp_path / f"style{index}.png", noise(30, 40, seed=6 + index))
    styles = [{"path": f"style{index}.png", "where": f"mask{index}.png"} for index in (0, 1)]
    styles = [{key: str(tmp_path / name) for key, name in style.items()} for style in styles]
    real = made(content=content, resolution=40, style=styles, colours="style").real[0]
    for index in (0, 1):
        wanted = colours_of(noise(30, 40, seed=6 + index))
        for found, one in zip(colours_of(real, masks[index]), wanted, strict=True):
            assert np.abs(found - one).max() < 0.003
    assert np.array_equal(real[:, 28:], noise()[:, 28:])
    # Where regions overlap, they share.
    both = made(content=content, resolution=40, style=[styles[0]["path"], *styles], colours="style").real[0]
    only = made(content=content, resolution=40, style=styles[0]["path"], colours="style").real[0]
    assert np.abs(both[:, 28:].astype(int) - only[:, 28:]).max() == 0
    assert np.abs(both[:, :14] - (only[:, :14] / 2 + real[:, :14] / 2)).max() < 1.6


def test_a_style_is_recoloured_like_its_region(made, content, tmp_path):
    left = np.zeros((30, 40, 3), np.uint8)
    left[:, :20] = 255
    write_png(tmp_path / "left.png", left)
    part = np.zeros((20, 24, 3), np.uint8)
    part[:, 12:] = 255
    write_png(tmp_path / "part.png", part)
    style = {"path": "style.png", "where": "left.png", "part": "part.png"}
    style = {key: str(tmp_path / name) for key, name in style.items()}
    dataset = made(content=content, resolution=40, style_scale=0.6, style=[style], colours="content")
    found = colours_of(dataset.repainting.styles[0].picture, part[..., 0] > 0)
    for one, wanted in zip(found, colours_of(noise(), left[..., 0] > 0), strict=True):
        assert np.abs(one - wanted).max() < 0.005


def luma(picture):
    return picture @ LUMA


def test_luminance_alone_is_painted(made, content):
    dataset = made(content=content, resolution=40, style_scale=0.6, colours="luminance")
    style = dataset.repainting.styles[0].picture
    for picture in (dataset.real[0], style):
        assert (picture == picture[..., :1]).all()
    assert np.abs(dataset.real[0, ..., 0] - luma(noise())).max() <= 0.51
    assert abs(style[..., 0].mean() - luma(noise()).mean()) < 0.3
    assert abs(style[..., 0].std() - luma(noise()).std()) < 0.3


def test_the_content_gives_its_chroma_back(made, content):
    """I and Q of YIQ are those of the content, Y is that of what was made; and out of the cube is clipped."""
    to_yiq = np.array([LUMA, [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
    finish = made(content=content, resolution=40, colours="luminance").repainting.finish
    draw = torch.rand(1, 3, 30, 40, dtype=torch.float64) * 0.6 - 0.3
    finished = ((finish(draw, 0)[0].permute(1, 2, 0).numpy() + 1) / 2) @ to_yiq.T
    assert np.allclose(finished[..., 0], ((draw[0].permute(1, 2, 0).numpy() + 1) / 2) @ LUMA, atol=1e-6)
    assert np.allclose(finished[..., 1:], (noise() / 255 @ to_yiq.T)[..., 1:], atol=1e-4)
    assert finish(torch.full((1, 3, 30, 40), 0.98), 0).max() == 1


def test_a_grey_made_like_the_content_becomes_the_content(made, tmp_path):
    path = folder_of(tmp_path / "shown", noise(seed=8), noise(seed=9))
    dataset = made(content=path, resolution=40, colours="luminance")
    for first in (0, 1):
        exact = torch.from_numpy(np.repeat(luma(noise(seed=8 + first))[None, None] / 127.5 - 1, 3, axis=1))
        back = (dataset.repainting.finish(exact, first)[0].permute(1, 2, 0) + 1) * 127.5
        assert np.abs(back.numpy() - noise(seed=8 + first)).max() < 1e-3
    assert dataset.repainting.finish(torch.zeros(2, 3, 15, 20), 0).shape == (2, 3, 15, 20)


def test_grey_of_a_flat_picture_is_matched_without_a_deviation():
    flat = moments([np.full((8, 8, 3), 100, np.uint8)])
    greys = matched_luminance(flat, moments([noise()]))(np.full((8, 8, 3), 100, np.uint8))
    assert np.allclose(greys, luma(noise()).mean() / 255, atol=1e-6)


def test_free_colours_are_nobody_s_business():
    contents = noise()[None]
    assert recoloured(contents, contents, (), "free", "symmetric") == (contents, ())
    assert isinstance(GREY, Map)


# Films


def frames_in(tmp_path, count=5):
    return folder_of(tmp_path / "frames", *(noise(seed=seed) for seed in range(count)))


def test_a_folder_of_frames_is_a_film(made, tmp_path):
    dataset = made(FilmOptions, content=frames_in(tmp_path), resolution=40, loops=True)
    assert np.array_equal(dataset.real, [noise(seed=seed) for seed in range(5)])
    repainting = dataset.repainting
    assert repainting.names == ("000000", "000001", "000002", "000003", "000004")
    assert (repainting.frames_per_second, repainting.loops) == (25, True)


def test_a_stretch_of_a_film_is_taken(made, tmp_path):
    path = frames_in(tmp_path)
    dataset = made(FilmOptions, content=path, resolution=40, first_frame=1, frames=2, frames_per_second=23.976)
    assert np.array_equal(dataset.real, [noise(seed=1), noise(seed=2)])
    assert dataset.repainting.names == ("000001", "000002")
    assert dataset.repainting.frames_per_second == Fraction(2997, 125)
    assert len(made(FilmOptions, content=path, resolution=40, first_frame=3, frames=9)) == 2
    with pytest.raises(DataError, match="it has 5 frames, and `first_frame` = 5 leaves all of them out"):
        made(FilmOptions, content=path, resolution=40, first_frame=5)


def test_the_built_in_film_closes(made):
    whole = made(FilmOptions, resolution=48)
    assert whole.real.shape == (FLIGHT_FRAMES, 36, 48, 3)
    assert whole.repainting.frames_per_second == 12
    steps = np.abs(np.diff(whole.real.astype(int), axis=0)).mean((1, 2, 3))
    closing = np.abs(whole.real[0].astype(int) - whole.real[-1]).mean()
    assert steps.min() > 0.2  # it moves all the time
    assert closing < 1.3 * steps.max()
    part = made(FilmOptions, resolution=48, first_frame=20, frames=3)
    assert np.array_equal(part.real, whole.real[20:23])
    assert part.repainting.names[0] == "000020"


def test_frames_of_one_film_are_recoloured_alike(made, tmp_path):
    dataset = made(FilmOptions, content=frames_in(tmp_path), resolution=40, style_scale=0.6, colours="style")
    all_frames, style = dataset.real.reshape(-1, 40, 3), dataset.repainting.styles[0].picture
    for found, wanted in zip(colours_of(all_frames), colours_of(style), strict=True):
        assert np.abs(found - wanted).max() < 0.003


@pytest.mark.parametrize("colours", ["style", "content", "luminance"])
def test_a_film_in_stretches_is_recoloured_like_the_whole(made, tmp_path, colours):
    path, table = frames_in(tmp_path), {"resolution": 40, "style_scale": 0.6, "colours": colours}
    whole = made(FilmOptions, content=path, **table)
    for first, count in ((0, 2), (2, 3)):
        stretch = made(FilmOptions, content=path, first_frame=first, frames=count, **table)
        assert np.array_equal(stretch.real, whole.real[first : first + count])
        assert np.array_equal(stretch.repainting.styles[0].picture, whole.repainting.styles[0].picture)


def test_a_film_file_is_read(made, tmp_path):
    pytest.importorskip("artgen.film")
    path = str(tmp_path / "film.avi")
    writer = cv2.VideoWriter(path, cv2.VideoWriter.fourcc(*"MJPG"), 10, (40, 30))
    for level in range(6):
        writer.write(np.full((30, 40, 3), 40 * level, np.uint8))
    writer.release()
    dataset = made(FilmOptions, content=path, resolution=20, first_frame=2, frames=3)
    assert dataset.real.shape == (3, 15, 20, 3)
    assert dataset.repainting.frames_per_second == 10
    assert np.abs(dataset.real.mean((1, 2, 3)) - [80, 120, 160]).max() < 3


# Fingerprints


def test_the_fingerprint_follows_everything_that_is_seen(made, content, tmp_path):
    write_png(tmp_path / "other.png", noise(20, 24, seed=2))
    mask = np.zeros((30, 40, 3), np.uint8)
    mask[:, :20] = 255
    write_png(tmp_path / "mask.png", mask)
    write_png(tmp_path / "part.png", mask[:20, 8:32])
    style, other = str(tmp_path / "style.png"), str(tmp_path / "other.png")
    (tmp_path / "alpha.png").write_bytes(encode_png(np.dstack([noise(), np.full((30, 40), 254, np.uint8)])))
    (tmp_path / "alpha2.png").write_bytes(encode_png(np.dstack([noise(), np.full((30, 40), 253, np.uint8)])))
    tables = [
        {"style": style},
        {"style": other},
        {"style": [style, other]},
        {"style": [other, style]},
        {"style": [{"path": style, "weight": 2}, other]},
        {"style": [{"path": style, "where": str(tmp_path / "mask.png")}]},
        {"style": [{"path": style, "part": str(tmp_path / "part.png")}]},
        {"style": style, "style_scale": 0.5},
        *({"style": style, "colours": "style", "matching": matching} for matching in MATCHINGS),
        {"style": style, "colours": "content"},
        {"style": style, "colours": "luminance"},
        {"style": style, "resolution": 36},
        {"style": style, "content": "builtin:landscape"},
        {"style": style, "content": str(tmp_path / "alpha.png")},
        {"style": style, "content": str(tmp_path / "alpha2.png")},
    ]
    prints = [made(**{"content": content, "resolution": 40, **table}).fingerprint for table in tables]
    assert len(set(prints)) == len(tables)
    assert made(content=content, resolution=40, style=style).fingerprint == prints[0]
    changed = noise()
    changed[0, 0, 0] += 1
    write_png(Path(content), changed)
    assert made(content=content, resolution=40, style=style).fingerprint not in prints


def test_colours_that_come_back_are_in_the_fingerprint(made, tmp_path):
    """Two contents of one luminance: what is painted is the same, what is shown is not."""
    prints = []
    for name, colour in (("red", (200, 0, 0)), ("grey", (60, 60, 60))):
        write_png(tmp_path / f"{name}.png", np.full((30, 40, 3), colour, np.uint8))
        dataset = made(content=str(tmp_path / f"{name}.png"), resolution=40, colours="luminance")
        prints.append((dataset.real.tobytes(), dataset.fingerprint))
    assert prints[0][0] == prints[1][0]
    assert prints[0][1] != prints[1][1]


def test_speed_and_loop_are_in_the_fingerprint(made, tmp_path):
    path = frames_in(tmp_path, 2)
    tables = [{}, {"loops": True}, {"frames_per_second": 30}]
    assert len({made(FilmOptions, content=path, resolution=40, **table).fingerprint for table in tables}) == 3


# Built-in pictures

PAINTED = [*BUILTIN_CONTENTS, *BUILTIN_STYLES]


@pytest.mark.parametrize("name", PAINTED)
def test_a_built_in_picture_is_the_same_each_time_and_at_every_size(name):
    np.random.seed(3)  # noqa: NPY002  # the global one is meant
    first = builtin(name, (60, 80))
    np.random.seed(4)  # noqa: NPY002
    assert np.array_equal(builtin.__wrapped__(name, (60, 80)), first)
    assert first.shape == (60, 80, 3)
    assert first.dtype == np.uint8
    larger = cv2.resize(builtin(name, (240, 320)), (80, 60), interpolation=cv2.INTER_AREA)
    blurred = [cv2.GaussianBlur(one.astype(np.float32), (0, 0), 1.5) for one in (first, larger)]
    assert np.abs(blurred[0] - blurred[1]).mean() < 6


@pytest.mark.parametrize("name", PAINTED)
@pytest.mark.parametrize("size", [(4, 4), (16, 64), (64, 16), (37, 53)])
def test_a_built_in_picture_fills_any_shape(name, size):
    picture = builtin(name, size)
    assert picture.shape == (*size, 3)
    assert size == (4, 4) or picture.std((0, 1)).min() > 10


def test_the_widest_content_can_be_painted():
    assert builtin("builtin:landscape", (4, 1200)).std() > 20


@pytest.mark.parametrize("name", PAINTED)
def test_a_built_in_picture_is_full_of_light_and_colour(name):
    picture = builtin(name, (120, 160)).astype(float)
    assert luma(picture).std() > 30
    assert (picture.max(2) - picture.min(2)).mean() > 40
    assert 50 < picture.mean() < 205


def test_built_in_pictures_are_the_same_in_another_process():
    code = (
        "import sys; from artgen_pictures.studio import builtin; sys.stdout.buffer.write(builtin(sys.argv[1], (9, 12)))"
    )
    for name in PAINTED:
        other = subprocess.run([sys.executable, "-c", code, name], capture_output=True, check=True).stdout
        assert other == builtin(name, (9, 12)).tobytes()


def test_a_flight_shows_the_picture_it_is_over():
    first = next(flight("builtin:landscape", (60, 80)))
    whole = builtin("builtin:landscape", (60, 80))
    score = cv2.matchTemplate(whole[8:52, 12:68], first[15:45, 20:60], cv2.TM_CCOEFF_NORMED).max()
    assert score > 0.8


def test_each_built_in_name_is_painted():
    for name in PAINTED:
        assert options_of(**{"content" if name in BUILTIN_CONTENTS else "style": name})
    with pytest.raises(ValidationError):
        options_of(content=BUILTIN_STYLES[0])


def test_a_box_is_filled_by_the_built_in_content(made):
    assert made(resolution=64).real.shape == (1, 48, 64, 3)
    dataset = made(resolution=[40, 56], style="builtin:mosaic")
    assert dataset.real.shape == (1, 56, 40, 3)
    assert dataset.repainting.names == ("landscape",)
    assert dataset.repainting.styles[0].picture.shape == (45, 56, 3)
    assert dataset.notes["styles"] == ["builtin:mosaic"]


# The contract, on files


@pytest.fixture(scope="module")
def gan(tmp_path_factory):
    """The run folder of a small GAN."""
    folder = tmp_path_factory.mktemp("gan")
    np.savez(folder / "pictures.npz", images=np.random.default_rng(0).integers(0, 256, (16, 16, 16, 3), np.uint8))
    recipe = """
        [data.npz]
        path = "pictures.npz"
        resolution = 16
        [generator.dcgan]
        latent = 4
        width = 4
        [losses.non-saturating]
        [trainer.adversarial]
        [[phase]]
        images = 16
        batch = 4
    """
    train(folder, recipe)
    return str(folder / "run")


def test_a_walk_is_the_loop_of_a_run(made, gan, tmp_path):
    table = {"content": gan, "keyframes": 3, "frames": 5, "seed": 1, "frames_per_second": 12.5, "route": "orbit"}
    dataset = made(WalkOptions, resolution=16, **table)
    wanted = frames_of(gan, keyframes=3, seconds=5, fps=1, seed=1, path="orbit", speed="path")
    assert np.array_equal(dataset.real, list(wanted))
    repainting = dataset.repainting
    assert (repainting.loops, repainting.frames_per_second) == (True, Fraction(25, 2))
    assert repainting.names == ("000000", "000001", "000002", "000003", "000004")
    larger = made(WalkOptions, resolution=(40, 24), **table)
    assert larger.real.shape == (5, 24, 24, 3)
    assert larger.fingerprint != dataset.fingerprint
    assert made(WalkOptions, resolution=16, **{**table, "seed": 2}).fingerprint != dataset.fingerprint


def test_a_walk_must_name_its_run(tmp_path):
    """`--data` does, so that a recipe can leave it open; the message says so."""
    (tmp_path / "recipe.toml").write_text(RECIPE.replace("[data.pictures]", "[data.walk]\nresolution = 16"))
    with pytest.raises(RecipeError, match="no run is named") as caught:
        load_recipe(tmp_path / "recipe.toml")
    assert "--data runs/NAME" in caught.value.faults[0].remedy
    given = load_recipe(tmp_path / "recipe.toml", data=tmp_path / "runs" / "mine").data.options
    assert (given.content, given.resolution) == (str(tmp_path / "runs" / "mine"), 16)


def test_a_route_is_any_path_there_is(made, gan):
    table = {"content": gan, "keyframes": 3, "frames": 2, "resolution": 16}
    routes = ("great-circle", "noise-loop", "orbit", "slerp", "spline", "straight")
    assert len({made(WalkOptions, **table, route=route).real.tobytes() for route in routes}) == len(routes)
    with pytest.raises(PluginError, match="spiral"):
        made(WalkOptions, **table, route="spiral")


class OnFiles(DatasetContract):
    @pytest.fixture(autouse=True)
    def _files(self, tmp_path):
        path = Path(folder_of(tmp_path / "shown", noise(), noise(seed=1)))
        (path / "seen.png").write_bytes(encode_png(np.dstack([noise(seed=2), noise(seed=3)[..., 0]])))
        mask = np.zeros((30, 40, 3), np.uint8)
        mask[:, :17] = 255
        write_png(tmp_path / "mask.png", mask)
        write_png(tmp_path / "style.png", noise(20, 24, seed=1))
        style = {"path": str(tmp_path / "style.png"), "where": str(tmp_path / "mask.png")}
        self.options = {"content": str(path), "style": [style], "resolution": 32, "colours": "luminance"}


class TestPictures(OnFiles):
    component = "pictures"


class TestFilm(OnFiles):
    component = "film"


class TestWalk(DatasetContract):
    component = "walk"

    @pytest.fixture(autouse=True)
    def _run(self, gan):
        self.options = {"content": gan, "frames": 3, "resolution": 16}


del OnFiles, DatasetContract  # they are no tests of their own
