"""pix2pix against its published sizes, layers and steps, and its departures against what they promise."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from kornia.color import rgb_to_lab
from torch import nn
from torch.autograd import gradcheck
from torch.func import functional_call
from torch.nn.functional import (
    batch_norm,
    binary_cross_entropy_with_logits,
    conv2d,
    conv_transpose2d,
    leaky_relu,
    relu,
    softplus,
)
from torch.utils.flop_counter import FlopCounterMode

from artgen import DataError, LossOptions, RecipeError
from artgen.run.average import settled
from artgen.run.update import GuardedUpdate
from artgen.testing.filters import SmallFeatures
from artgen.training import (
    Augmentation,
    Batch,
    Clock,
    Critic,
    Generator,
    LatentSpace,
    Losses,
    LossTerm,
    Outputs,
    Parts,
    Phase,
    Size,
)
from artgen_adversarial import GradientPenaltyOptions, NonSaturatingOptions, PenaltyOptions
from artgen_adversarial.losses import (
    R1,
    R2,
    GradientPenalty,
    Hinge,
    LeastSquares,
    NonSaturating,
    Relativistic,
    Wasserstein,
)
from artgen_pix2pix import (
    CriticOptions,
    GeneratorOptions,
    L1Options,
    TrainerOptions,
    artgen_critics,
    artgen_generators,
    artgen_losses,
    artgen_trainers,
)
from artgen_pix2pix.critic import PatchGAN
from artgen_pix2pix.generator import UNet
from artgen_pix2pix.losses import L1, Perceptual
from artgen_pix2pix.trainer import PairedTrainer

SMALL = Size(16, 16)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(1632)


def generator(size=SMALL, **options):
    return UNet(GeneratorOptions(**{"width": 4, "widest": 8} | options), size)


def critic(size=SMALL, **options):
    return PatchGAN(CriticOptions(**{"width": 4, "widest": 8, "receptive_field_px": 16} | options), size)


def pictures(count=2, size=SMALL, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return torch.rand(count, 3, *size, generator=draw) * 2 - 1


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


# What was published


def test_the_unet_has_54_million_parameters():
    """54.414 million, as the authors' code tells; here counted layer by layer, without any of this project."""
    down = [3, 64, 128, 256, 512, 512, 512, 512, 512]
    up = [512, 512, 512, 512, 256, 128, 64]
    beside = [0, 512, 512, 512, 512, 256, 128, 64]  # what comes over the bridges
    convolutions = sum(16 * a * b for a, b in pairwise(down))
    convolutions += sum(16 * (a + bridge) * b for a, b, bridge in zip([512, *up], [*up, 3], beside, strict=True)) + 3
    norms = 2 * (sum(down[2:8]) + sum(up))
    with torch.device("meta"):
        g = UNet(GeneratorOptions(), Size(256, 256))
    assert count(g) == convolutions + norms == 54_413_955


@pytest.mark.parametrize(
    ("field", "widths", "kernel", "number"),
    [
        (1, [6, 64, 128], 1, 9_025),
        (16, [6, 64, 128], 4, 139_585),
        (70, [6, 64, 128, 256, 512], 4, 2_768_705),  # 2.769 million, as the authors' code tells
        ("whole", [6, 64, 128, 256, 512, 512, 512], 4, 11_159_361),
    ],
)
def test_the_critics_have_the_published_widths(field, widths, kernel, number):
    convolutions = sum(kernel**2 * a * b for a, b in pairwise(widths)) + widths[1] + kernel**2 * widths[-1] + 1
    with torch.device("meta"):
        d = PatchGAN(CriticOptions(receptive_field_px=field), Size(256, 256))
    assert count(d) == convolutions + 2 * sum(widths[2:]) == number


def test_a_forward_pass_takes_the_counted_operations():
    """2 operations a multiplication: 12.1 and 6.4 thousand million at 256 px."""
    with torch.device("meta"):
        g, d = UNet(GeneratorOptions(), Size(256, 256)), PatchGAN(CriticOptions(), Size(256, 256))
        for network, channels, giga in ((g, 3, 12.1), (d, 6, 6.4)):
            with FlopCounterMode(display=False) as counter:
                network(torch.empty(1, channels, 256, 256))
            assert counter.get_total_flops() / 1e9 == pytest.approx(giga, abs=0.05)


