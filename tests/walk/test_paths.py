"""Paths stay where latents live, close without a seam, and go at a steady speed."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.interpolate import CubicSpline
from scipy.stats import kstest, norm

from artgen.training import LatentSpace
from artgen.walk.paths import PATHS, great_circle, noise_loop, orbit, spline

PRIORS = ("gaussian", "sphere", "uniform")
ALL = [(prior, name) for prior in PRIORS for name in PATHS]
SMOOTH = [(prior, name) for prior, name in ALL if name != "great-circle"]


def keyframes_of(space, count=8, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return space.draw(count).double()


def times(frames):
    return torch.arange(frames, dtype=torch.float64) / frames


def walked(prior, name, dimensions=512, count=8, frames=240, seed=0):
    space = LatentSpace((dimensions,), prior)
    return PATHS[name](space, keyframes_of(space, count, seed), times(frames)).numpy()


@pytest.mark.parametrize(("prior", "name"), ALL)
def test_no_latent_has_a_norm_that_draws_have_not(prior, name):
    space = LatentSpace((512,), prior)
    found = np.linalg.norm(walked(prior, name), axis=1)
    drawn = keyframes_of(space, 4000, seed=1).norm(dim=1).numpy()
    assert abs(found - drawn.mean()).max() <= 4.5 * drawn.std() + 1e-9  # halfway on a straight line it is 9


@pytest.mark.parametrize(("prior", "name"), ALL)
def test_each_moment_of_a_walk_is_distributed_as_the_prior(prior, name):
    """Over many walks a coordinate has the prior's distribution; in 64 dimensions one of a sphere is all but normal."""
    space = LatentSpace((64,), prior)
    moments = torch.tensor([0.0, 0.037, 0.0625, 0.41, 0.9])
    walks = np.stack([PATHS[name](space, keyframes_of(space, 4, seed), moments).numpy() for seed in range(300)])
    wanted = ("uniform", (-1, 2)) if prior == "uniform" else ("norm", (0, 1))
    for moment in range(len(moments)):
        one_coordinate_in_four = walks[:, moment, ::4].ravel()
        assert kstest(one_coordinate_in_four, *wanted).pvalue > 1e-3


@pytest.mark.parametrize(("prior", "name"), ALL)
def test_latents_of_a_bounded_prior_stay_in_bounds(prior, name):
    found = walked(prior, name, dimensions=32)
    if prior == "uniform":
        assert np.abs(found).max() <= 1
    if prior == "sphere":
        assert np.linalg.norm(found, axis=1) == pytest.approx(32**0.5)


@pytest.mark.parametrize(("prior", "name"), ALL)
@pytest.mark.parametrize("count", [2, 3, 8])
def test_position_1_is_position_0_and_is_not_shown_twice(prior, name, count):
    space = LatentSpace((6,), prior)
    keyframes = keyframes_of(space, count)
    ends = PATHS[name](space, keyframes, torch.tensor([0.0, 1.0]).double())
    assert torch.allclose(ends[0], ends[1], atol=1e-12)
    steps = np.linalg.norm(np.diff(walked(prior, name, frames=24, count=count), axis=0, append=np.nan)[:-1], axis=1)
    assert steps.min() > 0.1 * steps.mean()


@pytest.mark.parametrize(("prior", "name"), SMOOTH)
@pytest.mark.parametrize("count", [2, 3, 8])
def test_velocity_has_no_jump_at_the_seam_nor_elsewhere(prior, name, count):
    """The largest change of the step from frame to frame falls with the length of a frame; of a jump it would not."""

    def largest_jump(frames):
        path = walked(prior, name, dimensions=64, count=count, frames=frames)
        steps = (np.roll(path, -1, axis=0) - path) * frames
        return np.linalg.norm(steps - np.roll(steps, 1, axis=0), axis=1).max() / np.linalg.norm(steps, axis=1).mean()

    assert largest_jump(9600) < 0.02
    assert largest_jump(9600) < 0.3 * largest_jump(2400)


@pytest.mark.parametrize("prior", PRIORS)
@pytest.mark.parametrize(
    ("name", "most"), [("orbit", 1.1), ("great-circle", 1.3), ("noise-loop", 1.4), ("spline", 2.5)]
)
def test_speed_is_steady(prior, name, most):
    path = walked(prior, name, frames=1200)
    speed = np.linalg.norm(np.roll(path, -1, axis=0) - path, axis=1)
    assert speed.max() / speed.min() < most


@pytest.mark.parametrize("prior", PRIORS)
@pytest.mark.parametrize("path", [spline, great_circle])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_keyframes_stand_at_their_share_of_the_way(prior, path, count):
    space = LatentSpace((4, 3), prior)
    keyframes = keyframes_of(space, count)
    assert torch.allclose(path(space, keyframes, times(count)), keyframes, atol=1e-6)


