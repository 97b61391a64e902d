"""The averaged generator."""

from __future__ import annotations

import copy
from contextlib import nullcontext
from dataclasses import replace

import pytest
import torch
from torch import nn

from artgen.data.dataset import Workshop
from artgen.recipe import load_recipe
from artgen.run.average import Average, settled
from artgen.run.build import build, prepare_data
from artgen.run.loop import images_at_this_size, take_step
from artgen.training import Clock, Generator, Size
from tests.families.drive import RECIPES, families


class Toy(Generator):
    def __init__(self, norm=True):
        super().__init__()
        self.linear = nn.Linear(4, 6)
        self.norm = nn.BatchNorm1d(6) if norm else nn.Identity()
        self.dropout = nn.Dropout(0.0)

    def forward(self, z):
        return self.dropout(self.norm(self.linear(z)))


def wiggle(network):
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += torch.randn_like(parameter)


def test_it_equals_the_formula_with_a_ramped_half_life():
    torch.manual_seed(0)
    generator = Toy()
    average = Average(generator, half_life_images=50)
    expected = {name: p.detach().double() for name, p in generator.named_parameters()}
    for images in range(10, 1001, 10):  # batches of 10; the ramp ends at 500
        wiggle(generator)
        average.update(10, images)
        kept = 0.5 ** (10 / min(50, 0.1 * images))
        for name, p in generator.named_parameters():
            expected[name] = kept * expected[name] + (1 - kept) * p.detach().double()
        if images == 10:  # half-life of one picture: ten halvings
            torch.testing.assert_close(average.network.linear.weight, generator.linear.weight, atol=5e-3, rtol=0)
    for name, p in average.network.named_parameters():
        torch.testing.assert_close(p.double(), expected[name], atol=1e-5, rtol=1e-5)


def test_a_new_size_ramps_anew():
    """A level that is blended in begins with the colours that it has now, not with those of its first weights."""
    generator = Toy()
    average = Average(generator, half_life_images=1000)
    average.update(10, 1_000_000)
    wiggle(generator)
    average.update(10, 10)
    torch.testing.assert_close(average.network.linear.weight, generator.linear.weight, atol=5e-3, rtol=0)


def test_the_loop_tells_it_how_many_pictures_were_shown_at_this_size(tmp_path):
    (tmp_path / "toy.toml").write_text(RECIPES["growing"])
    recipe = load_recipe(tmp_path / "toy.toml", plugins=families())
    dataset = prepare_data(recipe, Workshop(tmp_path, lambda *_: nullcontext(lambda _: None), 1))
    job = build(recipe, dataset, torch.device("cpu"), "fp32")
    second = job.phases[1]
    assert images_at_this_size(job.phases, Clock(30, 7, 1, 6)) == 6
    same = (job.phases[0], replace(job.phases[0], index=1), replace(second, index=2))
    assert images_at_this_size(same, Clock(30, 7, 1, 6)) == job.phases[0].images + 6  # only the batch has changed
    job.begin(second)
    with torch.no_grad():
        for parameter in job.average.network.parameters():
            parameter += 1
    take_step(job, second, Clock(24, 6, second.index, 0, job.total_images))  # 4 pictures: ten halvings
    for averaged, latest in zip(job.average.network.parameters(), job.generator.parameters(), strict=True):
        torch.testing.assert_close(averaged, latest, atol=5e-3, rtol=0)


def test_after_one_half_life_half_of_the_difference_is_left():
    generator = Toy()
    average = Average(generator, half_life_images=100)
    with torch.no_grad():
        before = average.network.linear.bias.clone()
        generator.linear.bias += 8
    for _ in range(4):
        average.update(25, 1_000_000)
    torch.testing.assert_close(average.network.linear.bias, before + 4)


def test_no_half_life_means_the_latest_weights():
    generator = Toy()
    average = Average(generator, half_life_images=0)
    wiggle(generator)
    average.update(10, 10)
    torch.testing.assert_close(average.network.state_dict(), generator.state_dict(), rtol=0, atol=0)


def test_buffers_are_copied_whole_numbers_too():
    generator = Toy()
    average = Average(generator, half_life_images=10**9)
    generator(torch.randn(16, 4) + 3)
    average.update(16, 10**9)
    torch.testing.assert_close(dict(average.network.named_buffers()), dict(generator.named_buffers()), rtol=0, atol=0)
    assert average.network.norm.num_batches_tracked == 1