def test_the_unet_makes_what_the_published_layers_make():
    """Those of section 6.1.1 one after the other, for 32 px, from the weights in their order."""
    g = generator(Size(32, 32), width=2, widest=4, dropout=0.0)
    for name, parameter in g.named_parameters():
        if name.endswith("bias"):
            parameter.data.normal_()
    weights = iter(g.parameters())
    x = pictures(3, Size(32, 32))

    def norm(h):
        return batch_norm(h, None, None, next(weights), next(weights), training=True)

    e1 = conv2d(x, next(weights), stride=2, padding=1)
    e2 = norm(conv2d(leaky_relu(e1, 0.2), next(weights), stride=2, padding=1))
    e3 = norm(conv2d(leaky_relu(e2, 0.2), next(weights), stride=2, padding=1))
    e4 = norm(conv2d(leaky_relu(e3, 0.2), next(weights), stride=2, padding=1))
    e5 = conv2d(leaky_relu(e4, 0.2), next(weights), stride=2, padding=1)
    d1 = torch.cat([norm(conv_transpose2d(relu(e5), next(weights), stride=2, padding=1)), e4], 1)
    d2 = torch.cat([norm(conv_transpose2d(relu(d1), next(weights), stride=2, padding=1)), e3], 1)
    d3 = torch.cat([norm(conv_transpose2d(relu(d2), next(weights), stride=2, padding=1)), e2], 1)
    d4 = torch.cat([norm(conv_transpose2d(relu(d3), next(weights), stride=2, padding=1)), e1], 1)
    made = conv_transpose2d(relu(d4), next(weights), next(weights), stride=2, padding=1).tanh()
    assert e5.shape[2:] == (1, 1)
    assert next(weights, None) is None
    torch.testing.assert_close(g(x), made)


def test_weights_are_drawn_as_published():
    for network in (UNet(GeneratorOptions(width=32), Size(64, 64)), PatchGAN(CriticOptions(width=32), Size(64, 64))):
        layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
        norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
        weights = torch.cat([layer.weight.flatten() for layer in layers]).detach()
        scales = torch.cat([norm.weight for norm in norms]).detach()
        assert weights.mean() == pytest.approx(0, abs=1e-3)
        assert weights.std() == pytest.approx(0.02, rel=0.05)
        assert scales.mean() == pytest.approx(1, abs=0.01)
        assert scales.std() == pytest.approx(0.02, rel=0.2)
        assert not any(layer.bias.any() for layer in [*layers, *norms] if layer.bias is not None)


# Receptive fields