def test_a_spline_is_that_of_scipy_with_its_variance_mended():
    space = LatentSpace((16,))
    keyframes, at = keyframes_of(space, 5), times(37)
    knots = np.linspace(0, 1, 6)

    def periodic(values):
        return CubicSpline(knots, np.concatenate([values, values[:1]]), bc_type="periodic")(at.numpy())

    wanted = periodic(keyframes.numpy()) / np.sqrt((periodic(np.eye(5)) ** 2).sum(1, keepdims=True))
    assert np.allclose(spline(space, keyframes, at), wanted, atol=1e-9)


def test_a_great_circle_is_slerp():
    space = LatentSpace((16,), "sphere")
    keyframes = keyframes_of(space, 3)
    found = great_circle(space, keyframes, torch.tensor([(2 + 0.3) / 3]).double())  # from the third to the first
    first, second = keyframes[2].numpy(), keyframes[0].numpy()
    angle = math.acos(np.dot(first, second) / 16)
    wanted = (math.sin(0.7 * angle) * first + math.sin(0.3 * angle) * second) / math.sin(angle)
    assert np.allclose(found, wanted)


def test_a_norm_goes_from_that_of_one_keyframe_to_that_of_the_next():
    keyframes = torch.tensor([[3.0, 0.0], [0.0, 5.0]]).double()
    found = great_circle(LatentSpace((2,)), keyframes, torch.tensor([0.25, 0.1]).double())
    assert found.norm(dim=1).tolist() == pytest.approx([4, 3.4])
    assert torch.atan2(found[:, 1], found[:, 0]).tolist() == pytest.approx([math.pi / 4, math.pi / 10])


def test_equal_keyframes_stand_still():
    space = LatentSpace((16,))
    keyframes = keyframes_of(space, 1).expand(3, -1)
    assert torch.allclose(great_circle(space, keyframes, times(10)), keyframes[0])


def test_an_orbit_is_a_circle_in_the_plane_of_two_keyframes():
    space = LatentSpace((16,))
    keyframes = keyframes_of(space, 3)
    found = orbit(space, keyframes, times(60))
    assert torch.allclose(found[0], keyframes[0])
    assert torch.allclose(found.norm(dim=1), keyframes[0].norm())
    assert torch.allclose(found[30], -keyframes[0])
    assert torch.linalg.matrix_rank(torch.cat([found, keyframes[:2]]), tol=1e-9) == 2
    steps = (found.roll(-1, 0) - found).norm(dim=1)
    assert torch.allclose(steps, steps[0])
    with pytest.raises(ValueError, match="2 keyframes"):
        orbit(space, keyframes[:1], times(4))


def test_a_noise_loop_is_noise_under_a_gaussian_that_wraps():
    space, count = LatentSpace((16,)), 12
    keyframes, at = keyframes_of(space, count), times(50)
    distance = at.numpy()[:, None] * count - np.arange(count)
    weights = sum(norm.pdf(distance + turn * count) for turn in range(-3, 4))
    wanted = weights @ keyframes.numpy() / np.sqrt((weights**2).sum(1, keepdims=True))
    difference = noise_loop(space, keyframes, at).numpy() - wanted
    assert np.linalg.norm(difference) < 0.04 * np.linalg.norm(wanted)  # its filter is all but a Gaussian


def test_a_uniform_walk_is_a_gaussian_one_coordinate_by_coordinate():
    space = LatentSpace((8,), "uniform")
    keyframes = keyframes_of(space, 4)
    gaussian = torch.from_numpy(norm.ppf((keyframes.numpy() + 1) / 2))
    for path in PATHS.values():
        wanted = 2 * norm.cdf(path(LatentSpace((8,)), gaussian, times(30)).numpy()) - 1
        assert np.allclose(path(space, keyframes, times(30)), wanted, atol=1e-6)


@pytest.mark.parametrize(("prior", "name"), ALL)
def test_a_latent_does_not_depend_on_which_others_are_asked_for(prior, name):
    space = LatentSpace((7, 5), prior)
    keyframes, at = keyframes_of(space), times(101)
    whole = PATHS[name](space, keyframes, at)
    assert whole.shape == (101, 7, 5)
    for part in (slice(0, 1), slice(1, 8), slice(5, 64), slice(64, 101), slice(100, 101)):
        assert torch.equal(PATHS[name](space, keyframes, at[part]), whole[part])


@pytest.mark.parametrize("name", PATHS)
def test_the_ends_of_a_uniform_prior_are_no_trouble(name):
    space = LatentSpace((3,), "uniform")
    corners = torch.tensor([[-1.0, 1.0, 0.0], [1.0, 1.0, -1.0]])
    found = PATHS[name](space, corners, times(9))
    assert found.dtype == torch.float32
    assert found.abs().max() <= 1
