"""The losses of style transfer against plain formulas, and what every one of them promises beside them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import scipy.linalg
import torch
from pydantic import ValidationError
from torch.autograd import gradcheck

from artgen import LossOptions, RecipeError
from artgen.rng import drawing
from artgen.testing.filters import SmallFeatures
from artgen.training import Features, Losses, LossTerm, Motion, Outputs, Wanted
from artgen_style import (
    ContentOptions,
    GramOptions,
    HistogramOptions,
    LayerOptions,
    SlicedOptions,
    VariationOptions,
    artgen_losses,
)
from artgen_style.content import Content
from artgen_style.gram import Gram
from artgen_style.pixels import Temporal, TotalVariation
from artgen_style.sliced import Histogram, SlicedWasserstein, lattice, quantiles
from artgen_style.wasserstein import Wasserstein, bures

STYLE_LOSSES = {
    "gram": lambda **options: Gram(GramOptions(**options)),
    "gram-gatys": lambda **options: Gram(GramOptions(normalisation="gatys", **options)),
    "gram-gradient": lambda **options: Gram(GramOptions(normalisation="gradient", **options)),
    "wasserstein-2": lambda **options: Wasserstein(LayerOptions(**options)),
    "sliced-wasserstein": lambda **options: SlicedWasserstein(SlicedOptions(**options)),
    "histogram": lambda **options: Histogram(HistogramOptions(**options)),
}
every_style_loss = pytest.mark.parametrize("make", STYLE_LOSSES.values(), ids=STYLE_LOSSES.keys())
PICTURE = torch.zeros(1, 3, 8, 8)
SHAPES = {"shallow": (3, 8, 6), "deep": (5, 4, 3)}
STYLE_SHAPES = {"shallow": (3, 6, 10), "deep": (5, 3, 5)}


class Named(Features):
    layers = ("shallow", "deep")
    style_layers = ("shallow", "deep")
    content_layers = ("deep",)


def activations(shapes=SHAPES, count=1, seed=0, dtype=torch.float32):
    draw = torch.Generator().manual_seed(seed)
    return {
        name: (torch.randn(count, *shape, generator=draw, dtype=torch.float64) + 0.3).relu().to(dtype)
        for name, shape in shapes.items()
    }


def measured(loss, made, regions=(None,), **more):
    with drawing(0, "lattice"):
        return loss.measure(Outputs(features=Named(), made_features=made, regions=regions, **more))


def value(loss, made, *styles, regions=(None,), parts=None):
    """What a loss finds: styles are (weight, region, activations)."""
    parts = parts or [None] * len(styles)
    wanted = tuple(
        Wanted(weight, region, {loss: measured(loss, style, (part,))[0]}, PICTURE, part)
        for (weight, region, style), part in zip(styles, parts, strict=True)
    )
    found = {loss: measured(loss, made, regions)}
    with drawing(0, "directions"):
        return loss.generator(Outputs(features=Named(), styles=wanted, measured=found, regions=regions))


def against(loss, made, style, **more):
    return value(loss, made, (1.0, 0, style), **more)


def rows(layer):
    """One picture's activations as a matrix of positions by channels, in float64."""
    (x,) = layer.double().numpy()
    return np.array([x[:, i, j] for i in range(x.shape[1]) for j in range(x.shape[2])])


# Content


def content(made, source, **options):
    loss = Content(ContentOptions(**options))
    found = {loss: measured(loss, made, source_features=source)}
    return loss.generator(Outputs(features=Named(), measured=found))


def test_content_is_the_squared_difference_over_the_squares_or_their_mean():
    made, source = activations(seed=1), activations(seed=2)
    squares = (rows(made["deep"]) - rows(source["deep"])) ** 2
    found = content(made, source, normalisation="mean-square").item()
    assert found == pytest.approx(squares.mean(), rel=1e-5)
    assert content(made, source).item() == pytest.approx(squares.sum() / (rows(source["deep"]) ** 2).sum(), rel=1e-5)
    assert content(made, made).item() == 0


def test_content_adds_up_pictures_and_layers_by_their_weights():
    made, source = activations(count=2, seed=1), activations(count=2, seed=2)
    difference = [((made[name] - source[name]) ** 2).mean(dim=(1, 2, 3)).sum().item() for name in ("deep", "shallow")]
    chosen = {"layers": ("deep", "shallow"), "layer_weights": (3.0, 1.0)}
    found = content(made, source, normalisation="mean-square", **chosen).item()
    assert found == pytest.approx(0.75 * difference[0] + 0.25 * difference[1], rel=1e-5)


