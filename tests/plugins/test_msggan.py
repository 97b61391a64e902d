"""Multi-scale gradients: pyramids on both sides, gradients at every size, penalties over all of them, and its loss."""

from __future__ import annotations

import math
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck
from torch.func import functional_call
from torch.nn.functional import conv2d, leaky_relu

import artgen_msggan
from artgen import LossOptions, RecipeError
from artgen.errors import StoppedError
from artgen.plugins import Plugins
from artgen.run import checkpoint
from artgen.training import Outputs, Size
from artgen_adversarial import GradientPenaltyOptions, PenaltyOptions
from artgen_adversarial.losses import R1, R2, GradientPenalty
from artgen_msggan import CriticOptions, GeneratorOptions, artgen_critics, artgen_generators, artgen_losses
from artgen_msggan.critic import MSGGANCritic
from artgen_msggan.generator import MSGGANGenerator
from artgen_msggan.losses import RelativisticHinge
from tests.families import drive

SMALL = Size(16, 16)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(1632)


def generator(size=SMALL, **options):
    return MSGGANGenerator(GeneratorOptions(**{"latent": 6, "width": 2, "widest": 8} | options), size)


def critic(size=SMALL, **options):
    return MSGGANCritic(CriticOptions(**{"width": 2, "widest": 8} | options), size)


def with_biases(network):
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            parameter.data.normal_()
    return network


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


# Networks


def test_the_components_name_their_code_and_their_partner():
    (g,), (c,), (loss,) = artgen_generators(), artgen_critics(), artgen_losses()
    assert (g.load(), c.load(), loss.load()) == (MSGGANGenerator, MSGGANCritic, RelativisticHinge)
    assert g.partner == c.name


def test_the_hook_module_imports_no_torch():
    code = "import sys, artgen_msggan; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    assert subprocess.run([sys.executable, "-c", code], env=environment).returncode == 0


def test_the_1024_px_networks_are_those_of_progressive_growing_with_pictures_joined():
    """Three channels more enter each level but the largest; but for it nothing is made of pictures by a convolution."""
    widths = [512, 512, 512, 512, 256, 128, 64, 32, 16]
    with torch.device("meta"):
        g, d = MSGGANGenerator(GeneratorOptions(), Size(1024, 1024)), MSGGANCritic(CriticOptions(), Size(1024, 1024))
        assert count(g) == 23_079_115
        joined = sum(3 * 9 * width for width in widths[:-1])
        assert count(d) == 23_087_249 - sum(4 * width for width in widths[:-1]) + joined
        pictures = g(torch.empty(2, 512))
        assert [picture.shape[2] for picture in pictures] == [4, 8, 16, 32, 64, 128, 256, 512, 1024]
        assert d(pictures).shape == (2,)


@pytest.mark.parametrize(
    ("size", "options", "sizes"),
    [
        ((16, 16), {}, [(4, 4), (8, 8), (16, 16)]),
        ((12, 16), {}, [(3, 4), (6, 8), (12, 16)]),
        ((16, 12), {"grid": (3, 4)}, [(4, 3), (8, 6), (16, 12)]),
        ((16, 16), {"grid": 8}, [(8, 8), (16, 16)]),
        ((4, 4), {}, [(4, 4)]),
    ],
)
def test_there_is_a_picture_at_every_size(size, options, sizes):
    g, d = generator(Size(*size), **options), critic(Size(*size), **options)
    made, real = g(g.latent.draw(2)), g.like(torch.randn(2, 3, *size))
    for form in (made, real):
        assert [tuple(level.shape) for level in form] == [(2, 3, *level) for level in sizes]
        assert d(form).shape == (2,)
    assert g.sample(g.latent.draw(2)).shape == (2, 3, *size)


def test_latents_lie_on_the_sphere():
    latent = generator(latent=32).latent
    assert (latent.shape, latent.prior) == ((32,), "sphere")


def test_real_pictures_become_means_over_blocks():
    real = torch.rand(2, 3, 16, 16)
    small, middle, large = generator().like(real)
    assert large is real
    torch.testing.assert_close(middle, real.view(2, 3, 8, 2, 8, 2).mean(dim=(3, 5)))
    torch.testing.assert_close(small, real.view(2, 3, 4, 4, 4, 4).mean(dim=(3, 5)))


def test_pictures_are_convolutions_of_the_levels_by_one_pixel():
    g = with_biases(generator())
    z, made = g.latent.draw(2), []
    h = z
    for level, layer in zip(g.levels, g.to_rgb, strict=True):
        h = level(h)
        made.append(conv2d(h, layer.weight / math.sqrt(h.shape[1]), layer.bias))
    torch.testing.assert_close(g(z), tuple(made))


