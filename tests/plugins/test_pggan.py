"""Progressive growing: the published sizes, fading on both sides, growing through a run, and an exact resume."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from itertools import pairwise

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck
from torch.func import functional_call
from torch.nn.functional import avg_pool2d, conv2d, interpolate, leaky_relu

import artgen_pggan
from artgen import RecipeError
from artgen.errors import StoppedError
from artgen.plugins import Plugins
from artgen.run import checkpoint
from artgen.run.average import Average
from artgen.training import Outputs, Size
from artgen_adversarial import GradientPenaltyOptions
from artgen_adversarial.losses import GradientPenalty
from artgen_pggan import CriticOptions, GeneratorOptions, artgen_critics, artgen_generators
from artgen_pggan.critic import PGGANCritic
from artgen_pggan.generator import PGGANGenerator
from tests.families import drive

SMALL = Size(16, 16)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(1632)


def generator(size=SMALL, **options):
    return PGGANGenerator(GeneratorOptions(**{"latent": 6, "width": 2, "widest": 8} | options), size)


def critic(size=SMALL, **options):
    return PGGANCritic(CriticOptions(**{"width": 2, "widest": 8} | options), size)


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


def drawn(network, number):
    """Latents, and biases that are not zero, so that a test sees them."""
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            parameter.data.normal_()
    return network.latent.draw(number) if isinstance(network, PGGANGenerator) else None


# What was published


def test_the_1024_px_networks_have_the_published_number_of_parameters():
    """Both 23.1 million (table 2); here counted from the architecture, layer by layer."""
    widths = [512, 512, 512, 512, 256, 128, 64, 32, 16]

    def convolution(before, after, kernel=3):
        return before * after * kernel**2 + after

    first = 512 * 512 * 16 + 512 + convolution(512, 512)
    grown = sum(convolution(a, b) + convolution(b, b) for a, b in pairwise(widths))
    shrunk = sum(convolution(b, b) + convolution(b, a) for a, b in pairwise(widths))
    last = convolution(513, 512) + 512 * 16 * 512 + 512 + 512 + 1
    with torch.device("meta"):
        g, d = PGGANGenerator(GeneratorOptions(), Size(1024, 1024)), PGGANCritic(CriticOptions(), Size(1024, 1024))
        assert count(g) == first + grown + sum(convolution(width, 3, 1) for width in widths) == 23_079_115
        assert count(d) == last + shrunk + sum(convolution(3, width, 1) for width in widths) == 23_087_249
        pictures = g(torch.empty(2, 512))
        assert pictures.shape == (2, 3, 1024, 1024)
        assert d(pictures).shape == (2,)


def test_latents_lie_on_the_sphere_as_a_pixel_norm_would_put_them():
    latent = generator(latent=32).latent
    assert (latent.shape, latent.prior) == ((32,), "sphere")
    torch.testing.assert_close(latent.draw(5).square().mean(dim=1), torch.ones(5))


def test_the_components_name_their_code_and_their_partner():
    (g,), (c,) = artgen_generators(), artgen_critics()
    assert (g.load(), c.load()) == (PGGANGenerator, PGGANCritic)
    assert g.partner == c.name


def test_the_hook_module_imports_no_torch():
    code = "import sys, artgen_pggan; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    assert subprocess.run([sys.executable, "-c", code], env=environment).returncode == 0


# Sizes


@pytest.mark.parametrize(
    ("size", "options", "sizes"),
    [
        ((32, 32), {}, [(4, 4), (8, 8), (16, 16), (32, 32)]),
        ((24, 32), {}, [(3, 4), (6, 8), (12, 16), (24, 32)]),
        ((32, 24), {"grid": (3, 4)}, [(4, 3), (8, 6), (16, 12), (32, 24)]),
        ((32, 32), {"grid": 8}, [(8, 8), (16, 16), (32, 32)]),
        ((20, 28), {}, [(5, 7), (10, 14), (20, 28)]),
    ],
)
def test_both_grow_from_the_grid_to_the_size(size, options, sizes):
    g, d = generator(Size(*size), **options), critic(Size(*size), **options)
    for height, width in sizes:
        g.begin(Size(height, width))
        d.begin(Size(height, width))
        for share in (0.5, 1.0):
            g.fade(share)
            d.fade(share)
            pictures = g(g.latent.draw(2))
            assert pictures.shape == (2, 3, height, width)
            assert d(g.like(pictures)).shape == (2,)


def test_a_critic_may_end_on_another_grid():
    d = critic(SMALL, grid=2)
    assert d(torch.randn(4, 3, 16, 16)).shape == (4,)


@pytest.mark.parametrize("network", [generator, critic])
def test_sizes_that_do_not_go_are_refused_with_some_that_do(network):
    with pytest.raises(RecipeError, match=r"50x50 px(.|\n)*48x48"):
        network(Size(50, 50))
    with pytest.raises(RecipeError, match=r"3x4 cells(.|\n)*12x16"):
        network(SMALL, grid=(3, 4))
    with pytest.raises(RecipeError, match=r"12x12 px(.|\n)*4x4 cells(.|\n)*8x8, 16x16"):
        network(SMALL).begin(Size(12, 12))


# Fading


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_a_generator_blends_the_level_before_with_the_new_one(share):
    g = generator()
    z = drawn(g, 3)
    g.begin(Size(8, 8))
    before = g(z)
    g.begin(SMALL)
    new = g(z)
    g.fade(share)
    expected = (1 - share) * interpolate(before, scale_factor=2, mode="nearest") + share * new
    torch.testing.assert_close(g(z), expected)
    if share in (0, 1):
        assert torch.equal(g(z), expected)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_real_pictures_fade_alike(share):
    g = generator()
    real = torch.rand(3, 3, 16, 16) * 2 - 1
    g.fade(share)
    blocks = real.view(3, 3, 8, 2, 8, 2).mean(dim=(3, 5), keepdim=True).expand(3, 3, 8, 2, 8, 2).reshape_as(real)
    torch.testing.assert_close(g.like(real), (1 - share) * blocks + share * real)
    if share == 1:
        assert g.like(real) is real


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_a_critic_blends_features_of_the_halved_pictures_with_those_of_the_new_level(share):
    d = critic()
    drawn(d, 0)
    x = torch.randn(4, 3, 16, 16)

    def enter(level, x):
        layer = d.from_rgb[level]
        return leaky_relu(conv2d(x, layer.weight * math.sqrt(2 / 3), layer.bias), 0.2)

    h = (1 - share) * enter(1, avg_pool2d(x, 2)) + share * d.levels[2](enter(2, x))
    d.fade(share)
    torch.testing.assert_close(d(x), d.levels[0](d.levels[1](h)))


def test_a_critic_that_has_not_begun_to_fade_scores_as_the_level_before():
    d = critic()
    drawn(d, 0)
    x = torch.randn(4, 3, 16, 16)
    d.fade(0)
    faded = d(x)
    d.fade(1)
    d.begin(Size(8, 8))
    assert torch.equal(faded, d(avg_pool2d(x, 2)))


def test_there_is_nothing_to_fade_at_the_first_level():
    g, d = generator(), critic()
    z, x = drawn(g, 2), torch.randn(2, 3, 4, 4)
    for network in (g, d):
        network.begin(Size(4, 4))
    whole = g(z), d(x)
    for network in (g, d):
        network.fade(0.2)
    assert torch.equal(g(z), whole[0])
    assert torch.equal(d(x), whole[1])
    assert g.like(x) is x


def test_a_share_is_a_tensor_that_no_checkpoint_holds():
    for network in (generator(), critic()):
        network.fade(0.25)
        assert dict(network.named_buffers())["crossfade.share"] == torch.tensor(0.25)
        assert not any("share" in name for name in network.state_dict())


def test_nothing_on_the_host_asks_for_the_share():
    """On torch's device meta a tensor has no value that could be read."""
    with torch.device("meta"):
        for network, shape in ((generator(), (2, 6)), (critic(), (2, 3, 16, 16))):
            network.fade(0.5)
            network(torch.empty(*shape))
            assert network.crossfade.share.device.type == "meta"


