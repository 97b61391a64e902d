"""The frames of a film, from Python."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch

from artgen.errors import CheckpointError, PluginError, RecipeError
from artgen.plugins import load_plugins
from artgen.rng import derived_seed, drawing
from artgen.run.making import make
from artgen.run.opening import open_run
from artgen.testing.runs import workshop
from artgen.walk import frames_of

CPU = torch.device("cpu")
PATHS = load_plugins().components("path")
WALK = {"keyframes": 3, "seconds": 70, "fps": 1, "seed": 1, "speed": "path"}


def walked(run, **changed):
    """All frames of a walk."""
    return np.array(list(frames_of(run, **{**WALK, **changed})))


def test_frames_are_pictures_of_the_generator_along_the_path(run, tmp_path):
    found = walked(run)
    assert len(found) == 70
    assert all(frame.shape == (16, 16, 3) and frame.dtype == np.uint8 for frame in found)

    def keyframe(index):
        with drawing(derived_seed(1, "walk", 0), "sample", index):
            return torch.randn(1, 6)

    opened = open_run(run, CPU, load_plugins(), workshop(tmp_path))
    path = make(PATHS["spline"], PATHS["spline"].options())
    positions = torch.arange(70).double() / 70
    latents = path(opened.generator.latent, torch.cat([keyframe(index) for index in range(3)]).double(), positions)
    with torch.no_grad():
        wanted = ((opened.generator.sample(latents.float()) + 1) * 127.5).permute(0, 2, 3, 1).numpy()
    assert np.abs(np.array(found) - wanted).max() <= 0.51


def test_one_seed_is_one_walk_and_each_seed_another(run):
    whole = walked(run)
    assert np.array_equal(whole, walked(run))
    assert not np.array_equal(whole, walked(run, seed=2))
    paths = [walked(run, seconds=9, path=name) for name in PATHS]
    assert len({frames.tobytes() for frames in paths}) == len(PATHS)


def test_keyframes_are_those_of_sample(run, tmp_path):
    """A picture that one likes in `artgen sample` is a keyframe by its seed and number."""
    opened = open_run(run, CPU, load_plugins(), workshop(tmp_path))
    liked = opened.sample(6, seed=4)[5].permute(1, 2, 0).numpy()
    keyframes = [{"seed": 4, "index": 5}, {"seed": 9}]
    frames = walked(run, keyframes=keyframes, seconds=4)
    assert np.abs(frames[0].astype(int) - liked).max() <= 1
    assert np.array_equal(frames[2], walked(run, keyframes=keyframes[1:] + keyframes[:1], seconds=4)[0])


def test_frames_do_not_depend_on_how_many_are_taken(run):
    whole = walked(run)
    assert np.array_equal(list(islice(frames_of(run, **WALK), 67)), whole[:67])
    every_second = walked(run, seconds=35)  # in a batch that is filled up
    assert np.array_equal(every_second, whole[::2])


def test_the_loop_closes(run):
    """From the last frame to the first it is no further than from any other to its next."""
    frames = walked(run, seconds=240).astype(float)
    steps = np.abs(np.roll(frames, -1, axis=0) - frames).mean((1, 2, 3))
    assert 0.2 * steps.mean() < steps[-1] < 1.1 * max(steps[:4].max(), steps[-5:-1].max())


def test_a_grid_shows_walks_side_by_side(run):
    grid = walked(run, seconds=5, grid=[2, 3])
    assert grid.shape == (5, 48, 32, 3)
    assert np.array_equal(grid[:, :16, :16], walked(run, seconds=5))  # the first cell is the walk alone
    cells = {grid[:, top : top + 16, left : left + 16].tobytes() for top in (0, 16, 32) for left in (0, 16)}
    assert len(cells) == 6


def test_pictures_are_enlarged_as_asked(run):
    small = walked(run, seconds=3)
    blocks = walked(run, seconds=3, side_px=48, enlarge="blocks")
    assert np.array_equal(blocks, small.repeat(3, axis=1).repeat(3, axis=2))
    smooth = walked(run, seconds=3, side_px=48)
    assert smooth.shape == blocks.shape
    assert np.abs(np.diff(smooth.astype(int), axis=1)).max() < np.abs(np.diff(blocks.astype(int), axis=1)).max()


def test_what_cannot_be_walked_is_refused(run, tmp_path):
    with pytest.raises(CheckpointError):
        next(frames_of(tmp_path, **WALK))
    with pytest.raises(PluginError, match="spiral"):
        next(frames_of(run, **WALK, path="spiral"))
    with pytest.raises(RecipeError, match="needs 3 keyframes, found 2"):
        walked(run, path="orbit", keyframes=2)
    with pytest.raises(RecipeError, match="sedonds"):
        next(frames_of(run, sedonds=3))
