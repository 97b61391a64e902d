"""The content loss of lightness against OpenCV, and what it leaves to the style."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from artgen.training import Outputs
from artgen_style import LaplacianOptions
from artgen_style.laplacian import Laplacian


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(1632)


def pictures(count=1, height=40, width=33):
    return torch.rand(count, 3, height, width, dtype=torch.float64) * 2 - 1


def value(made, source, octaves=5):
    return Laplacian(LaplacianOptions(octaves=octaves)).generator(Outputs(made=made, source=source))


def by_hand(made, source, octaves):
    """Of two pictures (3, H, W)."""
    weights = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 256

    def bands(picture):
        octave, found = (picture.numpy().mean(0) + 1) / 2, []
        for _ in range(octaves):
            found.append(octave - cv2.filter2D(octave, -1, weights))
            octave = cv2.pyrDown(octave)
        return [*found[1:], octave]

    pairs = zip(bands(made), bands(source), strict=True)
    return np.mean([np.square(x - s).mean() / (s.var() + 1e-5) for x, s in pairs])


@pytest.mark.parametrize("octaves", [1, 2, 3])
def test_it_is_the_error_of_bands_over_their_variance(octaves):
    made, source = pictures(), pictures()
    assert value(made, source, octaves).item() == pytest.approx(by_hand(made[0], source[0], octaves), rel=1e-9)


def test_small_pictures_have_fewer_bands():
    made, source = pictures(), pictures()
    assert value(made, source, 9) == value(made, source, 3)  # 33, 17 and 9 px; 5 px are too few


def test_the_finest_band_and_colours_are_free():
    source = pictures(1, 64, 64) / 2
    fine = 0.3 * (-1.0) ** (torch.arange(64).view(-1, 1) + torch.arange(64))
    assert value(source + fine, source) < 1e-3
    assert value(source + 0.3 * torch.arange(64).div(8).cos(), source) > 0.1
    colour = torch.tensor([0.2, -0.3, 0.1], dtype=torch.float64).view(3, 1, 1)
    assert value(source + colour, source) < 1e-12


def test_a_batch_is_the_sum_of_its_pictures():
    made, source = pictures(3), pictures(3)
    apart = sum(value(x, s) for x, s in zip(made.split(1), source.split(1), strict=True))
    torch.testing.assert_close(value(made, source), apart)


def test_the_gradient_is_right_and_an_even_content_is_no_division_by_nought():
    made = pictures(2).requires_grad_()
    assert gradcheck(lambda x: value(x, pictures(2) * 0), (made,), fast_mode=True)


def test_bf16_counts_in_fp32():
    made, source = pictures().bfloat16(), pictures().bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        found = value(made, source)
    torch.testing.assert_close(found, value(made.float(), source.float()))