def test_content_of_a_picture_of_a_style_is_nothing():
    assert Content(ContentOptions()).measure(Outputs(features=Named(), made_features=activations())) == ((),)


# Gram matrices


def gram_of(layer):
    products = np.zeros((layer.shape[1], layer.shape[1]))
    for f in rows(layer):
        products += np.outer(f, f)
    return products / len(rows(layer))


def gram_distance(normalisation, g, a):
    squares, count = 0.0, len(g)
    for i in range(count):
        for j in range(count):
            squares += (g[i, j] - a[i, j]) ** 2
    if normalisation == "gatys":
        return squares / count**2 / count**2  # nn.MSELoss, times 1 / C^2
    return squares / (np.abs(g - a).sum() if normalisation == "gradient" else (a**2).sum())


@pytest.mark.parametrize("normalisation", ["relative", "gatys", "gradient"])
def test_gram_against_loops(normalisation):
    made, style = activations(seed=1), activations(STYLE_SHAPES, seed=2)
    expected = [gram_distance(normalisation, gram_of(made[name]), gram_of(style[name])) for name in SHAPES]
    found = against(Gram(GramOptions(normalisation=normalisation)), made, style).item()
    assert found == pytest.approx(np.mean(expected), rel=1e-5)


def test_gram_knows_no_scale_unless_asked():
    made, style = activations(seed=1), activations(STYLE_SHAPES, seed=2)
    louder = [{name: 100 * x for name, x in layers.items()} for layers in (made, style)]
    found = against(STYLE_LOSSES["gram"](), made, style).item()
    assert against(STYLE_LOSSES["gram"](), *louder).item() == pytest.approx(found, rel=1e-5)
    gatys = against(STYLE_LOSSES["gram-gatys"](), made, style).item()
    assert against(STYLE_LOSSES["gram-gatys"](), *louder).item() == pytest.approx(1e8 * gatys, rel=1e-5)


def test_gradient_of_the_gradient_form_has_norm_one():
    """Exactly so where all entries of the Gram matrix differ by the same."""
    loss, style = STYLE_LOSSES["gram-gradient"](layers=("deep",)), activations(seed=2)
    target = loss.measure(Outputs(features=Named(), made_features=style))[0]
    g = (target[0] / target[1] + 0.7).requires_grad_()
    loss.distance((g * target[1], target[1]), target).sum().backward()
    assert g.grad.abs().sum().item() == pytest.approx(1, rel=1e-4)


def test_a_layer_that_is_dead_in_the_style_stays_finite():
    made = {name: x.requires_grad_() for name, x in activations(seed=1).items()}
    dead = {name: torch.zeros_like(x) for name, x in activations(STYLE_SHAPES).items()}
    for make in STYLE_LOSSES.values():
        found = against(make(), made, dead)
        gradients = torch.autograd.grad(found, list(made.values()))
        assert found.isfinite()
        assert all(gradient.isfinite().all() for gradient in gradients)
        assert found > 0


# Gaussians


def wasserstein_of(x, s):
    """The squared distance of two Gaussians by SciPy, over the number of channels, C + 1e-4 mean square of s."""
    epsilon = 1e-4 * np.mean(s**2) * np.eye(x.shape[1])
    c_x, c_s = (np.cov(samples.T, bias=True) + epsilon for samples in (x, s))
    root = scipy.linalg.sqrtm(c_s)
    work = np.trace(c_x + c_s - 2 * scipy.linalg.sqrtm(root @ c_x @ root)).real
    return (np.sum((x.mean(axis=0) - s.mean(axis=0)) ** 2) + work) / x.shape[1]


def test_wasserstein_against_scipy():
    made, style = activations(seed=1), activations(STYLE_SHAPES, seed=2)
    expected = np.mean([wasserstein_of(rows(made[name]), rows(style[name])) for name in SHAPES])
    assert against(STYLE_LOSSES["wasserstein-2"](), made, style).item() == pytest.approx(expected, rel=1e-4)


