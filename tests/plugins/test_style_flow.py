"""How frames of a film move, where that is trusted, and the flicker that is left."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
import torch

from artgen.errors import DataError
from artgen_style import FlickerOptions
from artgen_style.flicker import Flicker
from artgen_style.flow import flow, grid_of, motion_between, warp

SIDE, INNER = 96, (..., slice(16, -16), slice(16, -16))


def texture(side, seed=0):
    """Something to see at every scale, smooth enough to be moved by parts of a pixel."""
    draw = np.random.default_rng(seed)
    octaves = (
        cv2.resize(draw.uniform(-1, 1, (side // k, side // k, 3)), (side, side), interpolation=cv2.INTER_CUBIC) * k**0.5
        for k in (2, 4, 8, 16)
    )
    drawn = sum(octaves)
    return ((drawn - drawn.min()) / (drawn.max() - drawn.min()) * 255).astype(np.uint8)


GROUND = texture(4 * SIDE)


def view(degrees=0.0, right=0.0, down=0.0, height=SIDE, width=SIDE):
    """A part of the ground, turned against the clock about its middle and moved."""
    matrix = cv2.getRotationMatrix2D((2 * SIDE - 0.5, 2 * SIDE - 0.5), degrees, 1)
    matrix[:, 2] += right, down
    moved = cv2.warpAffine(GROUND, matrix, GROUND.shape[:2], flags=cv2.INTER_CUBIC)
    top, left = 2 * SIDE - height // 2, 2 * SIDE - width // 2
    return np.ascontiguousarray(moved[top : top + height, left : left + width])


def moved_by(degrees=0.0, right=0.0, down=0.0):
    """Where each pixel of a view goes: the formula of a rotation."""
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.stack([x * cosine + y * sine - x + right, -x * sine + y * cosine - y + down], axis=-1)


def tensor(*frames):
    return torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2)


def signed(*frames):
    return tensor(*frames).float() / 127.5 - 1


MOTIONS = [{"right": 3, "down": -2}, {"right": 6.5, "down": 2.25}, {"degrees": 2}, {"degrees": -2.5, "right": -4}]


@pytest.mark.parametrize("motion", MOTIONS)
def test_flow_is_how_the_picture_was_moved(motion):
    found = flow(view(), view(**motion))
    assert (found.shape, found.dtype) == ((SIDE, SIDE, 2), np.float32)
    error = np.hypot(*(found - moved_by(**motion)).transpose(2, 0, 1))
    assert np.median(error) < 0.2
    assert error[INNER].max() < 0.5


@pytest.mark.parametrize("motion", MOTIONS)
def test_a_frame_moved_by_its_flow_is_the_next(motion):
    frames = signed(view(), view(**motion))
    grid, trusted = motion_between(frames)
    assert (grid.shape, trusted.shape) == ((1, SIDE, SIDE, 2), (1, 1, SIDE, SIDE))
    assert set(trusted.unique().tolist()) == {0, 1}
    assert trusted[INNER].mean() > 0.9
    seen = (warp(frames[:1], grid) - frames[1:]).abs().mean(dim=1, keepdim=True)[trusted > 0].mean()
    assert seen < 0.2 * (frames[0] - frames[1]).abs().mean()


def test_the_grid_is_exact_where_the_flow_is_known():
    pictures = torch.rand(2, 3, 7, 9, dtype=torch.float64)
    still = grid_of(torch.zeros(2, 7, 9, 2, dtype=torch.float64))
    assert torch.allclose(warp(pictures, still), pictures)
    back = torch.tensor([-2.0, 1.0]).double().expand(2, 7, 9, 2)  # from 2 px on the left, and 1 px below
    assert torch.allclose(warp(pictures, grid_of(back))[..., :-1, 2:], pictures[..., 1:, :-2])
    half = torch.tensor([0.5, 0.0]).double().expand(2, 7, 9, 2)
    halfway = (pictures[..., :-1] + pictures[..., 1:]) / 2
    assert torch.allclose(warp(pictures, grid_of(half))[..., :-1], halfway)


def test_warp_is_differentiable():
    grid = grid_of(torch.randn(1, 5, 6, 2, dtype=torch.float64, generator=torch.manual_seed(0)) * 2)
    pictures = torch.rand(1, 2, 5, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: warp(x, grid), pictures)


def test_what_comes_from_outside_or_from_behind_is_not_trusted():
    _, trusted = motion_between(signed(view(), view(right=10)))
    assert not trusted[..., :9].any()
    assert trusted[..., 16:-4].float().mean() > 0.97

    def with_square(left):
        frame = view()
        frame[30:70, left : left + 40] = texture(80, seed=1)[:40, :40]
        return frame

    _, trusted = motion_between(signed(with_square(20), with_square(30)))
    assert trusted[..., 35:65, 21:29].mean() < 0.2  # ground that the square hid
    assert trusted[..., 35:65, 35:65].mean() > 0.97  # the square
    assert trusted[..., 80:, :].mean() > 0.97  # ground that was always seen


def test_edges_of_motion_are_not_trusted():
    """Two halves that part by less than the check of there and back would see."""
    frames = view(), view()
    frames[1][SIDE // 2 :] = view(right=1)[SIDE // 2 :]
    _, trusted = motion_between(signed(*frames))
    assert trusted[..., SIDE // 2 - 1 : SIDE // 2 + 1, 8:-8].mean() < 0.3
    assert trusted[..., : SIDE // 4, 8:-8].mean() > 0.97


def test_a_still_film_stands_still():
    grid, trusted = motion_between(signed(view(), view(), view()))
    assert torch.allclose(grid, grid_of(torch.zeros(2, SIDE, SIDE, 2)), atol=1e-6)
    assert trusted.all()


def test_a_loop_closes():
    frames = signed(view(), view(right=2), view(right=4))
    open_grid, open_trusted = motion_between(frames)
    grid, trusted = motion_between(frames, loops=True)
    assert (len(open_grid), len(grid)) == (2, 3)
    assert torch.equal(grid[:2], open_grid)
    assert torch.equal(trusted[:2], open_trusted)
    wanted, _ = motion_between(frames[[2, 0]])
    assert torch.equal(grid[2:], wanted)
    alone = [motion_between(frames[:1], loops=loops)[1].shape for loops in (False, True)]
    assert alone == [(0, 1, SIDE, SIDE), (1, 1, SIDE, SIDE)]


@pytest.mark.parametrize("size", [(1, 1), (3, 40), (8, 200), (12, 11), (16, 15)])
def test_frames_may_be_small(size):
    frame = view(height=size[0], width=size[1])
    grid, trusted = motion_between(signed(frame, frame))
    assert grid.shape == (1, *size, 2)
    assert torch.allclose(grid, grid_of(torch.zeros(1, *size, 2)), atol=1e-6)
    assert trusted.all()


def test_flow_is_the_same_on_any_number_of_threads():
    frames, before = (view(), view(degrees=3, right=5)), cv2.getNumThreads()
    try:
        found = []
        for threads in (1, 2, 5):
            cv2.setNumThreads(threads)
            found.append(flow(*frames))
    finally:
        cv2.setNumThreads(before)
    assert all(np.array_equal(found[0], other) for other in found[1:])


def measured(made, contents):
    return dict(Flicker(FlickerOptions()).measure(made, contents, None, contents).values)


def test_a_still_film_does_not_flicker():
    frames = tensor(view(), view(), view())
    still = {"flicker": 0, "flicker_content": 0, "trusted_share": 1}
    assert measured(255 - frames, frames) == pytest.approx(still, abs=1e-4)


def test_flicker_is_what_noise_adds():
    frames = tensor(view(), view(), view())
    noise = torch.randint(-10, 11, frames.shape, generator=torch.manual_seed(0))
    made = (frames // 2 + 64 + noise).to(torch.uint8)
    found = measured(made, frames)
    assert found["flicker_content"] == pytest.approx(0, abs=1e-4)
    assert found["flicker"] == pytest.approx((2 * (21**2 - 1) / 12) ** 0.5, rel=0.02)  # of a difference of two draws
    brighter = torch.stack([frames[0] // 2, frames[0] // 2 + 8, frames[0] // 2 + 4])
    assert measured(brighter, frames)["flicker"] == pytest.approx(((8**2 + 4**2) / 2) ** 0.5, rel=1e-4)


def test_a_film_that_moves_flickers_as_its_contents_do():
    contents = tensor(view(), view(right=4), view(right=8, down=2))
    found = measured(contents, contents)
    assert found["flicker"] == found["flicker_content"]
    still = measured(contents[:1].expand(3, -1, -1, -1), contents)  # what does not move along does
    assert still["flicker"] > 5 * still["flicker_content"] > 0
    assert 0.8 < still["trusted_share"] < 1


def test_where_nothing_is_trusted_nothing_flickers(monkeypatch):
    def without_trust(contents):
        grid, trusted = motion_between(contents)
        return grid, torch.zeros_like(trusted)

    monkeypatch.setattr("artgen_style.flicker.motion_between", without_trust)
    cut = tensor(view(), texture(SIDE, seed=2))
    assert measured(cut, cut) == {"flicker": 0, "flicker_content": 0, "trusted_share": 0}


def test_one_frame_does_not_flicker_and_contents_have_to_fit():
    frame = tensor(view())
    assert set(measured(frame, frame).values()) == {0.0}
    with pytest.raises(DataError, match="1 made frame"):
        measured(frame, frame[:, :, :48])
    with pytest.raises(DataError, match=r"96x96 px and 2 content.s. of 96x48 px"):
        measured(tensor(view(), view()), tensor(view(), view())[:, :, :48])
