"""What repainting comes to: files of finished pictures, a film of frames, and a run that tells of them."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

import artgen_report
from artgen.cli.run import show_finished
from artgen.data.images import read, read_with_alpha, write_png
from artgen.film import probe, read_frames
from artgen.plugins import load_plugins
from artgen.run.finishing import on_paper, write_film
from artgen.run.session import run_recipe
from artgen.run.upkeep import RunUpkeep
from artgen.testing.runs import CPU, _quiet, load, train, workshop

pytestmark = pytest.mark.usefixtures("one_thread")

RECIPE = """
seed = 7
[data.pictures]
resolution = 32
[generator.canvas]
[losses.laplacian]
[losses.patches]
directions = 8
positions = 64
[trainer.canvas]
[[phase]]
from = 16
to = 32
images = [2, 3]
batch = 1
[run]
precision = "fp32"
preview_images = 2
average_half_life_images = 1
"""
FILM = RECIPE.replace("[data.pictures]", "[data.film]\nframes = 3")


@pytest.fixture
def ran(tmp_path):
    """`ran(*overrides) -> run folder`."""

    def run(*overrides, recipe=RECIPE, **more):
        train(tmp_path, recipe, overrides, **more)
        return tmp_path / "run"

    return run


@pytest.fixture
def sat(tmp_path):
    """`sat() -> Finished`: the sitting of the recipe in the folder of `ran`."""

    def sit(*overrides, recipe=RECIPE):
        loaded = load(tmp_path, recipe, overrides)
        return run_recipe(loaded, tmp_path / "run", CPU, load_plugins(), workshop(tmp_path), _quiet)

    return sit


@pytest.fixture
def folder_of_two(tmp_path):
    """Two pictures, of which one is half transparent."""
    path = tmp_path / "contents"
    path.mkdir()
    draw = np.random.default_rng(0)
    write_png(path / "opaque.png", draw.integers(0, 256, (24, 32, 3), np.uint8))
    alpha = np.full((24, 32, 1), 255, np.uint8)
    alpha[:, :16] = 0
    Image.fromarray(np.concatenate([draw.integers(0, 256, (24, 32, 3), np.uint8), alpha], axis=2)).save(
        path / "half.png"
    )
    return path


# Files


def test_a_run_keeps_its_picture_and_shows_it_as_it_is(ran):
    run = ran()
    assert [path.name for path in (run / "pictures").iterdir()] == ["landscape.png"]
    made = read(run / "pictures" / "landscape.png")
    assert made.shape == (24, 32, 3)
    assert np.array_equal(read(run / "samples" / "final.png"), made)
    assert not (run / "videos").exists()
    assert json.loads((run / "figures.json").read_text()) == {}
    first = read(run / "samples" / "images-000000000.png")
    assert first.shape == made.shape  # of a smaller size, shown as large
    assert np.array_equal(first[::2, ::2], first[1::2, 1::2])


@pytest.mark.parametrize(("form", "name"), [("png-16", "landscape.png"), ("tiff-16", "landscape.tif")])
def test_pictures_of_16_bits_hold_more_than_those_of_8(ran, form, name):
    run = ran(f'run.pictures="{form}"')
    deep = cv2.imread(str(run / "pictures" / name), cv2.IMREAD_UNCHANGED)[..., ::-1]
    assert deep.dtype == np.uint16
    assert np.abs(deep / 257 - read(run / "samples" / "final.png")).max() <= 0.5001
    assert (deep % 257 != 0).mean() > 0.9


def test_a_transparent_content_gives_a_transparent_picture(ran, folder_of_two):
    run = ran(f'data.pictures.content="{folder_of_two}"')
    assert sorted(path.name for path in (run / "pictures").iterdir()) == ["half.png", "opaque.png"]
    picture, alpha = read_with_alpha(run / "pictures" / "half.png")
    assert (alpha[:, :15] == 0).all()
    assert (alpha[:, 17:] == 255).all()
    _, opaque = read_with_alpha(run / "pictures" / "opaque.png")
    assert opaque is None or (opaque == 255).all()
    sheet = read(run / "samples" / "final.png")
    assert sheet.shape[1] > 2 * 32
    assert picture.shape == (24, 32, 3)
    assert (sheet[2:26, 2:16] == 255).all()  # laid on white paper; the contents come in the order of their names


def test_pictures_get_the_colours_of_their_contents_back_at_every_size(ran):
    run = ran('data.pictures.colours="luminance"')
    shown = sorted((run / "samples").glob("images-*.png"))
    assert len(shown) > 1
    for file in shown:
        assert np.ptp(read(file).astype(int), axis=2).max() > 20  # no grey one


# Films


def test_frames_become_a_film(ran):
    run = ran(recipe=FILM)
    film = run / "videos" / "recipe.mp4"
    info = probe(film)
    assert (info.frames, info.height, info.width, info.frames_per_second) == (3, 24, 32, 12)
    frames = [read(run / "pictures" / f"{number:06}.png").astype(float) for number in range(3)]
    for frame, shown in zip(frames, read_frames(film), strict=True):
        assert np.abs(frame - shown).mean() < 12


def test_a_run_killed_after_its_film_was_written_finishes_with_another(sat, monkeypatch):
    class Killed(BaseException):
        pass

    def killed(self, clock):
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(RunUpkeep, "evaluate", killed)
        with pytest.raises(Killed):
            sat(recipe=FILM)
    run = sat(recipe=FILM).folder
    assert probe(run / "videos" / "recipe.mp4").frames == 3
    assert [path.name for path in (run / "videos").iterdir()] == ["recipe.mp4"]


def test_a_film_takes_the_place_of_one_that_is_there(tmp_path):
    film = tmp_path / "videos" / "a.mp4"
    for count in (2, 4):
        write_film(film, torch.rand(count, 3, 16, 20) * 2 - 1, 25)
        assert probe(film).frames == count


# What is told


def test_a_finished_run_is_told_again_with_its_pictures(sat, capsys, folder_of_two):
    content = f'data.pictures.content="{folder_of_two}"'
    first, again = sat(content), sat(content)
    assert not first.was_finished
    assert again.was_finished
    assert [path.name for path in again.pictures] == ["half.png", "opaque.png"]
    assert list(again.pictures) == list(first.pictures)
    show_finished(again)
    told = capsys.readouterr()
    assert "was finished already" in told.err
    assert told.out.splitlines()[:2] == [str(path) for path in again.pictures]
    again.pictures[0].unlink()
    assert [path.name for path in sat(content).pictures] == ["opaque.png"]


def test_a_finished_film_is_told_again(sat):
    first, again = sat(recipe=FILM), sat(recipe=FILM)
    assert again.was_finished
    assert list(again.pictures) == list(first.pictures) == [again.folder / "videos" / "recipe.mp4"]


@pytest.mark.parametrize("kept", ["a", [1, None], {"a": 1}, ["../../elsewhere"]])
def test_a_record_that_names_nothing_that_is_there_tells_of_the_sheet(sat, kept, capsys):
    run = sat().folder
    info = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(info | {"kept": kept}))
    again = sat()
    assert again.was_finished
    assert list(again.pictures) == []
    show_finished(again)
    assert "final.png" in capsys.readouterr().out


def test_the_report_shows_the_picture_and_counts_its_steps(ran):
    run = ran(listeners=[artgen_report])
    page = (run / "report.html").read_text()
    assert page.count('<figure><img src="data:image/') == len(list((run / "samples").iterdir()))
    assert "5 images" in page
    assert "After 2 images at 16x16 px" in page


def test_the_report_of_a_film_counts_all_frames(ran):
    run = ran(recipe=FILM, listeners=[artgen_report])
    page = (run / "report.html").read_text()
    assert "15 images" in page
    assert "After 6 images at 16x16 px" in page
    assert "After 12 images at 32x32 px" in page


# Pieces of the house


def test_pictures_are_laid_on_white_paper():
    pictures = torch.cat([torch.full((1, 3, 2, 2), -1.0), torch.tensor([[[[-1.0, 0.0], [0.5, 1.0]]]])], dim=1)
    assert on_paper(pictures)[0, 0].tolist() == [[255, 128], [64, 0]]