def test_bures_of_commuting_covariances_is_the_distance_of_deviations():
    x, s = torch.tensor([4.0, 9.0, 0.0]).double(), torch.tensor([1.0, 16.0, 0.0]).double()
    turn = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(0)).double()).Q
    c_x, c_s = (turn @ variances.diag() @ turn.T for variances in (x, s))
    found = bures(c_x[None], c_s[None], torch.tensor([1e-12]).double())
    assert found.item() == pytest.approx((2 - 1) ** 2 + (3 - 4) ** 2, rel=1e-6)


@pytest.mark.parametrize("variances", [[1.0, 2.0, 3.0], [2.0, 2.0, 2.0], [2.0, 2.0, 0.0], [1e4, 1.0, 0.0]])
def test_gradient_of_bures(variances):
    """Right also where eigenvalues are equal, or zero but for epsilon."""
    epsilon, c_s = torch.tensor([0.01]).double(), torch.eye(3).double()[None]
    c_x = torch.tensor(variances).double().diag()[None].requires_grad_()
    assert gradcheck(lambda c: bures((c + c.mT) / 2, c_s, epsilon), c_x)


@pytest.mark.parametrize("positions", [3, 40])
def test_degenerate_covariances_have_finite_gradients_that_vanish_at_the_style(positions):
    """Fewer positions than channels, dead channels, and channels that are copies of each other."""
    x = torch.randn(1, 24, 1, positions, generator=torch.Generator().manual_seed(0)).relu() * 30
    x[:, 5:9], x[:, 10] = 0, x[:, 11]
    x.requires_grad_()
    loss = Wasserstein(LayerOptions(layers=("deep",)))
    found = against(loss, {"deep": x}, {"deep": x.detach()})
    (gradient,) = torch.autograd.grad(found, x)
    (slope,) = torch.autograd.grad(against(loss, {"deep": x}, {"deep": x.detach().flip(1)}), x)
    assert slope.isfinite().all()
    assert gradient.abs().max() < 1e-3 * slope.abs().max()


# Sorted activations


def transport(x, s):
    """The mean squared way from samples x to s, equally many: the smallest goes to the smallest."""
    return np.mean((np.sort(x) - np.sort(s)) ** 2)


def test_histogram_is_the_shortest_way_of_each_channel():
    made, style = activations(seed=1), activations(seed=2)
    expected = [
        np.mean([transport(x, s) for x, s in zip(rows(made[name]).T, rows(style[name]).T, strict=True)])
        for name in SHAPES
    ]
    assert against(STYLE_LOSSES["histogram"](), made, style).item() == pytest.approx(np.mean(expected), rel=1e-5)


def test_sliced_is_the_shortest_way_along_directions():
    """As an average over many directions; of one direction it is the plain formula."""
    made, style = activations(seed=1), activations(seed=2)
    x, s = rows(made["deep"]), rows(style["deep"])
    directions = np.random.default_rng(0).normal(size=(20_000, 5))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    expected = np.mean([transport(x @ v, s @ v) for v in directions])
    found = against(STYLE_LOSSES["sliced-wasserstein"](layers=("deep",), directions=20_000), made, style).item()
    assert found == pytest.approx(expected, rel=0.02)


def test_sliced_of_two_heaps_that_are_shifted():
    """All move by d; the mean over directions of (d v)^2 is |d|^2 / C."""
    made = activations(seed=1)
    shift = torch.tensor([1.0, 2.0, 0.0, -1.0, 3.0])
    style = {"deep": made["deep"] + shift[:, None, None]}
    found = against(STYLE_LOSSES["sliced-wasserstein"](layers=("deep",), directions=20_000), made, style).item()
    assert found == pytest.approx(15 / 5, rel=0.02)


def test_gradient_of_histogram_leads_to_the_matched_histogram():
    made, style = activations(seed=1, dtype=torch.float64), activations(seed=2, dtype=torch.float64)
    x = made["deep"].requires_grad_()
    (gradient,) = torch.autograd.grad(against(STYLE_LOSSES["histogram"](layers=("deep",)), {"deep": x}, style), x)
    matched = np.empty((12, 5))
    for channel in range(5):
        order = np.argsort(rows(x.detach())[:, channel], kind="stable")
        matched[order, channel] = np.sort(rows(style["deep"])[:, channel])
    expected = 2 * (rows(x.detach()) - matched) / matched.size
    assert np.allclose(np.sort(rows(gradient), axis=0), np.sort(expected, axis=0))