def test_pictures_join_the_features_of_their_size():
    d = with_biases(critic())
    small, middle, large = pyramid = tuple(torch.randn(4, 3, side, side) for side in (4, 8, 16))

    entered = conv2d(large, d.from_rgb.weight * math.sqrt(2 / 3), d.from_rgb.bias)
    h = d.levels[2](leaky_relu(entered, 0.2))
    h = d.levels[1](torch.cat([middle, h], dim=1))
    torch.testing.assert_close(d(pyramid), d.levels[0](torch.cat([small, h], dim=1)))


def test_gradients_reach_every_level_at_once():
    g, d = generator(), critic()
    made = g(g.latent.draw(4))
    gradients = torch.autograd.grad(d(made).sum(), made, retain_graph=True)
    assert all((gradient != 0).any() for gradient in gradients)
    for index in range(3):  # and go on from each picture through all the levels below it
        weights = [level.convolution.weight for level in g.levels[: index + 1]]
        for gradient in torch.autograd.grad(made[index], weights, gradients[index], retain_graph=True):
            assert (gradient != 0).any()


def test_a_critic_refuses_what_is_no_pyramid_of_its_sizes():
    with pytest.raises(RecipeError, match=r"3 sizes(.|\n)*makes 1(.|\n)*generator.msggan"):
        critic()(torch.randn(2, 3, 16, 16))
    g = generator(grid=8)
    with pytest.raises(RecipeError, match=r"3 sizes(.|\n)*makes 2(.|\n)*grid"):
        critic()(g(g.latent.draw(2)))


@pytest.mark.parametrize("network", [generator, critic])
def test_sizes_that_do_not_go_are_refused_with_some_that_do(network):
    with pytest.raises(RecipeError, match=r"50x50 px(.|\n)*48x48"):
        network(Size(50, 50))
    with pytest.raises(RecipeError, match=r"3x4 cells(.|\n)*12x16"):
        network(SMALL, grid=(3, 4))


def test_a_state_comes_back_whole():
    first, second = generator(), generator()
    z = first.latent.draw(2)
    second.load_state_dict(first.state_dict())
    torch.testing.assert_close(first(z), second(z), rtol=0, atol=0)


def test_autocast_makes_nearly_the_same_pictures_and_scores():
    g, d = generator(width=16, widest=16), critic(width=16, widest=16)
    z = g.latent.draw(8)
    with torch.autocast("cpu", torch.bfloat16):
        low = g(z)
        low_scores = d(g.like(low[-1].float()))
    assert all(level.dtype == torch.bfloat16 for level in low)
    for level, full in zip(low, g(z), strict=True):
        torch.testing.assert_close(level.float(), full, atol=0.1, rtol=0.05)
    torch.testing.assert_close(low_scores.float(), d(g.like(low[-1].float())), atol=0.1, rtol=0.05)


# Penalties over a pyramid: the critic is a function of all its pictures together, so its gradient has as many entries
# as all of them have pixels, and a straight line from real to made ones has one share for all sizes.


TINY = Size(4, 4)


@pytest.fixture
def tiny():
    """A critic of two sizes, 2x2 and 4x4, in float64, with real and made pyramids of four pictures."""
    d = critic(TINY, grid=2, width=1, widest=4).double()
    real, fake = (tuple(torch.randn(4, 3, side, side, dtype=torch.float64) for side in (2, 4)) for _ in range(2))
    return d, real, fake


def squared_norms(d, pyramid):
    """Squared norm of the gradient for each picture, (N,), over the pixels of all sizes, by finite differences."""
    total, step = torch.zeros(len(pyramid[0]), dtype=torch.float64), 1e-6
    with torch.no_grad():
        for index, level in enumerate(pyramid):
            for place in torch.cartesian_prod(*(torch.arange(side) for side in level.shape)).tolist():
                change = torch.zeros_like(level)
                change[tuple(place)] = step
                above, below = (
                    d(tuple(x + sign * change if i == index else x for i, x in enumerate(pyramid))).sum()
                    for sign in (1, -1)
                )
                total[place[0]] += ((above - below) / (2 * step)) ** 2
    return total


@pytest.mark.parametrize(("loss", "field"), [(R1, "real"), (R2, "fake")])
def test_r1_and_r2_take_the_gradient_at_every_size(loss, field, tiny):
    d, real, fake = tiny
    value = loss(PenaltyOptions()).critic(Outputs(real=real, fake=fake, critic=d))
    expected = squared_norms(d, real if field == "real" else fake).mean() / 2
    torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-9)


