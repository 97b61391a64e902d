"""The blur of a Gaussian pyramid, against OpenCV."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from artgen.nn.pixels import blur


@pytest.mark.parametrize("size", [(12, 9), (3, 4)])
def test_blur_is_that_of_a_gaussian_pyramid(size):
    pictures = torch.rand(2, 3, *size, dtype=torch.float64)
    rows = np.array([1, 4, 6, 4, 1]) / 16
    for picture, whole, half in zip(pictures, blur(pictures), blur(pictures, stride=2), strict=True):
        for channel, ours, ours_half in zip(picture.numpy(), whole.numpy(), half.numpy(), strict=True):
            np.testing.assert_allclose(ours, cv2.sepFilter2D(channel, -1, rows, rows), atol=1e-12)
            np.testing.assert_allclose(ours_half, cv2.pyrDown(channel), atol=1e-12)


def test_blur_is_in_fp32_under_autocast():
    pictures = torch.rand(1, 2, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        found = blur(pictures), blur(pictures.bfloat16())
    assert torch.equal(found[0], blur(pictures))
    torch.testing.assert_close(found[1], blur(pictures), rtol=0, atol=4e-3)
