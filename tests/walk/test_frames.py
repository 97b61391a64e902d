"""The frames of a run's walk."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from artgen.errors import CheckpointError, PluginError, RecipeError
from artgen.plugins import load_plugins
from artgen.rng import drawing
from artgen.run.making import make
from artgen.run.opening import open_run
from artgen.testing.runs import train, workshop
from artgen.walk import frames_of
from artgen.walk.frames import walk_frames

CPU = torch.device("cpu")
WALK = {"keyframes": 3, "frames": 70, "seed": 1}
PATHS = load_plugins().components("path")
GAN = """
[data.npz]
path = "pictures.npz"
resolution = 16
[generator.dcgan]
latent = 6
width = 4
[losses.non-saturating]
[trainer.adversarial]
[[phase]]
images = 32
batch = 8
[run]
precision = "fp32"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run of a small GAN."""
    folder = tmp_path_factory.mktemp("walk")
    pictures = np.random.default_rng(0).integers(0, 256, (32, 16, 16, 3), np.uint8)
    np.savez(folder / "pictures.npz", images=pictures)
    train(folder, GAN)
    return folder / "run"


def path(name="spline", **table):
    return make(PATHS[name], PATHS[name].options(**table))


def walked(opened, **changed):
    """All frames of a walk."""
    return np.array(list(walk_frames(opened, **{**WALK, "path": path(), **changed})))


@pytest.fixture
def opened(folder, tmp_path):
    return open_run(folder, CPU, load_plugins(), workshop(tmp_path))


def test_frames_are_pictures_of_the_generator_along_the_path(folder, opened, tmp_path):
    found = walked(opened)
    assert len(found) == 70
    assert all(frame.shape == (16, 16, 3) and frame.dtype == np.uint8 for frame in found)

    def keyframe(index):
        with drawing(1, "walk", index):
            return torch.randn(1, 6)

    positions = torch.arange(70).double() / 70
    latents = path()(opened.generator.latent, torch.cat([keyframe(index) for index in range(3)]), positions)
    with torch.no_grad():
        wanted = ((opened.generator.sample(latents) + 1) * 127.5).permute(0, 2, 3, 1).numpy()
    assert np.abs(np.array(found) - wanted).max() <= 0.51
    assert np.array_equal(list(frames_of(folder, workshop(tmp_path), **WALK, path="spline")), found)


def test_one_seed_is_one_walk_and_each_seed_another(opened):
    whole = walked(opened)
    assert np.array_equal(whole, walked(opened))
    assert not np.array_equal(whole, walked(opened, seed=2))
    paths = [walked(opened, frames=9, path=path(name)) for name in PATHS]
    assert len({frames.tobytes() for frames in paths}) == len(PATHS)


def test_frames_do_not_depend_on_how_many_are_taken(opened):
    whole = walked(opened)
    taken = walk_frames(opened, **WALK, path=path())
    assert all(np.array_equal(next(taken), frame) for frame in whole[:67])
    every_second = walked(opened, frames=35)  # in a batch that is filled up
    assert np.array_equal(every_second, whole[::2])


def test_the_loop_closes(opened):
    """From the last frame to the first it is no further than from any other to its next."""
    frames = walked(opened, frames=240).astype(float)
    steps = np.abs(np.roll(frames, -1, axis=0) - frames).mean((1, 2, 3))
    assert 0.2 * steps.mean() < steps[-1] < 1.1 * max(steps[:4].max(), steps[-5:-1].max())


def test_what_cannot_be_walked_is_refused(folder, opened, tmp_path):
    with pytest.raises(CheckpointError):
        next(frames_of(tmp_path, workshop(tmp_path), **WALK, path="spline"))
    with pytest.raises(PluginError, match="spiral"):
        next(frames_of(folder, workshop(tmp_path), **WALK, path="spiral"))
    with pytest.raises(RecipeError, match="no loop"):
        walked(opened, path=path(loop=False))
    with pytest.raises(RecipeError, match="needs 3 keyframes, found 2"):
        walked(opened, path=path("orbit"), keyframes=2)
    opened.average.takes = "picture"
    with pytest.raises(RecipeError, match="takes picture"):
        walked(opened)
