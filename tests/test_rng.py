"""Every draw is a function of (seed, purpose, index)."""

from __future__ import annotations

import random
from contextlib import suppress

import numpy as np
import torch

from artgen.rng import derived_seed, drawing, numpy_generator, permutation, seed_everything


def test_derived_seeds_never_change():
    """A literal: the pictures of every seed that somebody wrote down hang on it."""
    assert derived_seed(1632, "step", 7) == 2945206299960009156


def test_derived_seeds_differ_in_every_argument_and_fit_63_bits():
    seeds = [
        derived_seed(seed, purpose, index)
        for seed in (0, 1, 11, -1)
        for purpose in ("a", "b", "a/1", "1")
        for index in range(50)
    ]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert max(seeds) > 2**62  # all 63 are used


def test_numpy_generators_are_functions_of_their_arguments():
    draws = numpy_generator(1, "data", 2).random(8)
    assert np.array_equal(draws, numpy_generator(1, "data", 2).random(8))
    assert not np.array_equal(draws, numpy_generator(1, "data", 3).random(8))
    assert not np.array_equal(draws, numpy_generator(1, "crop", 2).random(8))


def test_a_permutation_holds_everything_once_in_another_order_each_epoch():
    first, second = permutation(5, "order", 0, 100), permutation(5, "order", 1, 100)
    assert sorted(first) == sorted(second) == list(range(100))
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, np.arange(100))
    assert np.array_equal(first, permutation(5, "order", 0, 100))


def _draw_everywhere():
    return torch.rand(1).item(), np.random.rand(), random.random()  # noqa: NPY002  # the global generators are meant


def test_seeding_reaches_the_generators_of_torch_numpy_and_python():
    seed_everything(3, "step", 10)
    first = _draw_everywhere()
    between = _draw_everywhere()
    seed_everything(3, "step", 10)
    assert _draw_everywhere() == first
    seed_everything(3, "step", 11)
    other = _draw_everywhere()
    for values in zip(first, between, other, strict=True):
        assert len(set(values)) == 3


def test_drawing_is_repeatable_and_leaves_the_global_generator_as_it_was():
    torch.manual_seed(0)
    expected = torch.rand(4)
    torch.manual_seed(0)
    with drawing(1, "weights"):
        inside = torch.rand(4)
        with drawing(1, "other"):
            assert not torch.equal(torch.rand(4), inside)
        following = torch.rand(4)
    assert torch.equal(torch.rand(4), expected)
    with drawing(1, "weights"):
        assert torch.equal(torch.rand(4), inside)
        assert torch.equal(torch.rand(4), following)


def test_drawing_restores_after_an_error():
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    with suppress(ValueError), drawing(1, "weights"):
        torch.rand(1)
        raise ValueError
    assert torch.equal(torch.rand(1), expected)
