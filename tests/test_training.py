"""The small values that pass between core and plugins."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from artgen import PluginError
from artgen.training import (
    Augmentation,
    Batch,
    Clock,
    Features,
    Generator,
    LatentSpace,
    Losses,
    LossTerm,
    Outputs,
    Phase,
    Size,
)


def test_a_size_is_height_first_and_reads_width_first():
    size = Size(48, 64)
    assert (size.height, size.width) == tuple(size) == (48, 64)
    assert str(size) == "64x48"


# Latents


def test_gaussian_latents_are_standard_normal():
    torch.manual_seed(0)
    z = LatentSpace((50,)).draw(2000)
    assert z.shape == (2000, 50)
    assert z.mean().abs() < 0.02
    assert (z.std() - 1).abs() < 0.02
    assert z.norm(dim=1).std() > 0.5  # not the sphere's


@pytest.mark.parametrize("shape", [(16,), (4, 2, 3)])
def test_spherical_latents_have_norm_root_d_in_every_direction(shape):
    torch.manual_seed(0)
    z = LatentSpace(shape, "sphere").draw(4000)
    assert z.shape == (4000, *shape)
    dimensions = z[0].numel()
    torch.testing.assert_close(z.flatten(1).norm(dim=1), torch.full((4000,), dimensions**0.5))
    assert z.mean(dim=0).abs().max() < 0.1
    assert (z.square().mean(dim=0) - 1).abs().max() < 0.1


def test_uniform_latents_fill_minus_one_to_one():
    torch.manual_seed(0)
    z = LatentSpace((50,), "uniform").draw(2000)
    assert -1 <= z.min() < -0.99
    assert 0.99 < z.max() <= 1
    assert (z.var() - 1 / 3).abs() < 0.01


@pytest.mark.parametrize("prior", ["gaussian", "sphere", "uniform"])
def test_latents_are_drawn_from_the_global_generator(prior):
    space = LatentSpace((5,), prior)
    torch.manual_seed(3)
    first, second = space.draw(4), space.draw(4)
    torch.manual_seed(3)
    assert torch.equal(space.draw(4), first)
    assert not torch.equal(first, second)


class Mapped(Generator):
    """With latents as a mapping of its own makes them: W of StyleGAN, small."""

    def __init__(self):
        super().__init__()
        self.mapping = nn.Linear(3, 5)
        self.latent = LatentSpace((5,), "learned", self.mapping, (3,), parts={"coarse": slice(0, 2)})


def test_learned_latents_are_what_the_mapping_makes_of_normal_ones():
    generator = Mapped()
    torch.manual_seed(0)
    w = generator.latent.draw(5000)
    assert w.shape == (5000, 5)
    torch.testing.assert_close(w.mean(0), generator.mapping.bias, rtol=0, atol=0.05)
    wanted = generator.mapping.weight @ generator.mapping.weight.T
    torch.testing.assert_close(w.T.cov(), wanted, rtol=0, atol=0.1)
    assert w.requires_grad  # a trainer learns through it


def test_a_copied_generator_maps_by_its_own_mapping():
    generator = Mapped()
    average = copy.deepcopy(generator)
    torch.nn.init.zeros_(average.mapping.weight)
    assert torch.equal(average.latent.draw(2), average.mapping.bias.expand(2, 5))
    assert not torch.equal(*generator.latent.draw(2))


def test_a_method_serves_as_mapping_too():
    class Maps(nn.Linear):
        def mapped(self, z):
            return self(z) + 1

    layer = Maps(3, 5)
    space = LatentSpace((5,), "learned", layer.mapped, (3,))
    assert space.draw(4).shape == (4, 5)


def test_spaces_have_a_middle_but_for_the_sphere():
    assert torch.equal(LatentSpace((2, 3)).middle(), torch.zeros(2, 3))
    assert torch.equal(LatentSpace((2,), "uniform").middle(), torch.zeros(2))
    assert LatentSpace((2,), "sphere").middle() is None
    space, state = Mapped().latent, torch.get_rng_state()
    middle = space.middle()
    torch.testing.assert_close(middle, space.mapping.bias.detach(), rtol=0, atol=0.06)  # 4,096 draws
    assert not middle.requires_grad
    assert torch.equal(space.middle(), middle)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    "told", [("learned",), ("learned", nn.Identity()), ("gaussian", nn.Identity(), (3,)), ("sphere", None, (3,))]
)
def test_a_mapping_belongs_to_a_learned_prior_and_to_no_other(told):
    with pytest.raises(PluginError, match="mapping and z_shape") as refused:
        LatentSpace((3,), *told)
    assert "learned prior" in refused.value.remedy


def test_spaces_can_be_compared_and_hashed():
    parts = {"coarse": slice(0, 2)}
    assert LatentSpace((5,), parts=parts) == LatentSpace((5,), parts=dict(parts)) != LatentSpace((5,))
    assert hash(LatentSpace((5,), parts=parts)) == hash(LatentSpace((5,), parts=parts))


# Generators


def test_a_sample_is_the_largest_picture_in_range_and_in_full_precision():
    class Pyramid(Generator):
        def forward(self, given):
            return torch.zeros(1, 3, 2, 2), torch.tensor([-3.0, 0.25, 3.0]).view(1, 3, 1, 1).expand(
                1, 3, 4, 4
            ).bfloat16()

    sample = Pyramid().sample(None)
    assert sample.dtype == torch.float32
    assert sample.shape == (1, 3, 4, 4)
    assert sample[0, :, 0, 0].tolist() == [-1.0, 0.25, 1.0]


def test_an_embedding_is_the_deepest_activation_averaged_over_its_pixels():
    class Two(Features):
        def forward(self, pictures):
            return pictures, pictures[:, :1] * 2

    pictures = torch.rand(2, 3, 4, 4)
    torch.testing.assert_close(Two().embed(pictures), pictures[:, :1].mean(dim=(2, 3)) * 2)


# Augmentation


class Shift(Augmentation):
    """Adds one number to each picture."""

    def draw(self, count, device):
        return torch.rand(count, 1, 1, 1, device=device)

    def apply_draw(self, pictures, drawn):
        return pictures + drawn


def test_the_plain_augmentation_changes_nothing():
    x = torch.rand(2, 3, 4, 4)
    assert torch.equal(Augmentation()(x), x)
    assert all(torch.equal(a, b) for a, b in zip(Augmentation()((x, x + 1)), (x, x + 1), strict=True))
    assert Augmentation().observe(torch.zeros(2)) is None


def test_one_draw_serves_all_levels_of_a_pyramid():
    pyramid = (torch.zeros(5, 3, 2, 2), torch.zeros(5, 3, 4, 4))
    small, large = Shift()(pyramid)
    assert small.shape == pyramid[0].shape
    assert large.shape == pyramid[1].shape
    assert torch.equal(small[:, :, :2, :2], large[:, :, :2, :2])
    assert small[:, 0, 0, 0].unique().numel() == 5  # and each picture has its own


def test_a_draw_can_be_shared_by_two_sides():
    shift = Shift()
    drawn = shift.draw(3, torch.device("cpu"))
    assert torch.equal(shift(torch.zeros(3, 3, 2, 2), drawn), shift(torch.zeros(3, 3, 2, 2), drawn))
    assert not torch.equal(shift(torch.zeros(3, 3, 2, 2)), shift(torch.zeros(3, 3, 2, 2)))


# Losses


class Mean:
    def critic(self, outputs):
        return outputs.fake_logits.mean()


class Both(Mean):
    def generator(self, outputs):
        return -outputs.fake_logits.mean()


class Near:
    def generator(self, outputs):
        return outputs.made.mean()


def test_losses_are_weighted_and_lazy_ones_come_scaled():
    losses = Losses({"plain": LossTerm(Both(), weight=2.0), "lazy": LossTerm(Mean(), weight=0.5, every=4)})
    logits = torch.tensor([1.0, 5.0], requires_grad=True)  # mean 3
    outputs = Outputs(fake_logits=logits)
    sums = [losses("critic", outputs, step)[0].item() for step in range(9)]
    due, idle = 2 * 3 + 0.5 * 4 * 3, 2 * 3
    assert sums == [due, idle, idle, idle, due, idle, idle, idle, due]
    assert sum(sums[:8]) / 8 == (2 + 0.5) * 3  # on average the lazy term has its weight

    total, values = losses("critic", outputs, 0)
    assert {name: value.item() for name, value in values.items()} == {"critic/plain": 3.0, "critic/lazy": 3.0}
    assert not any(value.requires_grad for value in values.values())
    total.backward()
    assert logits.grad.tolist() == [(2 + 2) / 2] * 2


def test_a_loss_judges_only_its_sides():
    losses = Losses({"one": LossTerm(Mean()), "two": LossTerm(Both())})
    total, values = losses("generator", Outputs(fake_logits=torch.tensor([3.0])), 0)
    assert total.item() == -3.0
    assert set(values) == {"generator/two"}


def test_a_loss_that_is_not_due_is_not_computed():
    losses = Losses({"lazy": LossTerm(Mean(), every=2)})
    total, values = losses("critic", Outputs(), 1)  # the field it reads is not even there
    assert total.item() == 0
    assert values == {}


def test_a_loss_is_left_out_only_where_that_is_asked_for():
    needs = {"critic": ("fake_logits",), "generator": ("fake_logits", "made")}
    losses = Losses({"scored": LossTerm(Both(), needs=needs), "plain": LossTerm(Near())})
    logits, made = torch.tensor([3.0]), torch.tensor([0.5])
    for outputs, told in (
        (Outputs(made=made), {"generator/plain": 0.5}),
        (Outputs(made=made, fake_logits=logits), {"generator/scored": -3.0, "generator/plain": 0.5}),
    ):
        total, values = losses("generator", outputs, 0, partial=True)
        assert {name: value.item() for name, value in values.items()} == told
        assert total.item() == sum(told.values())
    assert losses("critic", Outputs(made=made), 0, partial=True) == (0, {})
    with pytest.raises(PluginError, match="it needs fake_logits for the critic, which the trainer said it gives"):
        losses("critic", Outputs(made=made), 0)
    assert losses("critic", Outputs(fake_logits=logits), 0)[0].item() == 3.0  # `made` is the generator's need only


def test_need_looks_at_the_side():
    losses = Losses({"r": LossTerm(Both(), needs={"critic": ("real_logits",), "generator": ("fake_logits",)})})
    assert losses.need("critic", "real_logits")
    assert not losses.need("generator", "real_logits")
    assert losses.need("generator", "fake_logits")


# Clock


@pytest.mark.parametrize(("images", "progress"), [(0, 0.0), (250, 0.25), (1000, 1.0), (1064, 1.0)])
def test_progress_is_the_share_of_images(images, progress):
    assert Clock(images=images, steps=7, total_images=1000).progress == progress


@pytest.mark.parametrize(("phase_images", "share"), [(0, 0.0), (100, 0.25), (400, 1.0), (800, 1.0)])
def test_a_fade_takes_its_share_of_the_phase(phase_images, share):
    phase = Phase(1, Size(8, 8), images=800, batch=4, fade=0.5)
    assert Clock(images=5000, phase_images=phase_images).fade(phase) == share


def test_without_a_fade_the_newest_level_shows_at_once():
    assert Clock().fade(Phase(0, Size(8, 8), images=800, batch=4)) == 1.0


# Batches


def test_a_batch_splits_into_equal_parts_in_order():
    real, source = torch.arange(6.0).view(6, 1, 1, 1), torch.arange(6.0, 12.0).view(6, 1, 1, 1)
    parts = Batch(real, source).split(3)
    assert [part.real.flatten().tolist() for part in parts] == [[0, 1], [2, 3], [4, 5]]
    assert [part.source.flatten().tolist() for part in parts] == [[6, 7], [8, 9], [10, 11]]


def test_a_batch_without_sources_splits_without_sources():
    parts = Batch(torch.zeros(4, 3, 2, 2)).split(2)
    assert [part.source for part in parts] == [None, None]
    (whole,) = Batch(torch.zeros(4, 3, 2, 2)).split(1)
    assert len(whole.real) == 4


def test_networks_ignore_phases_and_fades_unless_they_grow():
    class Plain(Generator):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

    network = Plain()
    assert not network.grows
    network.begin(Size(8, 8))
    network.fade(0.5)
    assert network.weight.item() == 1.0
    real = torch.rand(1, 3, 2, 2)
    assert network.like(real) is real


def test_a_loss_of_weight_zero_is_not_even_asked():
    class Costly:
        def critic(self, outputs):
            raise AssertionError("it was asked")

    total, values = Losses({"costly": LossTerm(Costly(), weight=0.0)})("critic", Outputs(), 0)
    assert (float(total), values) == (0.0, {})


def test_the_steady_part_of_a_sum_leaves_lazy_terms_out():
    losses = Losses({"always": LossTerm(None, weight=2.0), "lazy": LossTerm(None, weight=5.0, every=4)})
    values = {"critic/always": torch.tensor(3.0), "critic/lazy": torch.tensor(7.0)}
    assert float(losses.steady("critic", values)) == 6.0


@pytest.mark.parametrize(
    ("answer", "said"),
    [(1.0, "returned float"), (torch.ones(2, 3), r"a tensor of shape \(2, 3\)"), (None, "returned NoneType")],
)
def test_a_loss_that_is_no_scalar_is_named(answer, said):
    class Wrong:
        def critic(self, outputs):
            return answer

    losses = Losses({"wrong": LossTerm(Wrong(), plugin="'strange' (stranger 1.0)")})
    with pytest.raises(PluginError, match=said) as error:
        losses("critic", Outputs(), 0)
    assert error.value.place == "losses.wrong of the plugin 'strange' (stranger 1.0)"
