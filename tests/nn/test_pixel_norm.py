"""Pixel norm, halving and doubling, pyramids: against loops over pixels."""

from __future__ import annotations

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from artgen.nn.pixels import downscale, pixel_norm, pyramid, upscale


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(1632)


def test_pixel_norm_is_equation_2_of_section_4_2():
    a = torch.randn(2, 5, 3, 2, dtype=torch.float64)
    b = pixel_norm(a)
    for n in range(2):
        for y in range(3):
            for x in range(2):
                length = (sum(a[n, j, y, x].item() ** 2 for j in range(5)) / 5 + 1e-8) ** 0.5
                assert b[n, :, y, x].tolist() == pytest.approx((a[n, :, y, x] / length).tolist())


def test_pixel_norm_leaves_a_mean_square_of_one_and_no_trace_of_the_scale():
    x = torch.randn(2, 16, 4, 4)
    torch.testing.assert_close(pixel_norm(x).square().mean(dim=1), torch.ones(2, 4, 4))
    torch.testing.assert_close(pixel_norm(1000 * x), pixel_norm(x))


def test_pixel_norm_of_nothing_is_nothing_and_has_finite_derivatives():
    x = torch.zeros(1, 4, 2, 2, requires_grad=True)
    y = pixel_norm(x)
    assert (y == 0).all()
    (gradient,) = torch.autograd.grad((y * torch.randn(1, 4, 2, 2)).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(gradient.square().sum(), x)
    assert gradient.isfinite().all()
    assert second.isfinite().all()


def test_pixel_norm_differentiates_twice():
    x = torch.randn(2, 3, 2, 2, dtype=torch.float64, requires_grad=True)
    assert gradcheck(pixel_norm, x)
    assert gradgradcheck(pixel_norm, x)


def test_pixel_norm_of_bf16_stays_bf16_and_loses_nothing_more():
    x = torch.randn(2, 512, 4, 4).bfloat16()
    y = pixel_norm(x)
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y.float(), pixel_norm(x.float()), rtol=1 / 128, atol=0)


def test_pixel_norm_keeps_channels_last():
    x = torch.randn(2, 8, 3, 5)
    y = pixel_norm(x.contiguous(memory_format=torch.channels_last))
    assert y.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(y, pixel_norm(x))


def test_upscale_repeats_and_downscale_averages():
    x = torch.arange(24.0).view(1, 2, 3, 4)
    large = upscale(x)
    assert large.shape == (1, 2, 6, 8)
    assert all(torch.equal(large[..., i::2, j::2], x) for i in (0, 1) for j in (0, 1))
    assert torch.equal(downscale(large), x)
    y = torch.randn(2, 3, 4, 6)
    blocks = [y[..., i::2, j::2] for i in (0, 1) for j in (0, 1)]
    torch.testing.assert_close(downscale(y), torch.stack(blocks).mean(dim=0))


def test_a_pyramid_holds_means_over_blocks_smallest_first():
    x = torch.randn(2, 3, 8, 16)
    small, middle, large = pyramid(x, 3)
    assert large is x
    torch.testing.assert_close(middle, x.view(2, 3, 4, 2, 8, 2).mean(dim=(3, 5)))
    torch.testing.assert_close(small, x.view(2, 3, 2, 4, 4, 4).mean(dim=(3, 5)))
    assert pyramid(x, 1) == (x,)