def quantile(values, shares, level):
    """The smallest value at or below which lies at least this part of the weight."""
    order, reached = np.argsort(values), 0.0
    for index in order:
        reached += shares[index]
        if reached >= level * sum(shares) - 1e-9:
            return values[index]
    raise AssertionError


@pytest.mark.parametrize("levels", [5, 8, 13])
def test_quantiles_against_loops(levels):
    draw = np.random.default_rng(1)
    values, shares = draw.normal(size=(2, 3, 8)), draw.uniform(size=(2, 8)) * (draw.uniform(size=(2, 8)) < 0.7)
    middles = [(j + 0.5) / levels for j in range(levels)]
    found = quantiles(torch.tensor(values), torch.tensor(shares), levels=levels)
    alike = quantiles(torch.tensor(values), levels=levels)
    for n in range(2):
        for d in range(3):
            expected = [quantile(values[n, d], shares[n], level) for level in middles]
            assert found[n, d].tolist() == pytest.approx(expected)
            assert alike[n, d].tolist() == pytest.approx([quantile(values[n, d], [1.0] * 8, x) for x in middles])


def test_equal_shares_are_sorting():
    values = torch.randn(1, 2, 4096, generator=torch.Generator().manual_seed(0))
    assert torch.equal(quantiles(values, torch.ones(1, 4096), levels=4096), values.sort().values)


@pytest.mark.parametrize(("length", "step"), [(12, 3), (13, 3), (5, 5), (7, 1), (3, 8)])
def test_each_row_is_as_likely_on_the_lattice(length, step):
    counts = np.zeros(length)
    with drawing(0, "rows"):
        for _ in range(2000):
            found = lattice(length, step, torch.device("cpu")).tolist()
            assert len(set(found)) == len(found) == math.ceil(length / step)
            counts[found] += 1
    assert counts / 2000 == pytest.approx(math.ceil(length / step) / length, abs=0.05)


def test_a_large_layer_is_sampled():
    x = torch.randn(1, 3, 100, 80, generator=torch.Generator().manual_seed(0))
    (values,) = measured(Histogram(HistogramOptions(layers=("deep",), positions=500)), {"deep": x})[0]
    assert values.shape == (1, 3, 25 * 20)
    assert np.isin(values.numpy(), x.numpy()).all()
    assert len(np.unique(values)) == 3 * 500


# Pixels


def pictures(count=2, seed=0, dtype=torch.float64):
    return torch.rand(count, 3, 6, 5, generator=torch.Generator().manual_seed(seed), dtype=dtype) * 2 - 1


def variation(form, picture):
    """By loops over pixels, of one picture (3, H, W)."""
    _, height, width = picture.shape
    down, across, falling, rising = [], [], [], []
    for y in range(height):
        for x in range(width):
            here = picture[:, y, x]
            below, right, left = min(y + 1, height - 1), min(x + 1, width - 1), max(x - 1, 0)
            if form == "nine-point" or y + 1 < height:
                down.append(picture[:, below, x] - here)
            if form == "nine-point" or x + 1 < width:
                across.append(picture[:, y, right] - here)
            falling.append(picture[:, below, right] - here)
            rising.append(picture[:, below, left] - here)
    if form == "l1":
        return np.abs(down).mean() + np.abs(across).mean()
    axes, diagonals = [np.square(x).mean() for x in (down, across)], [np.square(x).mean() for x in (falling, rising)]
    return sum(axes) if form == "l2" else 2 * (sum(axes) / 3 + sum(diagonals) / 12)


@pytest.mark.parametrize("form", ["l1", "l2", "nine-point"])
def test_total_variation_against_loops(form):
    loss, x = TotalVariation(VariationOptions(form=form)), pictures()
    found = loss.generator(Outputs(made=x)).item()
    assert found == pytest.approx(sum(variation(form, picture) for picture in x.numpy()))
    assert loss.generator(Outputs(made=torch.full_like(x, 0.5))).item() == 0
    assert gradcheck(lambda made: loss.generator(Outputs(made=made)), pictures(1).requires_grad_())


def test_nine_points_weigh_a_slope_alike_in_every_direction():
    """Of a plane wave that is long, variation depends little on where it runs; the two axes alone are no better."""
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    loss = TotalVariation(VariationOptions(form="nine-point"))
    found = [
        loss.generator(Outputs(made=torch.sin(2 * math.pi * (a * x + b * y) / 64).expand(1, 3, 64, 64))).item()
        for a, b in ((5, 0), (0, 5), (4, 3), (3, -4))
    ]
    assert found == pytest.approx([found[0]] * 4, rel=0.05)


