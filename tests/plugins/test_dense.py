"""The dense GAN."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import pairwise

import pytest
import torch
from pydantic import ValidationError
from torch import nn
from torch.autograd import gradgradcheck

from artgen.training import Size
from artgen_dense import CriticOptions, GeneratorOptions, artgen_critics, artgen_generators
from artgen_dense.networks import DenseCritic, DenseGenerator

SIZE = Size(6, 10)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(1632)


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


def with_parameters_of(network, other):
    for mine, theirs in zip(network.parameters(), other.parameters(), strict=True):
        mine.data.copy_(theirs.data)
    return network


def test_the_generator_is_the_net_that_the_options_describe():
    generator = DenseGenerator(GeneratorOptions(latent=7, hidden=(8, 9, 11)), SIZE)
    written_out = nn.Sequential(
        nn.Linear(7, 8), nn.LeakyReLU(0.2),
        nn.Linear(8, 9), nn.BatchNorm1d(9), nn.LeakyReLU(0.2),
        nn.Linear(9, 11), nn.BatchNorm1d(11), nn.LeakyReLU(0.2),
        nn.Linear(11, 3 * 6 * 10), nn.Tanh(), nn.Unflatten(1, (3, 6, 10)),
    )  # fmt: skip
    with_parameters_of(written_out, generator)
    z = torch.randn(5, 7)
    pictures = generator(z)
    assert pictures.shape == (5, 3, 6, 10)
    assert pictures.abs().max() <= 1
    torch.testing.assert_close(pictures, written_out(z))
    assert (generator.takes, generator.latent.shape, generator.latent.prior) == ("latent", (7,), "gaussian")


def test_the_critic_is_the_net_that_the_options_describe():
    critic = DenseCritic(CriticOptions(hidden=(9, 8), dropout=0.0), SIZE)
    written_out = nn.Sequential(
        nn.Flatten(1), nn.Linear(180, 9), nn.LeakyReLU(0.2), nn.Linear(9, 8), nn.LeakyReLU(0.2), nn.Linear(8, 1)
    )
    with_parameters_of(written_out, critic)
    x = torch.randn(5, 3, 6, 10)
    assert critic(x).shape == (5,)
    torch.testing.assert_close(critic(x), written_out(x).flatten())


def test_parameter_counts_of_the_defaults_at_28_px():
    units = [100, 256, 512, 1024, 3 * 28 * 28]
    linear = sum(before * after + after for before, after in pairwise(units))
    assert count(DenseGenerator(GeneratorOptions(), Size(28, 28))) == linear + 2 * 512 + 2 * 1024
    assert count(DenseGenerator(GeneratorOptions(batch_norm=False), Size(28, 28))) == linear
    units = [3 * 28 * 28, 1024, 512, 256, 1]
    linear = sum(before * after + after for before, after in pairwise(units))
    assert count(DenseCritic(CriticOptions(), Size(28, 28))) == linear


def test_dropout_is_after_each_hidden_layer_and_only_in_training():
    critic = DenseCritic(CriticOptions(hidden=(400, 400), dropout=0.25), SIZE)
    x = torch.randn(8, 3, 6, 10)
    assert not torch.equal(critic(x), critic(x))
    for end in (3, 6):
        dropped = (critic.layers[:end](x.flatten(1)) == 0).float().mean().item()
        assert dropped == pytest.approx(0.25, abs=0.04)
    assert torch.equal(critic.eval()(x), critic(x))


@pytest.mark.parametrize(
    ("options", "values"),
    [
        (GeneratorOptions, {"hidden": ()}),
        (GeneratorOptions, {"hidden": (16, 0)}),
        (GeneratorOptions, {"hidden": (-1,)}),
        (GeneratorOptions, {"latent": 0}),
        (CriticOptions, {"hidden": (0,)}),
        (CriticOptions, {"hidden": (10**9,)}),
        (CriticOptions, {"dropout": 1.0}),
    ],
)
def test_options_that_make_no_net_are_refused(options, values):
    with pytest.raises(ValidationError):
        options(**values)


def test_a_penalty_differentiates_through_the_critic():
    critic = DenseCritic(CriticOptions(hidden=(5, 4), dropout=0.0), Size(2, 2)).double()
    x = torch.randn(3, 3, 2, 2, dtype=torch.float64, requires_grad=True)
    assert gradgradcheck(lambda x: critic(x).square(), x)


def test_the_components_name_their_code_and_their_partner():
    (generator,), (critic,) = artgen_generators(), artgen_critics()
    assert (generator.load(), critic.load()) == (DenseGenerator, DenseCritic)
    assert generator.partner == critic.name


def test_the_hook_module_imports_no_torch():
    code = "import sys, artgen_dense; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    assert subprocess.run([sys.executable, "-c", code], env=environment).returncode == 0
