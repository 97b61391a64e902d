"""The covariance loss against numpy, in tiles, regions and company."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch.autograd import gradcheck

from artgen import RecipeError
from artgen.training import Features, Outputs, Wanted
from artgen_style import CovarianceOptions
from artgen_style.covariance import Covariance

NAMES = ("fine", "middle", "coarse")
CHANNELS = (4, 6, 5)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(1632)


class Named(Features):
    """Says what a loss asks of features."""

    layers = style_layers = NAMES
    strides = (1, 2, 8)


def activations(count=1, height=13, width=10):
    """Skewed noise at the sizes that Named tells; the last layer has a larger stride than twice its neighbour's."""
    sizes = [(-(-height // stride), -(-width // stride)) for stride in (1, 2, 8)]
    return {
        name: torch.rand(count, channels, *size, dtype=torch.float64).square()
        for name, channels, size in zip(NAMES, CHANNELS, sizes, strict=True)
    }


def laid(features, **others):
    return Outputs(made_features=features, features=Named(), **others)


def value(loss, made, styles, regions=(None,), measured=None):
    """The loss of activations `made`, whose style is a tuple of (activations, weight, region)."""
    wanted = tuple(
        Wanted(weight, region, {loss: loss.measure(laid(style))[0]}, torch.zeros(1, 3, 1, 1))
        for style, weight, region in styles
    )
    outputs = laid(made, regions=regions, styles=wanted)
    return loss.generator(replace(outputs, measured={loss: measured or loss.measure(outputs)}))


def loss(**options):
    return Covariance(CovarianceOptions(**options))


def by_hand(made, style, across_maps=0, weights=(1, 1, 1)):
    """Of one picture against one style, with numpy's covariances of normalised maps."""
    made, style = ([features[name][0].numpy() for name in NAMES] for features in (made, style))
    deviations = [np.sqrt(np.var(maps, axis=(1, 2)) + 1e-6) for maps in style]
    terms, factors = [], []

    def flat(maps, deviation):
        return maps.reshape(len(maps), -1) / deviation[:, None]

    def pooled(maps, size):
        means = [[maps[:, 2 * y : 2 * y + 2, 2 * x : 2 * x + 2].mean((1, 2)) for x in range(size[1])]
                 for y in range(size[0])]  # fmt: skip
        return np.moveaxis(np.array(means), 2, 0)

    def error(found, wanted):
        return np.square(found - wanted).sum() / np.square(wanted).sum()

    for ours, theirs, deviation, weight in zip(made, style, deviations, weights, strict=True):
        x, s = flat(ours, deviation), flat(theirs, deviation)
        means = np.square(x.mean(1) - s.mean(1)).sum() / (np.square(s.mean(1)).sum() + len(s))
        terms.append(error(np.cov(x, bias=True), np.cov(s, bias=True)) + means)
        factors.append(weight)
    if across_maps:
        both = []
        for maps in (made, style):
            fine = flat(pooled(maps[0], maps[1].shape[1:])[:across_maps], deviations[0][:across_maps])
            both.append(np.cov(fine, flat(maps[1], deviations[1])[:across_maps], bias=True)[:across_maps, across_maps:])
        terms.append(error(*both))
        factors.append(weights[1])
    return np.average(terms, weights=factors)


@pytest.mark.parametrize("options", [{}, {"across_maps": 3}, {"across_maps": 3, "layer_weights": (1, 2, 0.5)}])
def test_it_is_the_relative_error_of_covariances_and_means(options):
    made, style = activations(), activations(height=8, width=15)
    expected = by_hand(made, style, options.get("across_maps", 0), options.get("layer_weights", (1, 1, 1)))
    assert value(loss(**options), made, [(style, 1, 0)]).item() == pytest.approx(expected, rel=1e-9)


def test_the_style_itself_is_at_no_distance_and_scales_do_not_matter():
    made, style = activations(), activations()
    judge = loss(across_maps=4)
    assert value(judge, style, [(style, 1, 0)]).item() == pytest.approx(0, abs=1e-12)
    larger = [{name: maps * 1000 for name, maps in x.items()} for x in (made, style)]
    assert value(judge, larger[0], [(larger[1], 1, 0)]).item() == pytest.approx(
        value(judge, made, [(style, 1, 0)]).item(), rel=1e-3
    )


def test_what_tiles_measure_adds_up():
    made = activations(2, 27, 20)
    judge = loss(across_maps=4)
    regions = (None, {name: torch.rand(2, 1, *maps.shape[2:], dtype=torch.float64) for name, maps in made.items()})
    whole = judge.measure(laid(made, regions=regions))

    def cut(maps, stride, top, left):
        return maps[..., top // stride : (top + 16) // stride, left // stride : (left + 16) // stride]

    added = None
    for top, left in ((0, 0), (0, 16), (16, 0), (16, 16)):
        tile = {
            name: cut(maps, stride, top, left) for (name, maps), stride in zip(made.items(), (1, 2, 8), strict=True)
        }
        there = tuple(
            region and {name: cut(region[name], s, top, left) for name, s in zip(NAMES, (1, 2, 8), strict=True)}
            for region in regions
        )
        found = judge.measure(laid(tile, regions=there))
        found = [torch.cat([tensor.expand(2, *tensor.shape[1:]).flatten() for tensor in region]) for region in found]
        added = found if added is None else [a + b for a, b in zip(added, found, strict=True)]
    for region, sums in zip(whole, added, strict=True):
        torch.testing.assert_close(torch.cat([x.expand(2, *x.shape[1:]).flatten() for x in region]), sums)


def test_a_region_is_measured_like_a_picture_of_its_own():
    made, style = activations(1, 16, 16), activations()
    left = {name: (torch.arange(maps.shape[3]) < maps.shape[3] // 2).double().expand(1, 1, *maps.shape[2:])
            for name, maps in made.items()}  # fmt: skip
    half = {name: maps[..., : maps.shape[3] // 2] for name, maps in made.items()}
    judge = loss(across_maps=2)
    expected = value(judge, half, [(style, 1, 0)])
    torch.testing.assert_close(value(judge, made, [(style, 1, 1)], regions=(None, left)), expected)


def test_batches_and_styles_are_sums():
    made, styles = activations(3), [activations(), activations()]
    judge = loss(across_maps=2)
    together = value(judge, made, [(styles[0], 0.3, 0), (styles[1], 0.7, 0)])
    apart = sum(
        share * value(judge, {name: maps[n : n + 1] for name, maps in made.items()}, [(style, 1, 0)])
        for n in range(3)
        for style, share in zip(styles, (0.3, 0.7), strict=True)
    )
    torch.testing.assert_close(together, apart)


def test_of_a_small_style_only_the_layers_that_it_has_are_compared():
    made, style = activations(), activations()
    shallow = {name: style[name] for name in NAMES[:2]}
    expected = value(loss(layers=NAMES[:2]), made, [(style, 1, 0)])
    torch.testing.assert_close(value(loss(), made, [(shallow, 1, 0)]), expected)


def test_a_map_that_is_still_in_the_style_is_no_division_by_nought():
    made, style = activations(), activations()
    style["fine"][:, 0] = 0.25
    assert value(loss(across_maps=2), made, [(style, 1, 0)]).isfinite()
    even = {name: torch.ones_like(maps) for name, maps in style.items()}
    assert value(loss(across_maps=2), made, [(even, 1, 0)]).isfinite()


def test_a_region_that_is_nowhere_moves_nothing():
    made, style = activations(), activations()
    nowhere = {name: torch.zeros(1, 1, *maps.shape[2:], dtype=torch.float64) for name, maps in made.items()}
    inputs = [maps.requires_grad_() for maps in made.values()]
    found = value(loss(across_maps=2), made, [(style, 1, 0)], regions=(nowhere,))
    assert found.isfinite()
    assert all((gradient == 0).all() for gradient in torch.autograd.grad(found, inputs))


def test_the_gradient_is_right():
    made, style = activations(2), activations()
    judge = loss(across_maps=3)

    def of(*maps):
        return value(judge, dict(zip(NAMES, maps, strict=True)), [(style, 1, 0)])

    assert gradcheck(of, tuple(made[name].requires_grad_() for name in NAMES), fast_mode=True)


def test_in_bf16_it_is_near_what_it_is_in_fp32():
    made, style = ({name: maps.float() for name, maps in activations(1, 64, 64).items()} for _ in range(2))
    made = {name: maps.square() for name, maps in made.items()}
    half = {name: maps.bfloat16().requires_grad_() for name, maps in made.items()}
    judge = loss(across_maps=3)
    with torch.autocast("cpu", torch.bfloat16):
        found = value(judge, half, [(style, 1, 0)])
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(value(judge, made, [(style, 1, 0)]).item(), rel=0.05)
    found.backward()
    assert all(maps.grad.isfinite().all() for maps in half.values())


def test_layers_that_are_not_there_and_factors_without_a_layer_are_refused():
    with pytest.raises(RecipeError, match="no layer deep") as caught:
        loss(layers=("fine", "deep")).measure(laid(activations()))
    assert "fine, middle, coarse" in caught.value.remedy
    with pytest.raises(RecipeError, match="2 weights for the 3 layers fine, middle, coarse"):
        loss(layer_weights=(1, 2)).measure(laid(activations()))
    with pytest.raises(ValidationError, match="1 layers and 2 layer_weights"):
        CovarianceOptions(layers=("fine",), layer_weights=(1, 2))


def test_across_needs_strides():
    outputs = replace(laid(activations()), features=type("Plain", (Named,), {"strides": ()})())
    with pytest.raises(RecipeError, match="do not tell the strides"):
        loss(across_maps=1).measure(outputs)


def test_odd_sides_under_autocast():
    loss = Covariance(CovarianceOptions(across_maps=2))
    with torch.autocast("cpu", torch.bfloat16):
        maps = {"fine": torch.rand(1, 4, 9, 7).bfloat16(), "middle": torch.rand(1, 4, 5, 4).bfloat16()}
        (measured,) = loss.measure(Outputs(features=Named(), made_features=maps))
    assert all(tensor.dtype == torch.float32 and tensor.isfinite().all() for tensor in measured)