def test_temporal_counts_what_is_trusted():
    expected, shown, trusted = pictures(seed=1), pictures(seed=2), pictures(seed=3)[:, :1].add(1).mul(0.5)
    total = 0.0
    for m in range(2):
        pixels = [
            trusted[m, 0, y, x] * (shown[m, c, y, x] - expected[m, c, y, x]) ** 2
            for c in range(3)
            for y in range(6)
            for x in range(5)
        ]
        total += float(sum(pixels)) / len(pixels)
    loss = Temporal(LossOptions())
    assert loss.generator(Outputs(motion=Motion(expected, shown, trusted))).item() == pytest.approx(total)
    nothing = Motion(expected, shown, torch.zeros_like(trusted))
    assert loss.generator(Outputs(motion=nothing)).item() == 0


def test_temporal_of_no_pairs_is_zero_with_a_graph():
    made = pictures(1).requires_grad_()
    found = Temporal(LossOptions()).generator(Outputs(motion=Motion(made[:-1], made[1:], made[1:, :1])))
    (gradient,) = torch.autograd.grad(found, made)
    assert found.item() == 0
    assert not gradient.any()


# What every loss of styles promises


@every_style_loss
def test_nothing_is_left_at_the_style(make):
    style = activations(seed=1)
    made = {name: x.clone().requires_grad_() for name, x in style.items()}
    found = against(make(), made, style)
    assert found.item() == pytest.approx(0, abs=1e-5)


@every_style_loss
def test_where_things_are_does_not_matter(make):
    made, style, draw = activations(seed=1), activations(STYLE_SHAPES, seed=2), torch.Generator().manual_seed(0)
    shuffled = {
        name: x.flatten(2)[:, :, torch.randperm(x[0, 0].numel(), generator=draw)].view_as(x) for name, x in made.items()
    }
    assert against(make(), shuffled, style).item() == pytest.approx(against(make(), made, style).item(), rel=1e-4)


@every_style_loss
def test_gradient_is_that_of_the_value(make):
    style = activations(STYLE_SHAPES, seed=2, dtype=torch.float64)
    made, draw = activations(count=2, seed=1, dtype=torch.float64), torch.Generator().manual_seed(0)
    # No two values are equal: where they change places, the gradient of what is sorted jumps.
    points = [x + 0.1 * torch.rand(x.shape, generator=draw, dtype=x.dtype) for x in made.values()]
    points = [x.requires_grad_() for x in points]
    loss = make()
    assert gradcheck(lambda *layers: against(loss, dict(zip(SHAPES, layers, strict=True)), style), points)


@every_style_loss
def test_a_batch_has_the_sum_of_its_pictures(make):
    made, style, loss = activations(count=3, seed=1), activations(STYLE_SHAPES, seed=2), make()
    alone = [against(loss, {name: x[n : n + 1] for name, x in made.items()}, style).item() for n in range(3)]
    assert against(loss, made, style).item() == pytest.approx(sum(alone), rel=1e-5)


@every_style_loss
def test_styles_are_added_by_their_weights(make):
    made, first, second = activations(seed=1), activations(STYLE_SHAPES, seed=2), activations(seed=3)
    loss = make(layers=("deep",))
    found = value(loss, made, (0.75, 0, first), (0.25, 0, second)).item()
    with drawing(0, "directions"):  # each style has directions of its own
        expected = 0.0
        for weight, style in ((0.75, first), (0.25, second)):
            wanted = Wanted(weight, 0, {loss: measured(loss, style)[0]}, PICTURE)
            outputs = Outputs(features=Named(), styles=(wanted,), measured={loss: measured(loss, made)})
            expected += loss.generator(outputs).item()
    assert found == pytest.approx(expected, rel=1e-5)