def support(network, channels, size):
    """Height and width of the part of a picture that moves one score in the middle."""
    network = network.eval()
    for parameter in network.parameters():
        parameter.data.abs_().add_(1e-3)  # nothing cancels out
    x = torch.rand(1, channels, *size, requires_grad=True)
    logits = network(x)
    logits[0, 0, logits.shape[2] // 2, logits.shape[3] // 2].backward()
    touched = x.grad[0].abs().sum(dim=0).nonzero()
    return (touched.max(dim=0).values - touched.min(dim=0).values + 1).tolist()


def field_of(network):
    """The same from kernels and strides: back from one score, r -> (r - 1) s + k."""
    field = 1
    for layer in reversed([m for m in network.modules() if isinstance(m, nn.Conv2d)]):
        field = (field - 1) * layer.stride[0] + layer.kernel_size[0]
    return field


@pytest.mark.parametrize(("asked", "size", "field"), [(1, 32, 1), (16, 64, 16), (70, 160, 70), ("whole", 256, 286)])
def test_a_score_sees_a_patch_of_the_size_that_was_asked_for(asked, size, field):
    d = critic(Size(size, size), receptive_field_px=asked, width=1, widest=1, norm="none")
    assert field_of(d) == field
    wide = 3 * field if field > size else size  # so that the edge cuts nothing off
    assert support(d, 6, (wide, wide)) == [field, field]


@pytest.mark.parametrize(("side", "field"), [(16, 16), (32, 34), (64, 70), (128, 142), (256, 286), (512, 574)])
def test_the_whole_picture_takes_the_fewest_levels_that_cover_it(side, field):
    with torch.device("meta"):
        d = critic(Size(side, side), receptive_field_px="whole")
        assert field_of(d) == field
        assert d(torch.empty(1, 6, side, side)).numel() >= 1


@pytest.mark.parametrize(("asked", "least"), [(1, 4), (16, 6), (70, 24)])
def test_the_smallest_picture_has_one_score_and_a_smaller_one_is_refused(asked, least):
    scores = critic(Size(least, least), receptive_field_px=asked)(torch.randn(2, 6, least, least))
    assert scores.shape == ((2, 1, 1, 1) if asked > 1 else (2, 1, least, least))
    if asked > 1:
        with pytest.raises(RecipeError, match=rf"patches of {asked} px(.|\n)*{least} px or more"):
            critic(Size(2 * least, least - 1), receptive_field_px=asked)


def test_a_critic_says_what_it_judges_and_refuses_the_rest():
    pair, alone = critic(), critic(conditional=False)
    assert (pair.judges, alone.judges) == ("pair", "picture")
    assert pair(torch.randn(2, 6, 16, 16)).shape == alone(torch.randn(2, 3, 16, 16)).shape == (2, 1, 6, 6)
    with pytest.raises(RecipeError, match=r"scores 6 channels and was shown 3(.|\n)*conditional = false"):
        pair(pictures())


@pytest.mark.parametrize(("norm", "norms"), [("batch", 1), ("instance", 1), ("none", 0)])
def test_norms_of_a_critic(norm, norms):
    d = critic(norm=norm)
    found = [m for m in d.modules() if isinstance(m, nn.BatchNorm2d | nn.InstanceNorm2d)]
    assert len(found) == norms
    assert all(isinstance(m, nn.BatchNorm2d) == (norm == "batch") for m in found)
    assert [layer.bias is not None for layer in d.modules() if isinstance(layer, nn.Conv2d)] == [True, not norms, True]


# Sizes


@pytest.mark.parametrize(
    ("size", "options", "depth"),
    [
        ((256, 256), {}, 8),
        ((512, 512), {}, 8),
        ((64, 64), {}, 6),
        ((48, 64), {}, 4),
        ((128, 256), {}, 7),
        ((16, 24), {}, 3),
        ((64, 64), {"depth": 2}, 2),
        ((12, 20), {"depth": 2}, 2),
        ((16, 16), {"depth": 1}, 1),
    ],
)
@pytest.mark.parametrize("upsample", ["transposed", "resize"])
def test_it_halves_as_often_as_the_picture_can_be(size, options, depth, upsample):
    g = generator(Size(*size), width=1, widest=2, upsample=upsample, **options)
    assert g.takes == "picture"
    assert (len(g.halvings), g.multiple) == (depth, 2**depth)
    made = g(pictures(1, size))  # in training mode, a batch of 1, down to a single pixel
    assert made.shape == (1, 3, *size)
    assert -1 <= made.min() <= made.max() <= 1


def test_trained_at_one_size_it_makes_every_multiple():
    g = generator(Size(32, 32), depth=3)
    assert g(pictures(2, Size(24, 40))).shape == (2, 3, 24, 40)
    with pytest.raises(DataError, match=r"cannot take pictures of 40x28 px(.|\n)*multiples of 8"):
        g(pictures(2, Size(28, 40)))


@pytest.mark.parametrize(
    ("size", "options", "told"),
    [
        ((50, 50), {}, r"50x50 px cannot be halved evenly 3 times(.|\n)*Take 48x48 px(.|\n)*Or set depth = 1"),
        (
            (33, 64),
            {},
            r"64x33 px cannot be halved evenly(.|\n)*Take 64x32 px, or other multiples of 8; better of 64\.$",
        ),
        ((96, 64), {"depth": 6}, r"depth 6 cannot make pictures of 64x96 px(.|\n)*multiples of 64"),
    ],
)
def test_sizes_that_do_not_go_are_refused_with_some_that_do(size, options, told):
    with pytest.raises(RecipeError, match=told):
        generator(Size(*size), **options)


@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_one_picture_alone_is_trained_alike_by_both_norms(norm):
    """Batch norm of a batch of 1 is instance norm; and no norm meets a single pixel, which would vanish."""
    g = generator(Size(32, 32), norm=norm, dropout=0.0)
    expected = generator(Size(32, 32), norm="instance", dropout=0.0)
    expected.load_state_dict({name: value for name, value in g.state_dict().items() if name in expected.state_dict()})
    x = pictures(1, Size(32, 32))
    torch.testing.assert_close(g(x), expected(x))
    innermost = g.halvings[-1]
    assert not any(isinstance(module, nn.BatchNorm2d | nn.InstanceNorm2d) for module in innermost)


# Enlarging


def test_a_resized_level_draws_no_checkerboard():
    """Of one colour it makes one colour; a transposed convolution makes a pattern of period two."""
    flat = torch.rand(1, 8, 1, 1).expand(1, 8, 6, 6)
    for upsample, even in (("resize", True), ("transposed", False)):
        level = generator(upsample=upsample, width=8, widest=8).doublings[0]
        enlarged = level[1:-2](flat)  # without activation, norm and dropout
        assert enlarged.shape == (1, 8, 12, 12)
        inner = enlarged[:, :, 2:-2, 2:-2]
        spread = (inner.amax(dim=(2, 3)) - inner.amin(dim=(2, 3))).max().item()
        assert (spread < 1e-6) == even
        if even:
            torch.testing.assert_close(enlarged, enlarged[:, :, :1, :1].expand_as(enlarged))  # to the edge


# Dropout, and testing as trained


def dropouts(network):
    return [any(isinstance(module, nn.Dropout) for module in level) for level in network.doublings]


@pytest.mark.parametrize(
    ("side", "dropping"),
    [(256, [1, 1, 1, 0, 0, 0, 0]), (128, [1, 1, 1, 0, 0, 0]), (64, [1, 1, 0, 0, 0]), (16, [0, 0, 0])],
)
def test_the_innermost_levels_drop_where_they_are_widest(side, dropping):
    with torch.device("meta"):
        assert dropouts(UNet(GeneratorOptions(), Size(side, side))) == list(map(bool, dropping))


def test_dropout_can_be_left_out():
    assert not any(dropouts(generator(dropout=0.0)))


def test_by_default_it_draws_only_in_training():
    g, x = generator(), pictures()
    assert not torch.equal(g(x), g(x))
    assert torch.equal(g.eval()(x), g(x))
    torch.testing.assert_close(g(x)[:1], g(x[:1]))


def test_tested_as_trained_it_draws_and_normalises_by_the_batch_at_hand():
    g, x = generator(test_as_trained=True).eval(), pictures(4)
    torch.manual_seed(3)
    first = g(x)
    assert not torch.equal(first, g(x))
    torch.manual_seed(3)
    assert torch.equal(first, g(x))
    torch.manual_seed(3)
    assert torch.equal(first, g.train()(x))
    assert not any("running" in name for name in g.state_dict())

    still = generator(test_as_trained=True, dropout=0.0).eval()
    assert torch.equal(still(x), still.train()(x))
    assert not torch.allclose(still.eval()(x)[:1], still(x[:1]))


def test_settled_statistics_are_those_of_the_pictures_made_without_dropout():
    g = generator(dropout=0.9)
    x = pictures(64)
    copied = settled(g.eval(), [x])
    without = generator(dropout=0.0, test_as_trained=True).eval()
    without.load_state_dict({name: value for name, value in g.state_dict().items() if name in without.state_dict()})
    torch.testing.assert_close(copied(x), without(x), atol=1e-3, rtol=1e-2)
    as_trained = generator(test_as_trained=True).eval()
    assert settled(as_trained, iter([x])).state_dict().keys() == as_trained.state_dict().keys()


# Lightness


def lightness(x):
    return rgb_to_lab((x + 1) / 2)[:, 0]


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_a_coloured_picture_has_the_lightness_of_its_source(precision):
    g = generator(keep_lightness=True)
    g.last[-2].weight.data.mul_(20)  # strong colours, some of which no screen can show
    x = pictures(8)
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == torch.bfloat16):
        made = g(x)
        sample = g.sample(x)
    assert made.dtype == torch.float32
    assert made.shape == x.shape
    torch.testing.assert_close(lightness(made), lightness(x), atol=0.05, rtol=0)  # of 100
    assert not torch.allclose(made, x, atol=0.1)
    shown = ((made >= -1) & (made <= 1)).all(dim=1)
    assert 0.02 < shown.float().mean() < 0.98
    torch.testing.assert_close(lightness(made.clamp(-1, 1))[shown], lightness(x)[shown], atol=0.05, rtol=0)
    assert -1 <= sample.min() <= sample.max() <= 1