def test_wgan_gp_takes_one_share_and_one_norm_for_all_sizes(tiny):
    d, real, fake = tiny
    torch.manual_seed(7)
    value = GradientPenalty(GradientPenaltyOptions()).critic(Outputs(real=real, fake=fake, critic=d))
    torch.manual_seed(7)
    share = torch.rand(4, 1, 1, 1, dtype=torch.float64)
    between = tuple((1 - share) * x + share * made for x, made in zip(real, fake, strict=True))
    expected = (squared_norms(d, between).sqrt() - 1).square().mean()
    torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize(
    "loss", [R1(PenaltyOptions()), R2(PenaltyOptions()), GradientPenalty(GradientPenaltyOptions())]
)
def test_what_a_penalty_does_to_the_weights_is_exact(loss, tiny):
    d, real, fake = tiny
    names, weights = zip(*d.named_parameters(), strict=True)

    def penalty(*weights):
        torch.manual_seed(7)

        def score(form):
            return functional_call(d, dict(zip(names, weights, strict=True)), (form,))

        return loss.critic(Outputs(real=real, fake=fake, critic=score))

    assert gradcheck(penalty, weights, fast_mode=True)


def test_the_critic_differentiates_twice():
    d = critic(Size(8, 8)).double()
    names, weights = zip(*d.named_parameters(), strict=True)
    pyramid = [torch.randn(4, 3, side, side, dtype=torch.float64, requires_grad=True) for side in (4, 8)]

    def scores(small, large, *weights):
        return functional_call(d, dict(zip(names, weights, strict=True)), ((small, large),))

    assert gradgradcheck(scores, (*pyramid, *weights), fast_mode=True)


# The relativistic average hinge loss


def test_the_relativistic_hinge_is_that_of_the_paper():
    """Jolicoeur-Martineau 2019, RaHingeGAN: D~(x) = C(x) - E C of the other kind."""
    real, fake = np.array([2.0, -0.5, 0.1, 3.0]), np.array([-1.5, 0.9, 0.3, -0.2])
    outputs = Outputs(real_logits=torch.tensor(real), fake_logits=torch.tensor(fake))
    loss = RelativisticHinge(LossOptions())
    r, f = real - fake.mean(), fake - real.mean()
    critic_loss = np.maximum(0, 1 - r).mean() + np.maximum(0, 1 + f).mean()
    generator_loss = np.maximum(0, 1 + r).mean() + np.maximum(0, 1 - f).mean()
    assert loss.critic(outputs).item() == pytest.approx(critic_loss)
    assert loss.generator(outputs).item() == pytest.approx(generator_loss)


def test_the_relativistic_hinge_has_the_gradient_of_its_formula():
    loss = RelativisticHinge(LossOptions())
    logits = torch.randn(2, 6, dtype=torch.float64, requires_grad=True)
    for side in (loss.critic, loss.generator):
        assert gradcheck(lambda both, side=side: side(Outputs(real_logits=both[0], fake_logits=both[1])), logits)


def test_the_relativistic_hinge_does_not_care_where_zero_is():
    loss = RelativisticHinge(LossOptions())
    real, fake = torch.randn(2, 6)
    for side in (loss.critic, loss.generator):
        shifted = side(Outputs(real_logits=real + 5, fake_logits=fake + 5))
        torch.testing.assert_close(side(Outputs(real_logits=real, fake_logits=fake)), shifted)


def test_the_loss_reads_what_it_says_it_needs():
    (component,) = artgen_losses()
    for side, needs in component.needs.items():
        judge = getattr(component.load()(component.options()), side)
        logits = {name: torch.randn(2) for name in needs}
        assert judge(Outputs(**logits)).shape == ()
        for missing in needs:
            with pytest.raises(AssertionError):
                judge(Outputs(**{name: value for name, value in logits.items() if name != missing}))


# A run

RECIPE = """
[data.negatives]
resolution = 16
[generator.msggan]
latent = 8
width = 2
widest = 8
[critic.msggan]
width = 2
widest = 8
[losses.relativistic-hinge]
[losses.r1]
every = 2
[trainer.adversarial]
learning_rate = 3e-3
betas = [0.0, 0.99]
[[phase]]
images = 48
batch = 4
"""


def test_a_run_that_was_stopped_ends_in_the_same_weights(tmp_path, monkeypatch, one_thread):
    handed = [] if "msggan" in Plugins().components("generator") else [artgen_msggan]
    families = drive.families
    monkeypatch.setitem(drive.RECIPES, "msggan", RECIPE)
    monkeypatch.setattr(drive, "families", lambda *more: families(*handed, *more))
    straight, stopped = tmp_path / "straight" / "run", tmp_path / "stopped" / "run"
    drive.train_family("msggan", straight)
    with pytest.raises(StoppedError):
        drive.train_family("msggan", stopped, stop_at_images=20)
    drive.train_family("msggan", stopped)
    first, second = (checkpoint.newest(out / "checkpoints") for out in (straight, stopped))
    assert first.info == second.info
    for part in ("generator", "critic", "average"):
        assert first.parts[part].keys() == second.parts[part].keys()
        assert all(torch.equal(first.parts[part][name], second.parts[part][name]) for name in first.parts[part])
    assert (straight / "samples" / "final.png").read_bytes() == (stopped / "samples" / "final.png").read_bytes()