def left_half(shapes):
    """The region of the left half, by layer."""
    return {
        name: (torch.arange(width) < width // 2).float().expand(1, 1, height, width)
        for name, (_, height, width) in shapes.items()
    }


@every_style_loss
def test_what_is_outside_of_a_region_has_no_influence(make):
    made, style, loss = activations(seed=1), activations(STYLE_SHAPES, seed=2), make()
    regions, part = (None, left_half(SHAPES)), left_half(STYLE_SHAPES)

    def inside(made, style):
        return value(loss, made, (1.0, 1, style), regions=regions, parts=[part]).item()

    def spoilt(layers, shares):
        return {name: torch.where(shares[name] > 0, x, 1000 + x) for name, x in layers.items()}

    found = inside(made, style)
    assert found > 1e-3
    assert inside(spoilt(made, regions[1]), spoilt(style, part)) == pytest.approx(found, rel=1e-5)
    cut = [{name: x[..., : x.shape[3] // 2] for name, x in layers.items()} for layers in (made, style)]
    if "sliced" not in type(loss).__module__:  # whose quantiles are those of other levels
        assert against(loss, *cut).item() == pytest.approx(found, rel=1e-4)


@every_style_loss
def test_a_region_of_everything_is_no_region(make):
    made, style, loss = activations(seed=1), activations(STYLE_SHAPES, seed=2), make()
    ones = ({name: torch.ones(1, 1, *shape[1:]) for name, shape in SHAPES.items()},)
    part = {name: torch.ones(1, 1, *shape[1:]) for name, shape in STYLE_SHAPES.items()}
    found = against(loss, made, style).item()
    assert against(loss, made, style, regions=ones, parts=[part]).item() == pytest.approx(found, rel=1e-5)


@every_style_loss
def test_an_empty_region_weighs_nothing(make):
    nothing = {name: torch.zeros(1, 1, *shape[1:]) for name, shape in SHAPES.items()}
    nowhere = {name: torch.zeros(1, 1, *shape[1:]) for name, shape in STYLE_SHAPES.items()}
    style, loss = activations(STYLE_SHAPES, seed=2), make()
    for regions, part in (((nothing,), None), ((None,), nowhere)):
        made = {name: x.requires_grad_() for name, x in activations(seed=1).items()}
        found = against(loss, made, style, regions=regions, parts=[part])
        gradients = torch.autograd.grad(found, list(made.values()), allow_unused=True)
        assert found.item() == 0
        assert not any(gradient.any() for gradient in gradients)


@every_style_loss
def test_tiles_add_up(make):
    """Three rows of tiles by two, of a height that is not divided evenly, in a region that each picture has."""
    shapes = {"shallow": (3, 20, 16), "deep": (5, 10, 8)}
    made, loss = activations(shapes, count=2, seed=1), make(**_positions(make, 30))
    share = {
        name: torch.rand(2, 1, *shape[1:], generator=torch.Generator().manual_seed(3)) for name, shape in shapes.items()
    }
    whole, total = measured(loss, made, (None, share)), None
    for tops in ({"shallow": slice(0, 8), "deep": slice(0, 4)}, {"shallow": slice(8, 20), "deep": slice(4, 10)}):
        for lefts in ({"shallow": slice(0, 10), "deep": slice(0, 5)}, {"shallow": slice(10, 16), "deep": slice(5, 8)}):
            part, region = (
                {name: x[:, :, tops[name], lefts[name]] for name, x in layers.items()} for layers in (made, share)
            )
            place = {name: (tops[name].start, lefts[name].start, *shapes[name][1:]) for name in shapes}
            found = measured(loss, part, (None, region), place=place)
            flat = [tensor for tensors in found for tensor in tensors]
            total = flat if total is None else [x + y for x, y in zip(total, flat, strict=True)]
    for x, y in zip((tensor for tensors in whole for tensor in tensors), total, strict=True):
        assert torch.allclose(x, y, rtol=1e-5, atol=1e-5)


def _positions(make, count):
    return {"positions": count} if make in (STYLE_LOSSES["histogram"], STYLE_LOSSES["sliced-wasserstein"]) else {}


@every_style_loss
def test_bf16_comes_near(make):
    style, loss = activations(STYLE_SHAPES, seed=2), make()

    def found(made, style):
        made = {name: x.detach().requires_grad_() for name, x in made.items()}
        with torch.autocast("cpu", torch.bfloat16):
            result = against(loss, made, style)
        assert result.dtype == torch.float32
        return result, torch.autograd.grad(result, list(made.values()))

    made = activations(seed=1)
    expected, slopes = found(made, style)
    half = [{name: x.bfloat16() for name, x in layers.items()} for layers in (made, style)]
    result, gradients = found(*half)
    assert result.item() == pytest.approx(expected.item(), rel=0.02)
    for gradient, slope in zip(gradients, slopes, strict=True):
        assert (gradient.float() - slope).norm() < 0.05 * slope.norm()


@every_style_loss
def test_huge_activations_do_not_overflow(make):
    """A quarter of a million positions of values around 10^4: a sum of their squares is 10^13."""
    shapes = {"deep": (4, 512, 512)}
    made, style = ({"deep": (x["deep"] * 1e4).bfloat16()} for x in (activations(shapes), activations(shapes, seed=1)))
    x = made["deep"].requires_grad_()
    loss = make(layers=("deep",))
    found = against(loss, made, style)
    (gradient,) = torch.autograd.grad(found, x)
    assert found.isfinite()
    assert gradient.isfinite().all()


@every_style_loss
def test_descent_leads_to_the_style(make):
    style, loss = activations(seed=2), make()
    made = {name: x.requires_grad_() for name, x in activations(seed=1).items()}
    optimizer, before = torch.optim.Adam(made.values(), lr=0.05), against(loss, made, style).item()
    for _ in range(100):
        optimizer.zero_grad()
        against(loss, made, style).backward()
        optimizer.step()
    assert against(loss, made, style).item() < 0.05 * before


# Layers and needs


@every_style_loss
def test_layers_count_by_their_weights(make):
    made, style = activations(seed=1), activations(STYLE_SHAPES, seed=2)
    if make is STYLE_LOSSES["sliced-wasserstein"]:
        style = {name: made[name] + 1 for name in made}  # so that the directions, drawn layer by layer, matter less
        more = {"directions": 5000}
    else:
        more = {}
    shallow, deep = (against(make(layers=(name,), **more), made, style).item() for name in SHAPES)
    found = against(make(layer_weights=(9.0, 3.0), **more), made, style).item()
    assert found == pytest.approx(0.75 * shallow + 0.25 * deep, rel=0.05 if more else 1e-5)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"layers": ("deep", "relu")}, "no layer relu.*It has shallow, deep"),
        ({"layer_weights": (1.0,)}, "1 weights for the 2 layers.*Give one for each"),
    ],
)
def test_layers_that_are_not_there_are_refused(options, words):
    with pytest.raises(RecipeError, match="(?s)" + words):
        measured(Gram(GramOptions(**options)), activations())