def test_a_compiled_network_is_compiled_once_for_fading_and_once_for_the_level():
    from torch._dynamo.testing import CompileCounter

    for network, given in ((generator(), torch.randn(2, 6)), (critic(), torch.randn(2, 3, 16, 16))):
        counter = CompileCounter()
        compiled = torch.compile(network, backend=counter, fullgraph=True, dynamic=False)
        for share, compilations in ((0.1, 1), (0.5, 1), (0.9, 1), (1.0, 2), (1.0, 2)):
            network.fade(share)
            torch.testing.assert_close(compiled(given), network(given))
            assert counter.frame_count == compilations
    torch._dynamo.reset()


# Growing


def test_only_the_layers_of_the_level_get_gradients():
    g, d = generator(), critic()
    for network in (g, d):
        network.begin(Size(8, 8))
        network.fade(0.5)
    d(g(g.latent.draw(4))).sum().backward()
    for network in (g, d):
        waiting = {name for name, parameter in network.named_parameters() if parameter.grad is None}
        assert waiting == {name for name, _ in network.named_parameters() if ".2." in name}


def test_a_state_of_a_grown_level_comes_back_whole():
    first, second = generator(), generator()
    z = drawn(first, 3)
    for network in (first, second):
        network.begin(Size(8, 8))
        network.begin(Size(8, 8))
        network.fade(0.4)
    assert not torch.equal(first(z), second(z))
    second.load_state_dict(first.state_dict())
    assert torch.equal(first(z), second(z))
    for network in (first, second):
        network.begin(SMALL)
    assert torch.equal(first(z), second(z))