def test_without_chroma_a_coloured_picture_is_grey():
    g = generator(keep_lightness=True)
    g.last[-2].weight.data.zero_()
    x = pictures()
    made = g(x)
    torch.testing.assert_close(made[:, 0], made[:, 1], atol=2e-3, rtol=0)
    torch.testing.assert_close(made[:, 1], made[:, 2], atol=2e-3, rtol=0)
    grey = x[:, :1].expand_as(x)
    torch.testing.assert_close(g(grey), grey, atol=2e-3, rtol=0)


@pytest.mark.parametrize("value", [-1.0, 0.0, 1.0])
def test_colours_can_be_learnt_from_black_grey_and_white(value):
    g = generator(keep_lightness=True)
    made = g(torch.full((2, 3, 16, 16), value))
    made.square().sum().backward()
    gradients = [parameter.grad for parameter in g.parameters()]
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert g.last[-2].bias.grad.any()


@pytest.mark.parametrize("keep_lightness", [False, True])
def test_its_gradient_is_right(keep_lightness):
    g = generator(keep_lightness=keep_lightness).double().eval()
    names, weights = zip(*g.named_parameters(), strict=True)
    x = (0.8 * pictures().double()).requires_grad_()

    def made(x, *weights):
        return functional_call(g, dict(zip(names, weights, strict=True)), (x,))

    assert gradcheck(made, (x, *weights), fast_mode=True)


