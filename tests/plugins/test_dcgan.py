"""DCGAN against the layers of PyTorch's published example, and its departures against what they promise."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.autograd import gradgradcheck
from torch.func import functional_call
from torch.nn.functional import conv2d

from artgen import RecipeError
from artgen.training import Size
from artgen_dcgan import CriticOptions, GeneratorOptions, artgen_critics, artgen_generators
from artgen_dcgan.critic import DCGANCritic
from artgen_dcgan.generator import DCGANGenerator, SelfModulatedBatchNorm
from artgen_dcgan.grid import starting_grid

SMALL = Size(16, 16)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(1632)


def published_generator(nz, ngf):
    """The layers of examples/dcgan/main.py of pytorch/examples, in their order."""
    return nn.Sequential(
        nn.ConvTranspose2d(nz, ngf * 8, 4, 1, 0, bias=False), nn.BatchNorm2d(ngf * 8), nn.ReLU(),
        nn.ConvTranspose2d(ngf * 8, ngf * 4, 4, 2, 1, bias=False), nn.BatchNorm2d(ngf * 4), nn.ReLU(),
        nn.ConvTranspose2d(ngf * 4, ngf * 2, 4, 2, 1, bias=False), nn.BatchNorm2d(ngf * 2), nn.ReLU(),
        nn.ConvTranspose2d(ngf * 2, ngf, 4, 2, 1, bias=False), nn.BatchNorm2d(ngf), nn.ReLU(),
        nn.ConvTranspose2d(ngf, 3, 4, 2, 1, bias=False), nn.Tanh(),
    )  # fmt: skip


def published_discriminator(ndf):
    return nn.Sequential(
        nn.Conv2d(3, ndf, 4, 2, 1, bias=False), nn.LeakyReLU(0.2),
        nn.Conv2d(ndf, ndf * 2, 4, 2, 1, bias=False), nn.BatchNorm2d(ndf * 2), nn.LeakyReLU(0.2),
        nn.Conv2d(ndf * 2, ndf * 4, 4, 2, 1, bias=False), nn.BatchNorm2d(ndf * 4), nn.LeakyReLU(0.2),
        nn.Conv2d(ndf * 4, ndf * 8, 4, 2, 1, bias=False), nn.BatchNorm2d(ndf * 8), nn.LeakyReLU(0.2),
        nn.Conv2d(ndf * 8, 1, 4, 1, 0, bias=False), nn.Sigmoid(),
    )  # fmt: skip


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


def with_parameters_of(network, other):
    for mine, theirs in zip(network.parameters(), other.parameters(), strict=True):
        mine.data.copy_(theirs.data)
    return network


def test_parameter_counts_are_those_of_pytorchs_example():
    with torch.device("meta"):
        generator, critic = DCGANGenerator(GeneratorOptions(), Size(64, 64)), DCGANCritic(CriticOptions(), Size(64, 64))
        assert count(generator) == count(published_generator(100, 64)) == 3_576_704
        assert count(critic) == count(published_discriminator(64)) == 2_765_568


def test_the_generator_computes_what_pytorchs_example_computes():
    generator = DCGANGenerator(GeneratorOptions(latent=10, width=8), Size(64, 64))
    published = with_parameters_of(published_generator(10, 8), generator)
    z = torch.randn(6, 10)
    torch.testing.assert_close(generator(z), published(z[:, :, None, None]))


def test_the_critic_computes_what_pytorchs_example_computes():
    critic = DCGANCritic(CriticOptions(width=8), Size(64, 64))
    published = with_parameters_of(published_discriminator(8), critic)
    x = torch.rand(6, 3, 64, 64) * 2 - 1
    logits = critic(x)
    assert logits.shape == (6,)
    torch.testing.assert_close(logits.sigmoid(), published(x).flatten())


def test_the_components_name_their_code_and_their_partner():
    (generator,), (critic,) = artgen_generators(), artgen_critics()
    assert (generator.load(), critic.load()) == (DCGANGenerator, DCGANCritic)
    assert generator.partner == critic.name


def test_the_hook_module_imports_no_torch():
    code = "import sys, artgen_dcgan; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    assert subprocess.run([sys.executable, "-c", code], env=environment).returncode == 0


# Sizes


@pytest.mark.parametrize(
    ("size", "grid", "doublings"),
    [
        ((16, 16), (4, 4), 2),
        ((32, 32), (4, 4), 3),
        ((64, 64), (4, 4), 4),
        ((128, 128), (4, 4), 5),
        ((256, 256), (4, 4), 6),
        ((48, 64), (3, 4), 4),
        ((64, 48), (4, 3), 4),
        ((96, 128), (3, 4), 5),
        ((32, 64), (4, 8), 3),
        ((80, 112), (5, 7), 4),
    ],
)
def test_sizes_that_go(size, grid, doublings):
    assert starting_grid(Size(*size)) == (grid, doublings)
    with torch.device("meta"):
        generator = DCGANGenerator(GeneratorOptions(latent=4, width=4), Size(*size))
        pictures = generator(torch.zeros(2, 4, device="meta"))
        assert pictures.shape == (2, 3, *size)
        assert DCGANCritic(CriticOptions(width=4), Size(*size))(pictures).shape == (2,)


@pytest.mark.parametrize(
    "size", [(50, 50), (22, 22), (8, 8), (4, 4), (63, 64), (512, 512), (384, 384), (32, 128), (72, 72), (4096, 4096)]
)
@pytest.mark.parametrize("network", [DCGANGenerator, DCGANCritic])
def test_other_sizes_are_refused_with_a_remedy(network, size):
    options = GeneratorOptions() if network is DCGANGenerator else CriticOptions()
    with pytest.raises(RecipeError, match=f"{size[1]}x{size[0]} px(.|\n)*doubled two to six times"):
        network(options, Size(*size))


def test_widths_double_up_to_the_widest():
    generator = DCGANGenerator(GeneratorOptions(width=4, widest=10, latent=4), Size(64, 64))
    assert [level.enlarge.out_channels for level in generator.levels] == [10, 10, 8, 4]
    critic = DCGANCritic(CriticOptions(width=4, widest=10), Size(64, 64))
    assert [m.out_channels for m in critic.modules() if isinstance(m, nn.Conv2d)] == [4, 8, 10, 10, 1]


# The generator's options


def test_nearest_upsampling_repeats_pixels_before_a_3x3_convolution():
    generator = DCGANGenerator(GeneratorOptions(latent=6, width=4, upsample="nearest"), SMALL)
    h = torch.randn(2, 8, 4, 3)
    repeated = h.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    upsample = generator.levels[1].enlarge
    torch.testing.assert_close(upsample(h), conv2d(repeated, upsample[1].weight, padding=1))
    assert upsample[1].weight.shape == (4, 8, 3, 3)


@pytest.mark.parametrize("kernel", range(2, 9))
@pytest.mark.parametrize("size", [(16, 16), (24, 16)])
def test_every_kernel_gives_the_right_size(kernel, size):
    with torch.device("meta"):
        generator = DCGANGenerator(GeneratorOptions(latent=4, width=4, kernel=kernel), Size(*size))
        assert generator(torch.zeros(2, 4, device="meta")).shape == (2, 3, *size)
        assert generator.to_rgb.kernel_size == (kernel, kernel)


def test_nearest_upsampling_draws_no_checkerboard():
    """With equal weights a resize-convolution is even inside; a transposed 3x3 kernel overlaps itself unevenly."""

    def unevenness(**options):
        generator = DCGANGenerator(GeneratorOptions(latent=2, width=4, norm="none", output="linear", **options), SMALL)
        for parameter in generator.parameters():
            nn.init.constant_(parameter, 0.01)
        pictures = generator(torch.ones(1, 2)).detach()[0, 0, 5:-5, 5:-5]
        return (pictures.std() / pictures.mean()).item()

    assert unevenness(upsample="nearest") < 1e-5
    assert unevenness(kernel=4) < 1e-5
    assert unevenness(kernel=3) > 0.1


@pytest.mark.parametrize("upsample", ["transposed", "nearest"])
@pytest.mark.parametrize("norm", ["batch", "self-modulated", "none"])
@pytest.mark.parametrize("activation", ["relu", "leaky-relu"])
def test_pictures_have_their_shape_range_and_gradients(upsample, norm, activation):
    options = GeneratorOptions(latent=6, width=4, upsample=upsample, norm=norm, activation=activation)
    generator = DCGANGenerator(options, Size(12, 16))
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter *= 30  # far into the tanh
    pictures = generator(torch.randn(5, 6))
    assert pictures.shape == (5, 3, 12, 16)
    assert pictures.abs().max() <= 1
    pictures.square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in generator.parameters())


def test_linear_output_is_free_and_samples_are_clamped():
    tanh, linear = (DCGANGenerator(GeneratorOptions(latent=6, width=4, output=o), SMALL) for o in ("tanh", "linear"))
    with_parameters_of(tanh, linear)
    linear.to_rgb.weight.data *= 100
    tanh.to_rgb.weight.data *= 100
    z = torch.randn(5, 6)
    assert linear(z).abs().max() > 1
    torch.testing.assert_close(linear(z).tanh(), tanh(z))
    assert linear.sample(z).abs().max() == 1


@pytest.mark.parametrize("prior", ["gaussian", "sphere", "uniform"])
def test_the_latent_space_is_that_of_the_options(prior):
    generator = DCGANGenerator(GeneratorOptions(latent=6, prior=prior, width=4), SMALL)
    assert (generator.takes, generator.latent.shape, generator.latent.prior) == ("latent", (6,), prior)
    assert generator(generator.latent.draw(3)).shape == (3, 3, 16, 16)


def test_self_modulation_scales_and_shifts_by_the_latent():
    norm = SelfModulatedBatchNorm(channels=5, latent=4, hidden=8)
    with torch.no_grad():
        norm.modulation[2].weight.normal_()
        norm.modulation[2].bias.normal_()
    h, z = torch.randn(6, 5, 3, 3), torch.randn(6, 4)
    normed = (h - h.mean(dim=(0, 2, 3), keepdim=True)) / (
        h.var(dim=(0, 2, 3), correction=0, keepdim=True) + 1e-5
    ).sqrt()
    first, _, last = norm.modulation
    hidden = (z @ first.weight.T + first.bias).clamp(min=0)
    a, b = (hidden @ last.weight.T + last.bias).split(5, dim=1)
    torch.testing.assert_close(norm(h, z), normed * (1 + a[:, :, None, None]) + b[:, :, None, None])


def test_self_modulated_levels_hear_the_latent_and_others_do_not():
    h, z = torch.randn(4, 8, 4, 4), torch.randn(4, 6)
    for kind, hears in (("self-modulated", True), ("batch", False), ("none", False)):
        level = DCGANGenerator(GeneratorOptions(latent=6, width=4, norm=kind), SMALL).levels[1]
        assert torch.equal(level(h, z), level(h, -z)) != hears


def test_self_modulation_begins_as_plain_batch_norm():
    norm = SelfModulatedBatchNorm(64, 100)
    h = 3 + torch.randn(64, 64, 2, 2)
    assert (norm(h, torch.randn(64, 100)) - nn.BatchNorm2d(64)(h)).std() < 0.15


# Initialisation


def test_weights_begin_as_the_paper_says():
    generator = DCGANGenerator(GeneratorOptions(width=32, norm="batch"), Size(32, 32))
    critic = DCGANCritic(CriticOptions(width=32), Size(32, 32))
    for network in (generator, critic):
        convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
        norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
        for convolution in convolutions:
            error = 4 * 0.02 / convolution.weight.numel() ** 0.5
            assert convolution.weight.mean().item() == pytest.approx(0, abs=error)
            assert convolution.weight.std().item() == pytest.approx(0.02, abs=error)
            assert convolution.bias is None
        scales = torch.cat([norm.weight.detach() for norm in norms])
        assert scales.mean().item() == pytest.approx(1, abs=4 * 0.02 / len(scales) ** 0.5)
        assert scales.std().item() == pytest.approx(0.02, rel=0.25)
        assert all((norm.bias == 0).all() for norm in norms)


def test_kaiming_keeps_the_scale_of_activations():
    def deviations(init):
        critic = DCGANCritic(CriticOptions(width=32, norm="none", init=init), Size(64, 64))
        h, found = torch.randn(8, 3, 64, 64), []
        for layer in critic.levels:
            h = layer(h)
            if isinstance(layer, nn.LeakyReLU):
                found.append(h.square().mean().sqrt().item())
        biases = [m.bias for m in critic.modules() if isinstance(m, nn.Conv2d)]
        assert all((bias == 0).all() for bias in biases)
        return found

    assert all(0.6 < deviation < 1.4 for deviation in deviations("kaiming"))
    assert deviations("normal")[-1] < 0.3


# The critic's options


def reference_critic(downsample, norm, activation):
    """The levels of a 16 px critic of width 4, written out."""
    activate = nn.LeakyReLU(0.2) if activation == "leaky-relu" else nn.ReLU()
    bias = norm == "none"
    layers = []
    for before, after in ((3, 4), (4, 8)):
        if downsample == "stride":
            layers.append(nn.Conv2d(before, after, 4, 2, 1, bias=bias))
        else:
            pool = {"average": nn.AvgPool2d, "max": nn.MaxPool2d}[downsample](2, 2)
            layers += [nn.Conv2d(before, after, 3, 1, 1, bias=bias), pool]
        if norm == "batch" and before > 3:
            layers.append(nn.BatchNorm2d(after))
        layers.append(activate)
    return nn.Sequential(*layers, nn.Conv2d(8, 1, 4, bias=bias), nn.Flatten(0))


@pytest.mark.parametrize("downsample", ["stride", "average", "max"])
@pytest.mark.parametrize("norm", ["batch", "none"])
@pytest.mark.parametrize("activation", ["leaky-relu", "relu"])
def test_the_critic_shrinks_normalises_and_activates_as_told(downsample, norm, activation):
    options = CriticOptions(width=4, downsample=downsample, norm=norm, activation=activation)
    critic = DCGANCritic(options, SMALL)
    with torch.no_grad():
        for parameter in critic.parameters():
            parameter.normal_()
    reference = with_parameters_of(reference_critic(downsample, norm, activation), critic)
    x = torch.randn(5, 3, 16, 16)
    torch.testing.assert_close(critic(x), reference(x))


def test_instance_noise_is_gaussian_and_only_in_training():
    critic = DCGANCritic(CriticOptions(width=4, instance_noise=0.3), SMALL)
    critic.levels, critic.score = nn.Identity(), nn.Identity()  # what is left is the noise
    x = torch.rand(64, 3, 16, 16)
    noise = critic(x) - x.flatten()
    assert noise.std().item() == pytest.approx(0.3, rel=0.02)
    assert noise.mean().item() == pytest.approx(0, abs=0.01)
    assert torch.equal(critic.eval()(x), x.flatten())


def test_dropout_drops_channels_in_training_only():
    critic = DCGANCritic(CriticOptions(width=64, norm="none", dropout=0.5, init="kaiming"), SMALL)
    x = torch.randn(2, 3, 16, 16)
    assert not torch.equal(critic(x), critic(x))
    assert torch.equal(critic.eval()(x), critic(x))
    dropped = critic.train().levels[:3](x)
    empty = (dropped == 0).all(dim=3).all(dim=2)
    assert empty.float().mean().item() == pytest.approx(0.5, abs=0.15)
    assert not any(isinstance(m, nn.Dropout2d) for m in DCGANCritic(CriticOptions(), SMALL).modules())


def test_minibatch_deviation_lets_a_score_depend_on_the_other_pictures():
    x = torch.randn(4, 3, 16, 16)
    others = torch.cat([x[:1], torch.randn(3, 3, 16, 16)])
    for group, sees in ((4, True), (0, False)):
        critic = DCGANCritic(CriticOptions(width=4, norm="none", init="kaiming", minibatch_deviation=group), SMALL)
        assert critic.score.in_channels == 8 + sees
        torch.testing.assert_close(critic(x)[0], critic(x.clone())[0])
        assert torch.isclose(critic(x)[0], critic(others)[0], rtol=1e-5, atol=1e-7).item() != sees


@pytest.mark.parametrize(
    "options",
    [
        {"norm": "none"},
        {"norm": "batch"},
        {"norm": "none", "downsample": "average"},
        {"norm": "none", "downsample": "max"},
        {"norm": "none", "minibatch_deviation": 2},
    ],
)
def test_a_penalty_differentiates_through_the_critic(options):
    critic = DCGANCritic(CriticOptions(width=4, init="kaiming", **options), Size(12, 12)).double()
    names, weights = zip(*critic.named_parameters(), strict=True)
    x = torch.randn(4, 3, 12, 12, dtype=torch.float64, requires_grad=True)

    def scores(x, *weights):
        return functional_call(critic, dict(zip(names, weights, strict=True)), (x,))

    assert gradgradcheck(scores, (x, *weights), fast_mode=True)
