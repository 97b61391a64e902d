"""The minibatch standard deviation channel."""

from __future__ import annotations

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from artgen.nn.minibatch import MinibatchDeviation


def by_loops(x, group):
    """What the paper says, a picture at a time: members of a group lie N/G apart, as in PGGAN's code."""
    n = len(x)
    while n % group:
        group -= 1
    values = torch.empty(n, dtype=x.dtype)
    for i in range(n):
        members = [j for j in range(n) if j % (n // group) == i % (n // group)]
        assert len(members) == group
        total = 0.0
        for place in torch.cartesian_prod(*(torch.arange(side) for side in x.shape[1:])):
            c, h, w = place
            column = [x[j, c, h, w].item() for j in members]
            mean = sum(column) / group
            total += (sum((value - mean) ** 2 for value in column) / group + 1e-8) ** 0.5
        values[i] = total / x[0].numel()
    return values


@pytest.mark.parametrize(("n", "group"), [(8, 4), (6, 4), (4, 4), (2, 4), (1, 4), (5, 4), (9, 64)])
def test_it_equals_plain_loops(n, group):
    torch.manual_seed(n)
    x = torch.randn(n, 2, 3, 2, dtype=torch.float64)
    y = MinibatchDeviation(group)(x)
    assert y.shape == (n, 3, 3, 2)
    assert torch.equal(y[:, :2], x)
    torch.testing.assert_close(y[:, 2], by_loops(x, group)[:, None, None].expand(n, 3, 2))


def test_groups_do_not_mix():
    torch.manual_seed(0)
    x = torch.randn(8, 2, 2, 2)
    changed = x.clone()
    changed[3] += 1  # with N/G = 2 it belongs to the odd ones
    before, after = MinibatchDeviation(4)(x)[:, 2, 0, 0], MinibatchDeviation(4)(changed)[:, 2, 0, 0]
    assert torch.equal(before[0::2], after[0::2])
    assert (before[1::2] != after[1::2]).all()


def test_collapse_shows():
    one = torch.randn(1, 3, 4, 4)
    assert MinibatchDeviation(4)(one.expand(8, 3, 4, 4))[:, 3].max() < 2e-4
    assert MinibatchDeviation(4)(torch.randn(8, 3, 4, 4))[:, 3].min() > 0.3


def test_bf16_is_computed_in_full_and_returned_as_bf16():
    x = (100 + torch.randn(4, 2, 4, 4)).bfloat16()
    y = MinibatchDeviation(4)(x)
    assert y.dtype == torch.bfloat16
    assert torch.equal(y[:, 2], MinibatchDeviation(4)(x.float())[:, 2].bfloat16())


def test_channels_last_gives_the_same():
    x = torch.randn(8, 4, 3, 5)
    assert torch.equal(MinibatchDeviation(4)(x), MinibatchDeviation(4)(x.contiguous(memory_format=torch.channels_last)))


def test_it_differentiates_twice():
    torch.manual_seed(0)
    x = torch.randn(4, 1, 2, 2, dtype=torch.float64, requires_grad=True)
    assert gradcheck(MinibatchDeviation(2), x)
    assert gradgradcheck(MinibatchDeviation(2), x)


def test_the_second_derivative_is_finite_where_all_pictures_are_equal():
    x = torch.ones(4, 1, 2, 2, requires_grad=True)
    (gradient,) = torch.autograd.grad(MinibatchDeviation(4)(x).square().sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(gradient.square().sum(), x)
    assert gradient.isfinite().all()
    assert second.isfinite().all()