# Losses


def test_l1_is_the_mean_absolute_difference():
    made, target = pictures(seed=1), pictures(seed=2)
    value = L1(L1Options()).generator(Outputs(made=made, target=target))
    np.testing.assert_allclose(value.item(), np.abs(made.numpy() - target.numpy()).mean(), rtol=1e-6)
    assert L1Options().weight == 100
    half = L1(L1Options()).generator(Outputs(made=made.bfloat16(), target=target))
    assert half.dtype == torch.float32


def test_perceptual_adds_up_the_mean_difference_of_each_layer():
    target, made = pictures(seed=2), pictures(seed=1).requires_grad_()

    def features(x):
        return x[:, :, ::2, ::2] * 2, x.mean(dim=(2, 3), keepdim=True)

    loss = Perceptual(LossOptions())
    value = loss.generator(Outputs(made=made, target=target, features=features))
    a, b = made.detach().numpy(), target.numpy()
    first = np.abs(2 * a[:, :, ::2, ::2] - 2 * b[:, :, ::2, ::2]).mean()
    second = np.abs(a.mean(axis=(2, 3)) - b.mean(axis=(2, 3))).mean()
    np.testing.assert_allclose(value.item(), first + second, rtol=1e-5)
    assert torch.autograd.grad(value, made)[0].any()
    assert loss.generator(Outputs(made=target, target=target, features=features)) == 0


# The trainer


class Spy:
    """A loss that keeps what it was shown."""

    def __init__(self):
        self.seen = {"critic": [], "generator": []}

    def critic(self, outputs):
        self.seen["critic"].append(outputs)
        return outputs.fake_logits.mean() - outputs.real_logits.mean()

    def generator(self, outputs):
        self.seen["generator"].append(outputs)
        return -outputs.fake_logits.mean()


class Brighter(Augmentation):
    """Adds a number of its own to each picture, and keeps what it drew and observed."""

    def __init__(self):
        super().__init__()
        self.drawn, self.observed = [], []

    def draw(self, count, device):
        self.drawn.append(torch.rand(count, 1, 1, 1, device=device))
        return self.drawn[-1]

    def apply_draw(self, pictures, drawn):
        return pictures + drawn

    def observe(self, real_logits):
        self.observed.append(real_logits)


LOGITS = ("real_logits", "fake_logits")
BCE = LossTerm(NonSaturating(NonSaturatingOptions()), needs={"critic": LOGITS, "generator": ("fake_logits",)})
NEAR = LossTerm(L1(L1Options()), 100.0, needs={"generator": ("made", "target")})
PAPER = {"adversarial": BCE, "l1": NEAR}
PHASE = Phase(0, SMALL, images=1000, batch=4)


def make(terms=None, *, made_by=None, judged_by=None, augment=None, features=None, **options):
    torch.manual_seed(0)
    parts = Parts(
        generator=made_by or generator(),
        critic=judged_by or critic(),
        augment=augment or Augmentation(),
        losses=Losses(PAPER if terms is None else terms),
        features=features,
        update=GuardedUpdate(torch.device("cpu")),
    )
    trainer = PairedTrainer(TrainerOptions(**options), parts)
    trainer.begin(PHASE)
    return trainer


def batch_of(seed=7, count=4):
    return Batch(pictures(count, seed=seed), pictures(count, seed=seed + 1000))


