"""The levels of grown networks, against table 2 written out, layer by layer."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn.functional import avg_pool2d, conv2d, interpolate, leaky_relu

from artgen.nn.levels import DoublingLevel, FirstLevel, HalvingLevel, LastLevel, channels
from artgen.training import Size


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(1632)


def with_biases(level):
    for name, parameter in level.named_parameters():
        if name.endswith("bias"):
            parameter.data.normal_()
    return level


def norm(x):
    return x / ((x * x).mean(dim=1, keepdim=True) + 1e-8).sqrt()


def convolved(x, layer, weight=None):
    """A 3x3 convolution with He's constant, its bias, no activation."""
    weight = layer.weight if weight is None else weight
    return conv2d(x, weight * math.sqrt(2 / (9 * x.shape[1])), layer.bias, padding=1)


def lrelu(x):
    return leaky_relu(x, 0.2)


def deviations(x, group):
    """One value a picture: the mean deviation over the pictures that lie N / group apart."""
    n = len(x)
    found = torch.empty(n)
    for i in range(n):
        members = x[i % (n // group) :: n // group]
        found[i] = (members.var(dim=0, correction=0) + 1e-8).sqrt().mean()
    return found


def test_channels_are_those_of_the_authors_for_every_size():
    """nf(stage) = min(8192 / 2^stage, 512), where 4x4 px are stage 1."""
    published = [min(8192 // 2**stage, 512) for stage in range(10)]
    assert [channels(level, 512, 512) for level in range(-1, 9)] == published == [512] * 5 + [256, 128, 64, 32, 16]
    assert [channels(level, 32, 64) for level in range(-1, 6)] == [64, 64, 64, 64, 32, 16, 8]
    assert channels(8, 4, 64) == 1


def test_the_first_level():
    level = with_biases(FirstLevel(6, 5, Size(3, 4)))
    z = torch.randn(2, 6)
    dense = (z @ level.dense.weight.T) * (math.sqrt(2) / 4 / math.sqrt(6))
    h = norm(lrelu(dense.view(2, 5, 3, 4) + level.bias.view(1, 5, 1, 1)))
    torch.testing.assert_close(level(z), norm(lrelu(convolved(h, level.convolution))))


def test_a_doubling_level():
    level = with_biases(DoublingLevel(6, 5))
    x = torch.randn(2, 6, 3, 4)
    weight = level.up.weight.transpose(0, 1).flip(2, 3)
    h = norm(lrelu(convolved(interpolate(x, scale_factor=2.0), level.up, weight)))
    torch.testing.assert_close(level(x), norm(lrelu(convolved(h, level.convolution))))


def test_a_halving_level():
    level = with_biases(HalvingLevel(4, 6, 5))
    x = torch.randn(2, 4, 6, 8)
    h = lrelu(convolved(x, level.convolution))
    torch.testing.assert_close(level(x), lrelu(avg_pool2d(convolved(h, level.down), 2)))


@pytest.mark.parametrize("group", [0, 4])
def test_the_last_level(group):
    level = with_biases(LastLevel(4, 6, 5, Size(3, 2), group))
    x = torch.randn(8, 4, 3, 2)
    h = x
    if group:
        h = torch.cat([x, deviations(x, group).view(8, 1, 1, 1).expand(8, 1, 3, 2)], dim=1)
    h = lrelu(convolved(h, level.convolution)).reshape(8, 36)
    h = lrelu(h @ level.hidden.weight.T * math.sqrt(2 / 36) + level.hidden.bias)
    logits = (h @ level.score.weight.T / math.sqrt(5) + level.score.bias)[:, 0]
    torch.testing.assert_close(level(x), logits)


def test_activations_keep_their_scale_at_the_start():
    """What He's constant is for: through six levels neither side's features fade or explode."""
    h = FirstLevel(64, 64, Size(4, 4))(torch.randn(4, 64))
    for _ in range(3):
        h = DoublingLevel(64, 64)(h)
    assert h.square().mean().item() == pytest.approx(1, rel=1e-3)
    for _ in range(3):
        h = HalvingLevel(64, 64, 64)(h)
    assert 0.1 < h.square().mean().sqrt().item() < 3