def test_the_average_follows_through_a_level_change():
    g = generator()
    g.begin(Size(8, 8))
    average = Average(g, half_life_images=40)
    before = {name: value.clone() for name, value in g.state_dict().items()}

    def train(size, images):
        with torch.no_grad():
            for name, parameter in g.named_parameters():
                if ".2." not in name or size == SMALL:  # layers to come wait
                    parameter += 1
        average.update(4, images)

    average.begin(g, Size(8, 8))
    train(Size(8, 8), 400)
    g.begin(SMALL)
    average.begin(g, SMALL)
    g.fade(0.3)
    train(SMALL, 404)
    kept = 0.5 ** (4 / 40)
    for name, value in average.network.state_dict().items():
        # Steps to w + 1 and w + 2 leave the average at w + 2 - kept - kept^2; one step alone at w + 1 - kept.
        moved = 1 - kept if ".2." in name else 2 - kept - kept**2
        torch.testing.assert_close(value, before[name] + moved)
    assert average.network.crossfade.share == g.crossfade.share
    assert average.network(g.latent.draw(2)).shape == (2, 3, 16, 16)


# Penalties


@pytest.mark.parametrize("share", [0.4, 1.0])
def test_the_critic_differentiates_twice(share):
    d = critic(Size(8, 8)).double()
    d.fade(share)
    names, weights = zip(*d.named_parameters(), strict=True)
    x = torch.randn(4, 3, 8, 8, dtype=torch.float64, requires_grad=True)

    def scores(x, *weights):
        return functional_call(d, dict(zip(names, weights, strict=True)), (x,))

    assert gradgradcheck(scores, (x, *weights), fast_mode=True)