def take(trainer, step=0, **clock):
    torch.manual_seed(100 + step)
    return trainer.step(batch_of(step), Clock(steps=step, **{"total_images": 1000} | clock))


def states_of(trainer):
    return copy.deepcopy([trainer.generator.state_dict(), trainer.critic.state_dict()])


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_training_is_the_papers_loop_bit_for_bit():
    trainer = make()
    assert trainer.batches_per_step == 1
    G, D = copy.deepcopy(trainer.generator), copy.deepcopy(trainer.critic)
    optimizer_g = torch.optim.Adam(G.parameters(), lr=2e-4, betas=(0.5, 0.999), fused=True)
    optimizer_d = torch.optim.Adam(D.parameters(), lr=2e-4, betas=(0.5, 0.999), fused=True)
    for step in range(3):
        scalars = take(trainer, step)

        torch.manual_seed(100 + step)
        batch = batch_of(step)
        x, y = batch.source, batch.real
        made = G(x)
        D.zero_grad()
        real_logits, fake_logits = D(torch.cat([x, y], 1)), D(torch.cat([x, made.detach()], 1))
        real_error = binary_cross_entropy_with_logits(real_logits, torch.ones(4, 1, 6, 6))
        fake_error = binary_cross_entropy_with_logits(fake_logits, torch.zeros(4, 1, 6, 6))
        ((real_error + fake_error) / 2).backward()
        optimizer_d.step()
        G.zero_grad()
        error, distance = softplus(-D(torch.cat([x, made], 1))).mean(), (made - y).abs().mean()
        (error + 100 * distance).backward()
        optimizer_g.step()

        assert same(trainer.generator.state_dict(), G.state_dict())
        assert same(trainer.critic.state_dict(), D.state_dict())
        assert scalars["critic/adversarial"] == real_error + fake_error
        assert scalars["generator/adversarial"] == error
        assert scalars["generator/l1"] == distance
        assert scalars["critic/real_logit"] == real_logits.mean()
        assert scalars["critic/fake_logit"] == fake_logits.mean()
        norm = torch.cat([parameter.grad.flatten() for parameter in G.parameters()]).norm()
        torch.testing.assert_close(scalars["generator/gradient_norm"], norm)
    assert not any(scalar.requires_grad for scalar in scalars.values())


def test_a_gradient_reaches_every_parameter_of_both():
    trainer = make()
    before = states_of(trainer)
    take(trainer)
    for network, state in zip((trainer.generator, trainer.critic), before, strict=True):
        for name, parameter in network.named_parameters():
            assert not torch.equal(parameter, state[name]), name


def test_losses_are_shown_pairs_and_what_they_are_made_of():
    features = SmallFeatures(LossOptions())
    trainer = make({"spy": LossTerm(spy := Spy())}, features=features)
    take(trainer)
    batch = batch_of(0)
    for side in ("critic", "generator"):
        (shown,) = spy.seen[side]
        assert shown.source is not shown.target
        assert torch.equal(shown.source, batch.source)
        assert torch.equal(shown.target, batch.real)
        assert torch.equal(shown.real, torch.cat([batch.source, batch.real], 1))
        assert torch.equal(shown.fake, torch.cat([batch.source, shown.made], 1))
        assert shown.features is features
        assert shown.fake_logits.shape == (4, 1, 6, 6)
        assert shown.fake.requires_grad == shown.made.requires_grad == (side == "generator")
        assert shown.critic(shown.real).shape == (4, 1, 6, 6)
    assert spy.seen["generator"][0].real_logits is None  # nobody compares


def test_a_critic_of_pictures_alone_sees_no_source():
    trainer = make({"spy": LossTerm(spy := Spy())}, judged_by=critic(conditional=False))
    take(trainer)
    (shown,) = spy.seen["critic"]
    assert torch.equal(shown.real, batch_of(0).real)
    assert torch.equal(shown.fake, shown.made)


def test_one_draw_befalls_both_sides_of_a_pair():
    augment = Brighter()
    trainer = make({"spy": LossTerm(spy := Spy())}, augment=augment)
    take(trainer)
    (judged,), (taught,) = spy.seen["critic"], spy.seen["generator"]
    for form, picture, drawn in zip(
        (judged.real, judged.fake, taught.fake),
        (judged.target, judged.made, taught.made),
        augment.drawn,
        strict=True,  # three draws, no more
    ):
        torch.testing.assert_close(form, torch.cat([judged.source, picture], 1) + drawn)
    assert torch.equal(augment.observed[0], judged.real_logits)
    assert len(augment.observed) == 1


