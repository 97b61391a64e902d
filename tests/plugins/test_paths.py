"""Paths stay where latents live, close without a seam, and go at a steady speed: against SciPy and the formulae."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.interpolate import CubicSpline
from scipy.stats import norm

from artgen.errors import RecipeError
from artgen.plugins import load_plugins
from artgen.run.making import make
from artgen.training import LatentSpace
from artgen_paths import NoiseLoopOptions, OrbitOptions, SplineOptions

PRIORS = ("gaussian", "sphere", "uniform")
NAMES = ("great-circle", "noise-loop", "orbit", "slerp", "spline", "straight")
OPEN = ("slerp", "spline", "straight")
ALL = [(prior, name) for prior in PRIORS for name in NAMES]
SMOOTH = [(prior, name) for prior, name in ALL if name not in ("slerp", "straight")]


def path(name, **table):
    component = load_plugins().component("path", name)
    return make(component, component.options(**table))


def space_of(prior, *shape):
    if prior == "learned":
        return LatentSpace(shape, prior, lambda z: z, shape)
    return LatentSpace(shape, prior)


def keyframes_of(space, count=8, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return space.draw(count).double()


def times(frames):
    return torch.arange(frames, dtype=torch.float64) / frames


def walked(prior, name, dimensions=512, count=8, frames=240, seed=0):
    space = space_of(prior, dimensions)
    return path(name)(space, keyframes_of(space, count, seed), times(frames)).numpy()


def test_these_are_all():
    bundled = {info.name: info for info in load_plugins().plugins}["paths"]
    assert sorted(component.name for component in bundled.components) == list(NAMES)


# Where latents live (norms and distributions of every path are looked at by the contract too)


@pytest.mark.parametrize(("prior", "name"), ALL)
def test_no_latent_has_a_norm_that_draws_have_not(prior, name):
    space = space_of(prior, 512)
    drawn = keyframes_of(space, 4000, seed=1).norm(dim=1).numpy()
    found = np.linalg.norm(walked(prior, name), axis=1)
    assert abs(found - drawn.mean()).max() <= 4.5 * drawn.std() + 1e-9  # halfway on a plain straight line it is 9


@pytest.mark.parametrize(("prior", "name"), SMOOTH)
@pytest.mark.parametrize("count", [3, 8])
def test_velocity_has_no_jump_at_the_seam_nor_elsewhere(prior, name, count):
    """The largest change of the step from frame to frame falls with the length of a frame; of a jump it would not."""

    def largest_jump(frames):
        steps = walked(prior, name, dimensions=64, count=count, frames=frames)
        steps = (np.roll(steps, -1, axis=0) - steps) * frames
        return np.linalg.norm(steps - np.roll(steps, 1, axis=0), axis=1).max() / np.linalg.norm(steps, axis=1).mean()

    assert largest_jump(4800) < 0.04
    assert largest_jump(4800) < 0.3 * largest_jump(1200)


@pytest.mark.parametrize("prior", PRIORS)
@pytest.mark.parametrize(
    ("name", "most"),
    [("orbit", 1.1), ("great-circle", 1.1), ("slerp", 1.3), ("noise-loop", 1.4), ("straight", 2.4), ("spline", 2.5)],
)
def test_speed_is_steady(prior, name, most):
    steps = walked(prior, name, frames=1200)
    speed = np.linalg.norm(np.roll(steps, -1, axis=0) - steps, axis=1)
    assert speed.max() / speed.min() < most


@pytest.mark.parametrize("prior", [*PRIORS, "learned"])
@pytest.mark.parametrize("name", OPEN)
@pytest.mark.parametrize("loop", [True, False])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_keyframes_stand_at_their_knots(prior, name, loop, count):
    if (name, prior) == ("slerp", "learned"):
        return
    space, way = space_of(prior, 4, 3), path(name, loop=loop)
    keyframes, knots = keyframes_of(space, count), way.knots(count)
    assert way.loops is loop
    assert knots.tolist() == pytest.approx([k / (count if loop else max(1, count - 1)) for k in range(count)])
    assert torch.allclose(way(space, keyframes, knots), keyframes, atol=1e-6)
    if loop:
        assert torch.allclose(way(space, keyframes, torch.tensor([1.0]).double())[0], keyframes[0], atol=1e-6)


def test_paths_that_come_by_no_keyframes_have_one_stretch():
    for name in ("great-circle", "orbit"):
        assert path(name).knots(7).tolist() == [0]
        assert path(name).loops


def test_equal_keyframes_stand_still():
    """One that is there twice is one draw: its weights are added before the variance is mended."""
    space = space_of("gaussian", 16)
    one, other = keyframes_of(space, 2)
    for name in OPEN:
        assert torch.allclose(path(name)(space, torch.stack([one, one, one]), times(10)), one)
    held = torch.stack([one, one, other])
    assert torch.allclose(path("straight")(space, held, times(30)[:11]), one)


# Each path, against another way of writing it


@pytest.mark.parametrize(("loop", "ends"), [(True, "periodic"), (False, "natural")])
@pytest.mark.parametrize("count", [2, 5, 70])
def test_a_spline_is_that_of_scipy_with_its_variance_mended(loop, ends, count):
    keyframes, at = keyframes_of(space_of("gaussian", 16), count), times(137)

    def curve(values):
        values = np.concatenate([values, values[:1]]) if loop else values
        return CubicSpline(np.linspace(0, 1, len(values)), values, bc_type=ends)(at.numpy())

    flat = path("spline", loop=loop)(space_of("learned", 16), keyframes, at)
    assert np.allclose(flat, curve(keyframes.numpy()), atol=1e-9)
    round_ = path("spline", loop=loop)(space_of("gaussian", 16), keyframes, at)
    wanted = curve(keyframes.numpy()) / np.sqrt((curve(np.eye(count)) ** 2).sum(1, keepdims=True))
    assert np.allclose(round_, wanted, atol=1e-9)


def test_a_straight_line_is_a_lerp_whose_variance_is_mended():
    keyframes = keyframes_of(space_of("gaussian", 16), 3)
    at = torch.tensor([(1 + 0.3) / 3]).double()  # from the second to the third
    lerp = 0.7 * keyframes[1] + 0.3 * keyframes[2]
    assert torch.allclose(path("straight")(space_of("learned", 16), keyframes, at)[0], lerp)
    assert torch.allclose(path("straight")(space_of("gaussian", 16), keyframes, at)[0], lerp / math.hypot(0.7, 0.3))
    on_sphere = path("straight")(space_of("sphere", 16), keyframes, at)[0]
    assert torch.allclose(on_sphere, lerp * 4 / lerp.norm())


def test_slerp_is_slerp():
    space = space_of("sphere", 16)
    keyframes = keyframes_of(space, 3)
    found = path("slerp")(space, keyframes, torch.tensor([(2 + 0.3) / 3]).double())  # from the third to the first
    first, second = keyframes[2].numpy(), keyframes[0].numpy()
    angle = math.acos(np.dot(first, second) / 16)
    wanted = (math.sin(0.7 * angle) * first + math.sin(0.3 * angle) * second) / math.sin(angle)
    assert np.allclose(found, wanted)


def test_a_norm_goes_from_that_of_one_keyframe_to_that_of_the_next():
    keyframes = torch.tensor([[3.0, 0.0], [0.0, 5.0]]).double()
    found = path("slerp")(space_of("gaussian", 2), keyframes, torch.tensor([0.25, 0.1]).double())
    assert found.norm(dim=1).tolist() == pytest.approx([4, 3.4])
    assert torch.atan2(found[:, 1], found[:, 0]).tolist() == pytest.approx([math.pi / 4, math.pi / 10])


def test_a_great_circle_lies_in_the_plane_of_two_keyframes():
    space = space_of("gaussian", 16)
    keyframes = keyframes_of(space, 3)
    found = path("great-circle")(space, keyframes, times(60))
    assert torch.allclose(found[0], keyframes[0])
    assert torch.allclose(found[30], -keyframes[0])
    assert torch.allclose(found.norm(dim=1), keyframes[0].norm())
    assert torch.linalg.matrix_rank(torch.cat([found, keyframes[:2]]), tol=1e-9) == 2
    steps = (found.roll(-1, 0) - found).norm(dim=1)
    assert torch.allclose(steps, steps[0])
    second = keyframes[1] / keyframes[1].norm()
    angle = math.acos(float(keyframes[0] @ second / keyframes[0].norm()))
    at = torch.tensor([angle / (2 * math.pi)]).double()
    assert torch.allclose(path("great-circle")(space, keyframes, at)[0], second * keyframes[0].norm())


@pytest.mark.parametrize("degrees", [5.0, 30.0, 90.0])
def test_an_orbit_keeps_its_angle_and_its_norm(degrees):
    space = space_of("sphere", 16)
    keyframes = keyframes_of(space, 3)
    found = path("orbit", degrees=degrees)(space, keyframes, times(60))
    cosines = found @ keyframes[0] / 16
    assert torch.allclose(cosines, torch.full((60,), math.cos(math.radians(degrees))).double())
    assert torch.allclose(found.norm(dim=1), torch.full((60,), 4.0).double())
    assert torch.linalg.matrix_rank(torch.cat([found, keyframes]), tol=1e-9) == 3
    steps = (found.roll(-1, 0) - found).norm(dim=1)
    assert torch.allclose(steps, steps[0])
    towards = (found[0] - found.mean(0)) @ keyframes[1]
    assert towards > 0


@pytest.mark.parametrize("degrees", [10.0, 90.0])
def test_an_orbit_of_a_learned_prior_is_a_flat_circle(degrees):
    space, centre = space_of("learned", 16), torch.linspace(-3, 3, 16).double()
    keyframes = centre + torch.eye(16, dtype=torch.float64)[:3] * 2  # all the same distance from each other
    found = path("orbit", degrees=degrees)(space, keyframes, times(12))
    apart = (found - keyframes[0]).norm(dim=1)
    between = float((keyframes[1] - keyframes[0]).norm())
    assert torch.allclose(apart, torch.full((12,), between * math.sin(math.radians(degrees) / 2) * 2**0.5).double())
    assert torch.linalg.matrix_rank(torch.cat([found, keyframes]) - keyframes[0], tol=1e-9) == 2
    if degrees == 90:
        assert torch.allclose(found[0], keyframes[1])


def test_a_noise_loop_is_noise_under_a_gaussian_that_wraps():
    space, count = space_of("gaussian", 16), 12
    keyframes, at = keyframes_of(space, count), times(50)
    for smoothing in (0.7, 1.0):
        distance = at.numpy()[:, None] * count - np.arange(count)
        weights = sum(norm.pdf(distance + turn * count, scale=smoothing) for turn in range(-3, 4))
        wanted = weights @ keyframes.numpy() / np.sqrt((weights**2).sum(1, keepdims=True))
        difference = path("noise-loop", smoothing=smoothing)(space, keyframes, at).numpy() - wanted
        assert np.linalg.norm(difference) < 0.04 * np.linalg.norm(wanted)  # its filter is all but a Gaussian
        mean = path("noise-loop", smoothing=smoothing)(space_of("learned", 16), keyframes, at).numpy()
        assert np.linalg.norm(mean - weights @ keyframes.numpy()) < 0.06 * np.linalg.norm(mean)


def test_a_uniform_walk_is_a_gaussian_one_coordinate_by_coordinate():
    space = space_of("uniform", 8)
    keyframes = keyframes_of(space, 4)
    gaussian = torch.from_numpy(norm.ppf((keyframes.numpy() + 1) / 2))
    for name in NAMES:
        wanted = 2 * norm.cdf(path(name)(space_of("gaussian", 8), gaussian, times(30)).numpy()) - 1
        assert np.allclose(path(name)(space, keyframes, times(30)), wanted, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_the_ends_of_a_uniform_prior_are_no_trouble(name):
    space = space_of("uniform", 3)
    corners = torch.tensor([[-1.0, 1.0, 0.0], [1.0, 1.0, -1.0], [-1.0, -1.0, 0.5]])
    found = path(name)(space, corners, times(9))
    assert found.dtype == torch.float32
    assert found.abs().max() <= 1


# A latent depends on its own position only


@pytest.mark.parametrize(("prior", "name"), [*ALL, ("learned", "spline"), ("learned", "orbit")])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_latent_does_not_depend_on_which_others_are_asked_for(prior, name, threads):
    space = space_of(prior, 7, 5)
    keyframes, at = keyframes_of(space), times(101)
    whole = path(name)(space, keyframes, at)
    assert whole.shape == (101, 7, 5)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        for part in (slice(0, 1), slice(1, 8), slice(5, 64), slice(64, 101), slice(100, 101)):
            assert torch.equal(path(name)(space, keyframes, at[part]), whole[part])
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("name", ["slerp", "orbit", "straight"])
def test_one_of_a_huge_latent_has_the_same_bits_alone(name):
    """Sums of many numbers would be shared among threads, where there is one row of them only."""
    space = space_of("sphere", 40_000)
    keyframes, at = keyframes_of(space, 3), times(7)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        alone = torch.cat([path(name)(space, keyframes, one) for one in at.split(1)])
    finally:
        torch.set_num_threads(before)
    assert torch.equal(path(name)(space, keyframes, at), alone)


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(NAMES),
    prior=st.sampled_from(PRIORS),
    count=st.integers(3, 9),
    positions=st.lists(st.floats(0, 1), min_size=1, max_size=9),
)
def test_any_positions_are_finite_and_by_themselves(name, prior, count, positions):
    space, at = space_of(prior, 5), torch.tensor(positions, dtype=torch.float64)
    keyframes = keyframes_of(space, count)
    found = path(name)(space, keyframes, at)
    assert found.isfinite().all()
    assert torch.equal(found, torch.cat([path(name)(space, keyframes, one) for one in at.split(1)]))


# What has no meaning


@pytest.mark.parametrize("name", ["slerp", "great-circle"])
def test_what_goes_around_the_origin_is_refused_where_latents_are_flat(name):
    space = space_of("learned", 8)
    with pytest.raises(RecipeError, match="do not lie around it") as refused:
        path(name)(space, keyframes_of(space, 3), times(2))
    assert "spline" in refused.value.remedy


@pytest.mark.parametrize("prior", [*PRIORS, "learned"])
@pytest.mark.parametrize("name", ["great-circle", "orbit"])
def test_keyframes_that_span_no_circle_are_refused(prior, name):
    if (name, prior) == ("great-circle", "learned"):
        return
    space = space_of(prior, 8)
    keyframes = keyframes_of(space, 1).expand(3, -1)
    with pytest.raises(RecipeError, match="span no circle"):
        path(name)(space, keyframes, times(4))
    flat = space_of(prior, 1 if name == "great-circle" or prior == "learned" else 2)
    with pytest.raises(RecipeError, match="one or two numbers"):
        path(name)(flat, keyframes_of(flat, 3), times(4))


def test_options_have_bounds():
    for options, table in (
        (NoiseLoopOptions, {"smoothing": 0.1}),
        (OrbitOptions, {"degrees": 0.0}),
        (OrbitOptions, {"degrees": 91.0}),
        (SplineOptions, {"loop": 1}),
    ):
        with pytest.raises(ValidationError):
            options(**table)