def test_features_without_names_are_refused():
    outputs = Outputs(features=Features(), made_features={}, regions=(None,))
    with pytest.raises(RecipeError, match="recommends no layers"):
        Gram(GramOptions()).measure(outputs)


@pytest.mark.parametrize("options", [{"layers": ("a", "b"), "layer_weights": (1.0,)}, {"layer_weights": (0.0, 0.0)}])
def test_weights_that_fit_no_layers_are_refused(options):
    with pytest.raises(ValidationError, match="layer_weights"):
        LayerOptions(**options)


def test_losses_work_together_through_the_core():
    """Two losses that measure and one that does not, by their declared needs, on the kit's features."""
    features = SmallFeatures(LossOptions())
    made, source = (pictures(seed=seed, dtype=torch.float32).repeat(1, 1, 3, 3) for seed in (1, 2))
    made.requires_grad_()
    needs = {component.name: component.needs for component in artgen_losses()}
    losses = Losses({
        "gram": LossTerm(Gram(GramOptions()), needs=needs["gram"]),
        "content": LossTerm(Content(ContentOptions()), 0.1, needs=needs["content"]),
        "smooth": LossTerm(TotalVariation(VariationOptions()), 0.2, needs=needs["total-variation"]),
    })  # fmt: skip

    def found(pictures):
        return dict(zip(features.layers, features(pictures), strict=True))

    style = losses.measure(Outputs(features=features, made_features=found(source[:1])))
    wanted = Wanted(1.0, 0, {loss: regions[0] for loss, regions in style.items()}, PICTURE)
    outputs = Outputs(
        features=features, made=made, made_features=found(made), source_features=found(source), styles=(wanted,)
    )
    total, values = losses("generator", replace(outputs, measured=losses.measure(outputs)), 0)
    expected = values["generator/gram"] + 0.1 * values["generator/content"] + 0.2 * values["generator/smooth"]
    assert total.item() == pytest.approx(expected.item())
    assert torch.autograd.grad(total, made)[0].any()