SCORED = {"critic": LOGITS, "generator": ("fake_logits",)}
ADVERSARIAL = {
    "non-saturating": LossTerm(NonSaturating(NonSaturatingOptions()), needs=SCORED),
    "least-squares": LossTerm(LeastSquares(LossOptions()), needs=SCORED),
    "hinge": LossTerm(Hinge(LossOptions()), needs=SCORED),
    "wasserstein": LossTerm(Wasserstein(LossOptions()), needs=SCORED),
    "relativistic": LossTerm(Relativistic(LossOptions()), needs={"critic": LOGITS, "generator": LOGITS}),
}
PENALTIES = {
    "r1": LossTerm(R1(PenaltyOptions()), needs={"critic": ("critic", "real")}),
    "r2": LossTerm(R2(PenaltyOptions()), needs={"critic": ("critic", "fake")}),
    "gradient-penalty": LossTerm(
        GradientPenalty(GradientPenaltyOptions()), needs={"critic": ("critic", "real", "fake")}
    ),
}


@pytest.mark.parametrize("conditional", [True, False])
@pytest.mark.parametrize("game", ADVERSARIAL)
def test_adversarial_losses_and_penalties_work_unchanged(game, conditional):
    trainer = make({game: ADVERSARIAL[game], **PENALTIES}, judged_by=critic(conditional=conditional))
    scalars = take(trainer)
    assert {f"critic/{name}" for name in (game, *PENALTIES)} | {f"generator/{game}"} <= set(scalars)
    assert all(value.isfinite() for value in scalars.values())
    assert scalars["critic/gradient_norm"] > 0
    assert scalars["generator/gradient_norm"] > 0


@pytest.mark.parametrize(
    ("share", "images", "factor"),
    [(0.5, 0, 1), (0.5, 500, 1), (0.5, 750, 0.5), (0.5, 996, 0.008), (1.0, 250, 0.75), (0.0, 996, 1), (0.2, 900, 0.5)],
)
def test_learning_rates_fall_to_nothing_at_the_end(share, images, factor):
    trainer = make(learning_rate=1e-3, decay_share=share)
    before = states_of(trainer)
    take(trainer, images=images)
    for network, state in zip((trainer.generator, trainer.critic), before, strict=True):
        moved = max((p.detach() - state[name]).abs().max().item() for name, p in network.named_parameters())
        assert moved == pytest.approx(1e-3 * factor, rel=0.02)  # Adam's first step moves weights by the rate


def test_a_phase_can_have_faster_rates():
    trainer = make(learning_rate=1e-3, decay_share=1.0)
    trainer.begin(replace(PHASE, learning_rate_factor=1.5))
    take(trainer, images=500)
    for optimizer in (trainer.generator_optimizer, trainer.critic_optimizer):
        assert optimizer.param_groups[0]["lr"] == pytest.approx(1e-3 * 1.5 * 0.5)


def test_in_its_solo_the_generator_learns_without_the_critic():
    trainer = make(solo_share=0.25, augment=(augment := Brighter()))
    G = copy.deepcopy(trainer.generator)
    optimizer = torch.optim.Adam(G.parameters(), lr=2e-4, betas=(0.5, 0.999), fused=True)
    critic_before, batch = states_of(trainer)[1], batch_of(0)
    scalars = take(trainer, images=0)
    torch.manual_seed(100)
    distance = (G(batch.source) - batch.real).abs().mean()
    (100 * distance).backward()
    optimizer.step()
    assert set(scalars) == {"generator/l1", "generator/gradient_norm"}
    assert scalars["generator/l1"] == distance
    assert same(trainer.generator.state_dict(), G.state_dict())
    assert same(trainer.critic.state_dict(), critic_before)
    assert not trainer.state_dict()["critic_optimizer"]["state"]
    assert not augment.drawn

    assert "critic/adversarial" not in take(trainer, images=248)
    assert "critic/adversarial" in take(trainer, images=250)
    assert not same(trainer.critic.state_dict(), critic_before)


def test_without_a_term_of_its_own_the_critic_does_not_move():
    trainer = make({"l1": NEAR, "adversarial": LossTerm(BCE.loss, 0.0, needs=BCE.needs)})
    weights = [parameter.clone() for parameter in trainer.critic.parameters()]
    take(trainer)
    assert all(torch.equal(a, b) for a, b in zip(weights, trainer.critic.parameters(), strict=True))
    assert not trainer.state_dict()["critic_optimizer"]["state"]