def test_the_average_is_a_network_of_its_own_without_gradients():
    generator = Toy()
    average = Average(generator, half_life_images=10)
    assert not average.network.training
    assert generator.training
    assert not any(parameter.requires_grad for parameter in average.network.parameters())
    assert all(parameter.requires_grad for parameter in generator.parameters())
    weights = copy.deepcopy(average.network.state_dict())
    wiggle(generator)
    torch.testing.assert_close(average.network.state_dict(), weights, rtol=0, atol=0)


def test_it_follows_parameters_that_a_phase_replaced():
    class Canvas(Generator):
        def __init__(self):
            super().__init__()
            self.begin(Size(1, 1))

        def begin(self, size):
            self.picture = nn.Parameter(torch.zeros(1, 3, *size))

    generator = Canvas()
    average = Average(generator, half_life_images=10)
    generator.begin(Size(2, 2))
    average.begin(generator, Size(2, 2))
    with torch.no_grad():
        generator.picture += 1
    average.update(10, 1000)
    torch.testing.assert_close(average.network.picture, torch.full((1, 3, 2, 2), 0.5))
    assert not average.network.picture.requires_grad


def test_it_follows_weights_that_were_loaded():
    generator = Toy()
    average = Average(generator, half_life_images=10)
    loaded = Toy().state_dict()
    generator.load_state_dict(loaded)
    average.update(10, 1)  # the half-life is still a tenth of a picture
    torch.testing.assert_close(average.network.linear.weight, loaded["linear.weight"])


# Settling


def test_settling_recomputes_batch_norm_statistics_and_leaves_the_original():
    torch.manual_seed(0)
    network = Toy().eval()
    network.norm.running_mean.fill_(9)
    before = copy.deepcopy(network.state_dict())
    batches = [torch.randn(32, 4) + shift for shift in (0.0, 1.0, 2.0)]
    copied = settled(network, iter(batches))

    activations = [batch @ network.linear.weight.T + network.linear.bias for batch in batches]
    mean = torch.stack([a.mean(dim=0) for a in activations]).mean(dim=0)
    variance = torch.stack([a.var(dim=0) for a in activations]).mean(dim=0)
    torch.testing.assert_close(copied.norm.running_mean, mean)
    torch.testing.assert_close(copied.norm.running_var, variance)
    z = torch.randn(5, 4)
    normed = (network.linear(z) - mean) / (variance + copied.norm.eps).sqrt()
    torch.testing.assert_close(copied(z), normed * network.norm.weight + network.norm.bias)

    assert not copied.training
    assert not any(module.training for module in copied.modules())
    assert copied.norm.momentum == network.norm.momentum
    torch.testing.assert_close(network.state_dict(), before, rtol=0, atol=0)
    assert not network.training


def test_settling_sees_the_network_as_it_will_be_used():
    """Dropout is off in eval mode, so the statistics are those without it."""
    torch.manual_seed(0)

    class Dropping(Toy):
        def forward(self, z):
            return self.norm(nn.functional.dropout(self.linear(z), 0.9, self.training))

    network = Dropping().eval()
    z = torch.randn(512, 4)
    copied = settled(network, [z])
    torch.testing.assert_close(copied(z).mean(dim=0), torch.zeros(6), atol=1e-4, rtol=0)
    torch.testing.assert_close(copied(z).std(dim=0), torch.ones(6), atol=1e-3, rtol=0)


def test_norms_that_keep_no_statistics_have_none_to_settle():
    network = Toy()
    network.norm = nn.BatchNorm1d(6, track_running_stats=False)
    z = torch.randn(16, 4)
    torch.testing.assert_close(settled(network, iter(()))(z), network.eval()(z))


@pytest.mark.parametrize("training", [True, False])
def test_without_batch_norm_nothing_is_run(training):
    def never():
        raise AssertionError("asked for latents")
        yield

    network = Toy(norm=False).train(training)
    copied = settled(network, never())
    assert copied is not network
    assert not copied.training
    torch.testing.assert_close(copied.state_dict(), network.state_dict(), rtol=0, atol=0)
    assert network.training == training