def test_the_penalty_of_wgan_gp_is_exact_and_so_is_its_gradient():
    """Its value against finite differences (Gulrajani et al. 2017, eq. 3), then the gradient that weights get."""
    d = critic(Size(4, 4), grid=2, width=1, widest=4).double()
    d.fade(0.4)
    names, weights = zip(*d.named_parameters(), strict=True)
    real, fake = torch.randn(2, 4, 3, 4, 4, dtype=torch.float64)

    def penalty(*weights):
        torch.manual_seed(7)

        def score(form):
            return functional_call(d, dict(zip(names, weights, strict=True)), (form,))

        return GradientPenalty(GradientPenaltyOptions()).critic(Outputs(real=real, fake=fake, critic=score))

    torch.manual_seed(7)
    between = torch.lerp(real, fake, torch.rand(4, 1, 1, 1, dtype=torch.float64))
    step, gradient = 1e-6, torch.zeros_like(between)
    with torch.no_grad():
        for place in torch.cartesian_prod(*(torch.arange(side) for side in between.shape)).tolist():
            change = torch.zeros_like(between)
            change[tuple(place)] = step
            gradient[tuple(place)] = (d(between + change).sum() - d(between - change).sum()) / (2 * step)
    norms = gradient.square().sum(dim=(1, 2, 3)).sqrt()
    torch.testing.assert_close(penalty(*weights), (norms - 1).square().mean(), rtol=1e-5, atol=1e-8)
    assert gradcheck(penalty, weights, fast_mode=True)


# Precision


def test_autocast_makes_nearly_the_same_pictures_and_scores():
    g, d = generator(width=16, widest=16), critic(width=16, widest=16)
    for network in (g, d):
        network.fade(0.5)
    z = g.latent.draw(8)
    with torch.autocast("cpu", torch.bfloat16):
        low = g(z)
        low_scores = d(g.like(low.float()))
    assert low.dtype == torch.bfloat16
    torch.testing.assert_close(low.float(), g(z), atol=0.1, rtol=0.05)
    torch.testing.assert_close(low_scores.float(), d(g.like(low.float())), atol=0.1, rtol=0.05)


# A run

RECIPE = """
[data.negatives]
resolution = 16
[generator.pggan]
latent = 8
width = 2
widest = 8
[critic.pggan]
width = 2
widest = 8
[losses.wasserstein]
[losses.gradient-penalty]
[losses.drift]
[trainer.adversarial]
learning_rate = 1e-3
betas = [0.0, 0.99]
reset_optimizers = true
[[phase]]
images = 16
batch = 4
resolution = 4
[[phase]]
images = 24
batch = 4
resolution = 8
fade = 0.5
[[phase]]
images = 32
batch = 4
fade = 0.5
"""


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """A run from start to end."""
    out = tmp_path_factory.mktemp("pggan") / "run"
    with pytest.MonkeyPatch.context() as patch:
        train(patch, out)
    return out


def train(patch, out, **stop):
    """Train the recipe above; the plugin is handed over as long as it is not installed."""
    handed = [] if "pggan" in Plugins().components("generator") else [artgen_pggan]
    families = drive.families
    patch.setitem(drive.RECIPES, "pggan", RECIPE)
    patch.setattr(drive, "families", lambda *more: families(*handed, *more))
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return drive.train_family("pggan", out, **stop)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("stop_at_images", [8, 16, 20, 40, 48])  # within a level, at its end, in the midst of a fade
def test_a_run_that_was_stopped_ends_in_the_same_weights(stop_at_images, straight, tmp_path, monkeypatch):
    with pytest.raises(StoppedError):
        train(monkeypatch, tmp_path / "run", stop_at_images=stop_at_images)
    assert checkpoint.newest(tmp_path / "run" / "checkpoints").info["images"] < 72
    train(monkeypatch, tmp_path / "run")
    first, second = (checkpoint.newest(out / "checkpoints") for out in (straight, tmp_path / "run"))
    assert first.info == second.info
    for part in ("generator", "critic", "average"):
        assert first.parts[part].keys() == second.parts[part].keys()
        assert all(torch.equal(first.parts[part][name], second.parts[part][name]) for name in first.parts[part])
    for out in (straight, tmp_path / "run"):
        assert (out / "samples" / "final.png").read_bytes() == (straight / "samples" / "final.png").read_bytes()
