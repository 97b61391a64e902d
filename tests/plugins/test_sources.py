"""What pictures are to be made from: greys, lines, small and blurred copies, against other implementations of each."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from kornia.filters import canny
from pydantic import ValidationError
from torch.nn.functional import interpolate

from artgen_sources import BlurredOptions, EdgesOptions, GreyOptions, SmallOptions
from artgen_sources.colour import Grey
from artgen_sources.detail import Blurred, Small
from artgen_sources.edges import FOLLOWED_PX, Edges


def noise(count=3, height=24, width=20):
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(0)) * 2 - 1


def patches(count=3, side_px=48, of_px=8):
    """Pictures of random patches."""
    few = noise(count, side_px // of_px, side_px // of_px)
    return interpolate(few, size=(side_px, side_px), mode="nearest")


def lab(picture):
    """A picture (3, H, W) in [-1, 1] in CIE L*a*b*, by OpenCV: (H, W, 3)."""
    return cv2.cvtColor(((picture + 1) / 2).permute(1, 2, 0).numpy(), cv2.COLOR_RGB2Lab)


# Grey


def test_grey_keeps_the_lightness_and_nothing_of_the_colour():
    pictures = noise()
    for picture, grey in zip(pictures, Grey(GreyOptions())(pictures), strict=True):
        assert torch.equal(grey[0], grey[1])
        assert torch.equal(grey[0], grey[2])
        assert lab(grey)[..., 0] == pytest.approx(lab(picture)[..., 0], abs=0.3)  # of 100
        assert np.abs(lab(grey)[..., 1:]).max() < 0.5  # of 128, to the precision of its tables


def test_grey_pictures_stay_as_they_are():
    levels = torch.linspace(-1, 1, 256).view(1, 1, 16, 16).expand(1, 3, 16, 16)
    torch.testing.assert_close(Grey(GreyOptions())(levels), levels, rtol=0, atol=1e-5)


# Edges


def square(inside=1.0, outside=-1.0):
    picture = torch.full((1, 3, 40, 40), outside)
    picture[:, :, 10:30, 10:30] = inside
    return picture


@pytest.mark.parametrize("blur_px", [0.0, 1.0, 2.0])
def test_the_lines_of_a_square_are_its_outline(blur_px):
    lines = Edges(EdgesOptions(blur_px=blur_px))(square())[0, 0] == -1
    near = torch.zeros(40, 40, dtype=torch.bool)
    near[8:32, 8:32] = True
    near[12:28, 12:28] = False
    assert not (lines & ~near).any()
    sides = lines[14:26].sum(1), lines[:, 14:26].sum(0)  # away from its corners, each row and column crosses two lines
    assert all(side.tolist() == [2] * 12 for side in sides)
    assert 60 <= lines.sum() <= 100  # one pixel wide


def test_lines_are_black_on_white_in_all_channels():
    lines = Edges(EdgesOptions())(patches())
    assert set(lines.unique().tolist()) == {-1, 1}
    assert torch.equal(lines[:, :1].expand_as(lines), lines)
    assert 0.02 < (lines == -1).float().mean() < 0.3
    assert (Edges(EdgesOptions())(torch.full((1, 3, 16, 16), 0.3)) == 1).all()


@pytest.mark.parametrize("blur_px", [0.0, 1.0, 3.0])
@pytest.mark.parametrize(("contrast", "seen"), [(0.25, True), (0.15, False)])
def test_a_threshold_is_a_difference_of_lightness_under_any_blur(blur_px, contrast, seen):
    pictures = square(inside=2 * contrast - 1)
    lines = Edges(EdgesOptions(blur_px=blur_px, strong=0.2, weak=0.2))(pictures)
    assert bool((lines[..., 15:25, :] == -1).any()) is seen


def test_a_weak_line_is_one_where_it_hangs_together_with_a_strong_one():
    contrast = torch.linspace(0.5, 0.1, 81)[(torch.arange(200) - 40).clamp(0, 80)]  # 0.3 at column 80
    picture = torch.full((1, 3, 40, 200), -1.0)
    picture[..., 20:, :] += 2 * contrast
    options = EdgesOptions(strong=0.302, weak=0.06)
    lines = Edges(options)(picture)[0, 0] == -1
    assert lines.any(0).nonzero().flatten().tolist() == [*range(80 + FOLLOWED_PX)]
    alone = Edges(options)(picture[..., 100:])
    assert (alone == 1).all()


def test_edges_are_those_of_canny():
    pictures = patches()
    options = EdgesOptions(blur_px=0, strong=0.3, weak=0.1)
    _, expected = canny(((pictures + 1) / 2), 0.4, 1.2, kernel_size=1)  # a step of 1 has the slope 4
    found = (Edges(options)(pictures)[:, :1] == -1).float()
    assert expected.sum() > 100
    assert (found != expected).float().mean() < 1e-3  # where a slope is as good as a threshold


def test_weak_is_no_more_than_strong():
    with pytest.raises(ValidationError, match=r"weak = 0.5 is more than strong = 0.2"):
        EdgesOptions(weak=0.5, strong=0.2)


# Small and blurred


def test_small_is_the_mean_of_blocks():
    pictures = noise()
    small = Small(SmallOptions(factor=4, enlarge="nearest"))(pictures)
    means = pictures.reshape(3, 3, 6, 4, 5, 4).mean((3, 5))
    torch.testing.assert_close(small, means.repeat_interleave(4, 2).repeat_interleave(4, 3))
    smooth = Small(SmallOptions(factor=4))(pictures)
    expected = cv2.resize(means[0].permute(1, 2, 0).numpy(), (20, 24), interpolation=cv2.INTER_LINEAR)
    torch.testing.assert_close(smooth[0].permute(1, 2, 0), torch.from_numpy(expected), rtol=0, atol=1e-5)


@pytest.mark.parametrize("factor", [3, 7, 64])
def test_sides_that_are_no_multiple_are_taken_too(factor):
    flat = torch.full((1, 3, 20, 17), 0.25)
    torch.testing.assert_close(Small(SmallOptions(factor=factor))(flat), flat)


@pytest.mark.parametrize("sigma_px", [0.5, 2.0, 20.0])
def test_blurred_is_under_a_gaussian(sigma_px):
    pictures = noise()
    reach = int(np.ceil(3 * sigma_px))
    blurred = Blurred(BlurredOptions(sigma_px=sigma_px))(pictures)
    window = (2 * reach + 1, 2 * reach + 1)
    for picture, found in zip(pictures, blurred, strict=True):
        wide = np.pad(picture.permute(1, 2, 0).numpy(), ((reach, reach), (reach, reach), (0, 0)), mode="edge")
        expected = cv2.GaussianBlur(wide, window, sigma_px)[reach:-reach, reach:-reach]
        np.testing.assert_allclose(found.permute(1, 2, 0).numpy(), expected, atol=1e-5)