def test_a_solo_without_a_piece_to_play_is_refused():
    with pytest.raises(RecipeError, match=r"no loss judges it without one(.|\n)*losses\.l1"):
        make({"adversarial": BCE}, solo_share=0.1)
    make({"adversarial": BCE})


def test_a_generator_that_takes_no_pictures_is_refused():
    class Painter(Generator):
        latent = LatentSpace((4,))

    with pytest.raises(RecipeError, match=r"makes one picture from another(.|\n)*generator\.unet"):
        make(made_by=Painter())


def test_a_restored_trainer_takes_the_same_next_step():
    trainer = make(PAPER | PENALTIES, solo_share=0.001)
    take(trainer, 0, images=0)
    take(trainer, 1, images=4)
    networks, state = states_of(trainer), copy.deepcopy(trainer.state_dict())
    take(trainer, 2, images=8)

    def resumed(with_state):
        fresh = make(PAPER | PENALTIES, solo_share=0.001)
        fresh.generator.load_state_dict(networks[0])
        fresh.critic.load_state_dict(networks[1])
        if with_state:
            fresh.load_state_dict(copy.deepcopy(state))
        take(fresh, 2, images=8)
        return all(map(same, states_of(fresh), states_of(trainer)))

    assert resumed(with_state=True)
    assert not resumed(with_state=False)


def test_a_phase_keeps_optimizers_and_follows_parameters_that_are_new():
    trainer = make()
    take(trainer)
    before = trainer.generator_optimizer, trainer.critic_optimizer
    trainer.begin(Phase(1, SMALL, images=1000, batch=8))
    assert (trainer.generator_optimizer, trainer.critic_optimizer) == before
    trainer.generator.last[-2].bias = nn.Parameter(torch.zeros(3))
    trainer.begin(Phase(2, SMALL, images=1000, batch=8))
    assert trainer.generator_optimizer is not before[0]
    assert trainer.critic_optimizer is before[1]


def test_the_generator_learns_from_the_critic_that_has_just_moved_in_bf16_too():
    class Judge(Critic):
        judges = "pair"

        def __init__(self):
            super().__init__()
            self.convolution = nn.Conv2d(6, 1, 3)

        def forward(self, x):
            return self.convolution(x)

    trainer = make({"spy": LossTerm(spy := Spy())}, judged_by=Judge(), learning_rate=0.05)
    with torch.autocast("cpu", torch.bfloat16):
        take(trainer)
    (shown,) = spy.seen["generator"]
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        now = trainer.critic(shown.fake).float()
    assert torch.equal(shown.fake_logits.detach(), now)
    assert shown.fake_logits.dtype == torch.float32


@pytest.mark.parametrize("keep_lightness", [False, True])
def test_it_learns_what_pairs_have_in_common(keep_lightness):
    """Sources are grey; true pictures are the same in red. By L1 alone, as in a solo."""
    red = torch.tensor([1.0, -0.3, -0.3]).view(1, 3, 1, 1)

    def pairs(seed):
        light = torch.rand(8, 1, 1, 1, generator=torch.Generator().manual_seed(seed)) * 0.8 - 0.4
        grey = light.expand(8, 3, 16, 16)
        return Batch((grey + 0.3 * red).clamp(-1, 1), grey)

    g = generator(keep_lightness=keep_lightness, dropout=0.0, norm="instance")
    trainer = make({"l1": NEAR}, made_by=g, learning_rate=2e-3, solo_share=1.0)
    scalars = [trainer.step(pairs(step), Clock(total_images=1000))["generator/l1"].item() for step in range(60)]
    assert np.mean(scalars[-5:]) < 0.5 * scalars[0]


# Components


def test_the_components_name_their_code_and_their_partner():
    (g,), (c,), (t,) = artgen_generators(), artgen_critics(), artgen_trainers()
    assert (g.load(), c.load(), t.load()) == (UNet, PatchGAN, PairedTrainer)
    assert [loss.load() for loss in artgen_losses()] == [L1, Perceptual]
    assert g.partner == c.name


def test_the_hook_module_imports_no_torch():
    code = "import sys, artgen_pix2pix; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    assert subprocess.run([sys.executable, "-c", code], env=environment).returncode == 0
