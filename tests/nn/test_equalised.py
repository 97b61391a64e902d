"""Layers with an equalised learning rate, against plain convolutions of weights scaled by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.autograd import gradcheck, gradgradcheck
from torch.func import functional_call
from torch.nn.functional import conv2d

from artgen.nn.equalised import EqualisedConvolution, EqualisedLinear

RESIZES = ("same", "up", "down")


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(1632)


def doubled(x):
    return x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)


def halved(x):
    return (x[..., ::2, ::2] + x[..., 1::2, ::2] + x[..., ::2, 1::2] + x[..., 1::2, 1::2]) / 4


def he(gain, fan_in):
    return gain / math.sqrt(fan_in)


@pytest.mark.parametrize("kernel", [1, 3])
def test_a_convolution_scales_its_weight_by_hes_constant(kernel):
    layer = EqualisedConvolution(5, 7, kernel, gain=1.3)
    layer.bias.data.normal_()
    x = torch.randn(2, 5, 6, 4)
    weight = layer.weight * he(1.3, 5 * kernel * kernel)
    torch.testing.assert_close(layer(x), conv2d(x, weight, layer.bias, padding=kernel // 2))


def test_up_repeats_pixels_before_the_convolution():
    layer = EqualisedConvolution(5, 7, 3, resize="up")
    layer.bias.data.normal_()
    x = torch.randn(2, 5, 4, 3)
    weight = layer.weight.transpose(0, 1).flip(2, 3) * he(math.sqrt(2), 5 * 9)
    torch.testing.assert_close(layer(x), conv2d(doubled(x), weight, layer.bias, padding=1))


def test_down_averages_two_by_two_pixels_after_the_convolution():
    layer = EqualisedConvolution(5, 7, 3, resize="down")
    layer.bias.data.normal_()
    x = torch.randn(2, 5, 8, 6)
    weight = layer.weight * he(math.sqrt(2), 5 * 9)
    torch.testing.assert_close(layer(x), halved(conv2d(x, weight, layer.bias, padding=1)))


def test_a_linear_layer_scales_its_weight_by_hes_constant():
    layer = EqualisedLinear(5, 7, gain=0.4)
    layer.bias.data.normal_()
    x = torch.randn(3, 5)
    torch.testing.assert_close(layer(x), x @ (layer.weight.T * he(0.4, 5)) + layer.bias)
    assert EqualisedLinear(5, 7, bias=False).bias is None


@pytest.mark.parametrize("make", [lambda: EqualisedConvolution(64, 64, 3), lambda: EqualisedLinear(64, 512)])
def test_weights_are_drawn_from_the_unit_normal_and_biases_are_zero(make):
    layer = make()
    error = 5 / layer.weight.numel() ** 0.5
    assert layer.weight.mean().item() == pytest.approx(0, abs=error)
    assert layer.weight.std().item() == pytest.approx(1, abs=error)
    assert (layer.bias == 0).all()


def test_adam_moves_every_layer_by_the_same_share_of_its_scale():
    """What the scaling is for: of plain layers of He's scale a wide one would move by a larger share than a narrow."""
    shares = []
    for width in (4, 256):
        layer = EqualisedLinear(width, 1, bias=False)
        before = layer.weight.detach() * layer.scale
        optimizer = torch.optim.Adam(layer.parameters(), lr=0.1)
        layer(torch.randn(8, width)).sum().backward()
        optimizer.step()
        moved = (layer.weight.detach() * layer.scale - before).square().mean().sqrt()
        shares.append((moved / he(math.sqrt(2), width)).item())
    assert shares == pytest.approx([0.1, 0.1], rel=1e-3)


@pytest.mark.parametrize("resize", RESIZES)
def test_it_differentiates_twice(resize):
    layer = EqualisedConvolution(2, 3, 3, resize=resize).double()
    names, weights = zip(*layer.named_parameters(), strict=True)
    x = torch.randn(2, 2, 4, 2, dtype=torch.float64, requires_grad=True)

    def call(x, *weights):
        return functional_call(layer, dict(zip(names, weights, strict=True)), (x,))

    assert gradcheck(call, (x, *weights))
    assert gradgradcheck(call, (x, *weights))


@pytest.mark.parametrize("resize", RESIZES)
def test_channels_last_gives_the_same_in_channels_last(resize):
    layer = EqualisedConvolution(8, 16, 3, resize=resize)
    x = torch.randn(2, 8, 6, 4)
    expected = layer(x)
    lying = nn.Module.to(layer, memory_format=torch.channels_last)(x.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(lying, expected)
    assert lying.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("resize", RESIZES)
def test_autocast_computes_in_bf16_and_leaves_gradients_in_fp32(resize):
    layer = EqualisedConvolution(8, 16, 3, resize=resize)
    x = torch.randn(2, 8, 6, 4)
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(x)
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y.float(), layer(x), atol=0.06, rtol=0.03)
    y.float().sum().backward()
    assert layer.weight.grad.dtype == torch.float32
