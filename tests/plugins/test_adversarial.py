"""The adversarial game: losses against independent formulas, penalties against analytic gradients, the trainer against
a loop written out by hand."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn
from torch.autograd import gradcheck, gradgradcheck
from torch.nn.functional import binary_cross_entropy, binary_cross_entropy_with_logits, softplus

from artgen import LossOptions
from artgen.run.update import GuardedUpdate
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
from artgen_adversarial import (
    DriftOptions,
    GradientPenaltyOptions,
    NonSaturatingOptions,
    PenaltyOptions,
    TrainerOptions,
    artgen_losses,
    artgen_trainers,
)
from artgen_adversarial.losses import (
    R1,
    R2,
    Drift,
    GradientPenalty,
    Hinge,
    LeastSquares,
    NonSaturating,
    Relativistic,
    Wasserstein,
)
from artgen_adversarial.trainer import AdversarialTrainer

PLAIN = LossOptions()


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(1632)


# Registration


def test_every_component_loads_and_can_be_made_of_its_defaults():
    losses = {component.name: component.load()(component.options()) for component in artgen_losses()}
    games = {"non-saturating", "least-squares", "hinge", "wasserstein", "relativistic"}
    assert losses.keys() == games | {"r1", "r2", "gradient-penalty", "drift"}
    for component in artgen_losses():
        assert {side for side in ("critic", "generator") if hasattr(losses[component.name], side)} == set(
            component.needs
        )
    (trainer,) = artgen_trainers()
    assert trainer.load() is AdversarialTrainer


def test_losses_read_no_more_than_they_say_they_need():
    """With every other field left out, each must work; with any needed field left out, each must fail."""
    x, logits = torch.rand(2, 3, 2, 2), torch.randn(2)
    everything = {"real": x, "fake": -x, "real_logits": logits, "fake_logits": -logits,
                  "critic": lambda form: form.square().sum(dim=(1, 2, 3))}  # fmt: skip
    for component in artgen_losses():
        loss = component.load()(component.options())
        for side, needs in component.needs.items():
            assert getattr(loss, side)(Outputs(**{name: everything[name] for name in needs})).shape == ()
            for missing in needs:
                with pytest.raises((AssertionError, TypeError)):
                    getattr(loss, side)(Outputs(**{name: everything[name] for name in needs if name != missing}))


def test_the_hook_module_imports_no_torch():
    code = "import sys, artgen_adversarial; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    assert subprocess.run([sys.executable, "-c", code], env=environment).returncode == 0


@pytest.mark.parametrize(
    ("options", "values"),
    [
        (TrainerOptions, {"learning_rate": 0.0}),
        (TrainerOptions, {"learning_rate": -1e-4}),
        (TrainerOptions, {"learning_rate": {"generator": 1e-4}}),
        (TrainerOptions, {"learning_rate": {"generator": 1e-4, "critic": 2.0}}),
        (TrainerOptions, {"betas": (0.5, 1.0)}),
        (TrainerOptions, {"betas": (-0.1, 0.9)}),
        (TrainerOptions, {"critic_steps": 0}),
        (TrainerOptions, {"decay_share": 1.5}),
        (NonSaturatingOptions, {"label_flips": 0.6}),
        (NonSaturatingOptions, {"real_label": 1.2}),
        (GradientPenaltyOptions, {"target": 0.0}),
        (PenaltyOptions, {"every": 0}),
    ],
)
def test_options_that_make_no_sense_are_refused(options, values):
    with pytest.raises(ValidationError):
        options(**values)


def test_default_weights_are_those_of_the_papers():
    assert PenaltyOptions().every == 16
    assert GradientPenaltyOptions().weight == 10
    assert DriftOptions().weight == 0.001
    assert (TrainerOptions().learning_rate, TrainerOptions().betas) == (2e-4, (0.5, 0.999))


# Losses of logits


def sigmoid(logits):
    return 1 / (1 + np.exp(-logits))


FORMULAS = {  # critic's and generator's loss of numpy logits: r of real pictures, f of made ones
    "non-saturating": (
        NonSaturating(NonSaturatingOptions()),
        lambda r, f: -np.log(sigmoid(r)).mean() - np.log(1 - sigmoid(f)).mean(),
        lambda r, f: -np.log(sigmoid(f)).mean(),
    ),
    "smoothed": (
        NonSaturating(NonSaturatingOptions(real_label=0.9, fake_label=0.1)),
        lambda r, f: (
            -(0.9 * np.log(sigmoid(r)) + 0.1 * np.log(1 - sigmoid(r))).mean()
            - (0.1 * np.log(sigmoid(f)) + 0.9 * np.log(1 - sigmoid(f))).mean()
        ),
        lambda r, f: -np.log(sigmoid(f)).mean(),  # smoothing is one for the critic only
    ),
    "least-squares": (
        LeastSquares(PLAIN),
        lambda r, f: ((r - 1) ** 2).mean() / 2 + (f**2).mean() / 2,
        lambda r, f: ((f - 1) ** 2).mean() / 2,
    ),
    "hinge": (
        Hinge(PLAIN),
        lambda r, f: np.maximum(0, 1 - r).mean() + np.maximum(0, 1 + f).mean(),
        lambda r, f: -f.mean(),
    ),
    "wasserstein": (Wasserstein(PLAIN), lambda r, f: f.mean() - r.mean(), lambda r, f: -f.mean()),
    "relativistic": (
        Relativistic(PLAIN),
        lambda r, f: -np.log(sigmoid(r - f)).mean(),
        lambda r, f: -np.log(sigmoid(f - r)).mean(),
    ),
}


@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize("shape", [(7,), (4, 1, 3, 3)])
def test_a_loss_equals_its_formula(name, shape):
    loss, of_critic, of_generator = FORMULAS[name]
    real, fake = 2 * torch.randn(2, *shape, dtype=torch.float64)
    outputs = Outputs(real_logits=real, fake_logits=fake)
    np.testing.assert_allclose(loss.critic(outputs), of_critic(real.numpy(), fake.numpy()), rtol=1e-10)
    np.testing.assert_allclose(loss.generator(outputs), of_generator(real.numpy(), fake.numpy()), rtol=1e-10)


@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize("side", ["critic", "generator"])
def test_a_loss_has_the_gradient_of_its_value(name, side):
    judge = getattr(FORMULAS[name][0], side)
    real, fake = torch.randn(2, 6, dtype=torch.float64).requires_grad_().unbind()

    def of_logits(r, f):
        return judge(Outputs(real_logits=r, fake_logits=f))

    assert gradcheck(of_logits, (real.detach().requires_grad_(), fake.detach().requires_grad_()))


@pytest.mark.parametrize("name", FORMULAS)
def test_a_loss_pulls_the_right_way(name):
    """The critic lifts real and sinks made scores; the generator lifts its own."""
    loss = FORMULAS[name][0]
    real, fake = torch.zeros(4, requires_grad=True), torch.full((4,), 0.5, requires_grad=True)
    outputs = Outputs(real_logits=real, fake_logits=fake)
    of_real, of_fake = torch.autograd.grad(loss.critic(outputs), (real, fake))
    (of_made,) = torch.autograd.grad(loss.generator(outputs), fake)
    assert (of_real < 0).all()
    assert (of_fake > 0).all()
    assert (of_made < 0).all()


@pytest.mark.parametrize("name", ["non-saturating", "relativistic"])
def test_a_sure_critic_still_teaches_in_full_precision(name):
    """Logits of 200 overflow a naive logarithm of a sigmoid; the generator's gradient must stay at its full size."""
    fake = torch.full((3,), -200.0, requires_grad=True)
    loss = FORMULAS[name][0].generator(Outputs(real_logits=torch.full((3,), 200.0), fake_logits=fake))
    assert loss.isfinite()
    loss.backward()
    torch.testing.assert_close(fake.grad, torch.full((3,), -1 / 3))


def test_relativistic_pairs_pictures():
    real, fake = torch.tensor([0.0, 10.0]), torch.tensor([0.0, 10.0])
    loss = Relativistic(PLAIN)
    paired = loss.critic(Outputs(real_logits=real, fake_logits=fake))
    crossed = loss.critic(Outputs(real_logits=real, fake_logits=fake.flip(0)))
    assert paired.item() == pytest.approx(np.log(2))
    assert crossed.item() == pytest.approx((np.log1p(np.exp(10)) + np.log1p(np.exp(-10))) / 2)


def implied_labels(options, count=20_000):
    """Labels of real and made pictures, read off the gradient of the cross-entropy: d/dl = (s(l) - label) / N."""
    logits = torch.randn(2, count, dtype=torch.float64, requires_grad=True)
    NonSaturating(options).critic(Outputs(real_logits=logits[0], fake_logits=logits[1])).backward()
    return (logits.sigmoid() - count * logits.grad).detach().unbind()


def test_smoothed_labels():
    real, fake = implied_labels(NonSaturatingOptions(real_label=0.9), 100)
    torch.testing.assert_close(real, torch.full_like(real, 0.9))
    torch.testing.assert_close(fake, torch.zeros_like(fake))


def test_noisy_labels_move_towards_each_other_evenly():
    real, fake = implied_labels(NonSaturatingOptions(label_noise=0.3))
    assert 0.7 - 1e-9 <= real.min() < 0.701
    assert 0.999 < real.max() <= 1 + 1e-9
    assert real.mean().item() == pytest.approx(0.85, abs=0.005)
    assert -1e-9 <= fake.min() < 0.001
    assert 0.299 < fake.max() <= 0.3 + 1e-9
    assert fake.mean().item() == pytest.approx(0.15, abs=0.005)
    assert torch.corrcoef(torch.stack([real, fake]))[0, 1].abs() < 0.05  # drawn apart


def test_flipped_labels_are_swapped_at_their_rate():
    for labels, own, other in zip(
        implied_labels(NonSaturatingOptions(label_flips=0.2)), (1.0, 0.0), (0.0, 1.0), strict=True
    ):
        flipped = (labels - other).abs() < 1e-9
        assert ((labels - own).abs() < 1e-9).logical_xor(flipped).all()
        assert flipped.double().mean().item() == pytest.approx(0.2, abs=0.015)


def test_flips_of_noisy_smoothed_labels_stay_between_the_two():
    options = NonSaturatingOptions(real_label=0.9, fake_label=0.2, label_noise=0.25, label_flips=0.5)
    for labels in implied_labels(options):
        low, high = labels[labels < 0.5], labels[labels > 0.5]
        assert (low.min() >= 0.2 - 1e-9).item()
        assert (low.max() <= 0.375 + 1e-9).item()
        assert (high.min() >= 0.725 - 1e-9).item()
        assert (high.max() <= 0.9 + 1e-9).item()
        assert len(low) / len(labels) == pytest.approx(0.5, abs=0.02)


def test_label_noise_leaves_the_generator_alone():
    options = NonSaturatingOptions(real_label=0.8, fake_label=0.1, label_noise=0.5, label_flips=0.5)
    logits = torch.randn(9)
    expected = binary_cross_entropy(logits.sigmoid(), torch.ones(9))
    torch.testing.assert_close(NonSaturating(options).generator(Outputs(fake_logits=logits)), expected)


def test_drift_is_the_mean_square_of_real_scores():
    r = torch.randn(5, dtype=torch.float64, requires_grad=True)
    loss = Drift(DriftOptions())
    np.testing.assert_allclose(loss.critic(Outputs(real_logits=r)).item(), np.mean(r.detach().numpy() ** 2))
    assert gradcheck(lambda logits: loss.critic(Outputs(real_logits=logits)), r)


# Penalties

PICTURES = (torch.tensor([1.0, -2.0, 0.5])[:, None, None, None] * torch.ones(3, 3, 2, 2)).double()
PENALTIES = {
    "r1": (R1(PenaltyOptions()), lambda norm: norm**2 / 2, lambda norm: norm),
    "r2": (R2(PenaltyOptions()), lambda norm: norm**2 / 2, lambda norm: norm),
    "gp": (GradientPenalty(GradientPenaltyOptions()), lambda norm: (norm - 1) ** 2, lambda norm: 2 * (norm - 1)),
    "gp-750": (
        GradientPenalty(GradientPenaltyOptions(target=750.0)),
        lambda norm: (norm / 750 - 1) ** 2,
        lambda norm: 2 * (norm / 750 - 1) / 750,
    ),
}


@pytest.mark.parametrize("name", PENALTIES)
def test_a_penalty_of_a_linear_critic_is_known(name):
    """D(x) = a.x has the gradient a everywhere, so the penalty and its own gradient depend on |a| alone."""
    penalty, value, derivative = PENALTIES[name]
    a = torch.randn(3, 2, 2, dtype=torch.float64, requires_grad=True)
    result = penalty.critic(Outputs(real=PICTURES, fake=-PICTURES, critic=lambda x: (x * a).sum(dim=(1, 2, 3))))
    norm = a.detach().norm()
    torch.testing.assert_close(result, value(norm))
    torch.testing.assert_close(torch.autograd.grad(result, a)[0], derivative(norm) * a.detach() / norm)


@pytest.mark.parametrize("name", PENALTIES)
def test_a_penalty_on_a_pyramid_counts_all_levels_as_one_picture(name):
    penalty, value, derivative = PENALTIES[name]
    small, large = torch.randn(3, 1, 1, dtype=torch.float64), torch.randn(3, 2, 2, dtype=torch.float64)
    small.requires_grad_(), large.requires_grad_()
    pyramid = (PICTURES[:, :, :1, :1], PICTURES)

    def critic(form):
        assert isinstance(form, tuple)
        return (form[0] * small).sum(dim=(1, 2, 3)) + (form[1] * large).sum(dim=(1, 2, 3))

    result = penalty.critic(Outputs(real=pyramid, fake=tuple(-level for level in pyramid), critic=critic))
    norm = (small.detach().square().sum() + large.detach().square().sum()).sqrt()
    torch.testing.assert_close(result, value(norm))
    for gradient, a in zip(torch.autograd.grad(result, (small, large)), (small, large), strict=True):
        torch.testing.assert_close(gradient, derivative(norm) * a.detach() / norm)


def half_square(form):
    """D(x) = |x|^2 / 2, whose gradient is x itself: a penalty then tells where it was taken."""
    levels = (form,) if isinstance(form, torch.Tensor) else form
    return sum(0.5 * level.square().sum(dim=(1, 2, 3)) for level in levels)


@pytest.mark.parametrize(("penalty", "at"), [(R1(PenaltyOptions()), "real"), (R2(PenaltyOptions()), "fake")])
def test_r1_is_taken_at_real_and_r2_at_made_pictures(penalty, at):
    pictures = {"real": PICTURES, "fake": 3 * PICTURES + 1}
    result = penalty.critic(Outputs(**pictures, critic=half_square))
    np.testing.assert_allclose(result.item(), 0.5 * (pictures[at].numpy() ** 2).sum(axis=(1, 2, 3)).mean())


@pytest.mark.parametrize("levels", [1, 2])
def test_wgan_gp_is_taken_at_one_random_point_between_each_pair(levels):
    real, fake = torch.randn(2, 16, 3, 2, 2, dtype=torch.float64)
    reals, fakes = (real, real[..., :1])[:levels], (fake, fake[..., :1])[:levels]
    torch.manual_seed(5)
    share = torch.rand(16, 1, 1, 1, dtype=torch.float64)
    squared = sum((x + share * (y - x)).square().sum(dim=(1, 2, 3)) for x, y in zip(reals, fakes, strict=True))
    torch.manual_seed(5)
    outputs = Outputs(reals, fakes, critic=half_square) if levels > 1 else Outputs(real, fake, critic=half_square)
    result = GradientPenalty(GradientPenaltyOptions()).critic(outputs)
    torch.testing.assert_close(result, (squared.sqrt() - 1).square().mean())


@pytest.mark.parametrize("name", PENALTIES)
def test_a_penalty_differentiates_to_any_order(name):
    """gradcheck of a penalty is a check of the critic's second derivative, gradgradcheck of its third."""
    penalty = PENALTIES[name][0]
    real, fake = torch.randn(2, 2, 3, 1, 2, dtype=torch.float64)
    weights = torch.randn(4, 6, dtype=torch.float64, requires_grad=True)
    scores = torch.randn(4, dtype=torch.float64, requires_grad=True)

    def of_weights(w, v):
        torch.manual_seed(0)
        return penalty.critic(Outputs(real=real, fake=fake, critic=lambda x: (x.flatten(1) @ w.T).tanh() @ v))

    assert gradcheck(of_weights, (weights, scores))
    assert gradgradcheck(of_weights, (weights, scores))


@pytest.mark.parametrize("name", PENALTIES)
def test_a_penalty_is_finite_where_the_critic_is_flat(name):
    a = torch.zeros(3, 2, 2, requires_grad=True)
    pictures = PICTURES.float()
    outputs = Outputs(real=pictures, fake=pictures, critic=lambda x: (x * a).sum(dim=(1, 2, 3)))
    result = PENALTIES[name][0].critic(outputs)
    (gradient,) = torch.autograd.grad(result, a)
    assert result.isfinite()
    assert gradient.isfinite().all()


@pytest.mark.parametrize("name", PENALTIES)
def test_a_penalty_teaches_the_critic_only(name):
    real, fake = PICTURES.clone().requires_grad_(), (2 * PICTURES).requires_grad_()
    a = torch.randn(3, 2, 2, dtype=torch.float64, requires_grad=True)
    outputs = Outputs(real=real, fake=fake, critic=lambda x: (x.square() * a).sum(dim=(1, 2, 3)))
    PENALTIES[name][0].critic(outputs).backward()
    assert a.grad.abs().sum() > 0
    assert real.grad is None
    assert fake.grad is None


def test_penalties_of_bf16_pictures_are_summed_in_full_precision():
    x = torch.full((2, 3, 64, 64), 1.0).bfloat16()
    for penalty in (R1(PenaltyOptions()), R2(PenaltyOptions())):
        result = penalty.critic(Outputs(real=x, fake=x, critic=lambda x: half_square(x).float()))
        assert result.dtype == torch.float32
        assert result.item() == 0.5 * 3 * 64 * 64
    mixed = GradientPenalty(GradientPenaltyOptions()).critic(Outputs(real=x.float(), fake=x, critic=half_square))
    assert mixed.dtype == torch.float32


# The trainer


class ToyGenerator(Generator):
    def __init__(self):
        super().__init__()
        self.latent = LatentSpace((5,))
        self.layers = nn.Sequential(nn.Linear(5, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 12), nn.Tanh())

    def forward(self, z):
        return self.layers(z).view(-1, 3, 2, 2)


class ToyCritic(Critic):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(12, 16), nn.LeakyReLU(0.2), nn.Dropout(0.2), nn.Linear(16, 1))

    def forward(self, x):
        return self.layers(x.flatten(1)).flatten()


class PyramidGenerator(ToyGenerator):
    def forward(self, z):
        return self.like(super().forward(z))

    def like(self, real):
        return real.mean(dim=(2, 3), keepdim=True), real


class PyramidCritic(ToyCritic):
    def forward(self, form):
        small, large = form
        return super().forward(large + small)


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
    """Adds one to every picture, and counts."""

    def __init__(self):
        super().__init__()
        self.draws, self.observed = 0, []

    def draw(self, count, device):
        self.draws += 1
        return torch.ones(count, 1, 1, 1, device=device)

    def apply_draw(self, pictures, drawn):
        return pictures + drawn

    def observe(self, real_logits):
        self.observed.append(real_logits)


FIRST = Phase(0, Size(2, 2), images=1000, batch=8)
SECOND = Phase(1, Size(2, 2), images=1000, batch=8)
BCE = {"adversarial": LossTerm(NonSaturating(NonSaturatingOptions()))}


def make(options=None, terms=None, *, generator=None, critic=None, augment=None, phase=FIRST):
    torch.manual_seed(0)
    parts = Parts(
        generator=generator or ToyGenerator(),
        critic=critic or ToyCritic(),
        augment=augment or Augmentation(),
        losses=Losses(terms or BCE),
        features=None,
        update=GuardedUpdate(torch.device("cpu")),
    )
    trainer = AdversarialTrainer(options or TrainerOptions(), parts)
    trainer.begin(phase)
    return trainer


def batch_of(count, seed=7):
    return Batch(torch.rand(count, 3, 2, 2, generator=torch.Generator().manual_seed(seed)) * 2 - 1)


def take(trainer, step=0, **clock):
    torch.manual_seed(100 + step)
    return trainer.step(batch_of(8 * trainer.batches_per_step, step), Clock(steps=step, **clock))


def networks_of(trainer):
    return copy.deepcopy([trainer.generator.state_dict(), trainer.critic.state_dict()])


def same(first, second):
    if isinstance(first, torch.Tensor):
        return torch.equal(first, second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[key], second[key]) for key in first)
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(same, first, second))
    return first == second


@pytest.mark.parametrize("critic_steps", [1, 3])
def test_training_equals_the_loop_of_pytorchs_dcgan_example_bit_for_bit(critic_steps):
    trainer = make(TrainerOptions(critic_steps=critic_steps))
    assert trainer.batches_per_step == critic_steps
    G, D = copy.deepcopy(trainer.generator), copy.deepcopy(trainer.critic)
    optimizer_g = torch.optim.Adam(G.parameters(), lr=2e-4, betas=(0.5, 0.999), fused=True)
    optimizer_d = torch.optim.Adam(D.parameters(), lr=2e-4, betas=(0.5, 0.999), fused=True)
    for step in range(3):
        scalars = take(trainer, step)

        torch.manual_seed(100 + step)
        real_pictures = batch_of(8 * critic_steps, step).real
        for i in range(critic_steps):
            real, fake = real_pictures[8 * i : 8 * (i + 1)], G(torch.randn(8, 5))
            D.zero_grad()
            real_logits, fake_logits = D(real), D(fake.detach())
            real_error = binary_cross_entropy_with_logits(real_logits, torch.ones(8))
            fake_error = binary_cross_entropy_with_logits(fake_logits, torch.zeros(8))
            real_error.backward()
            fake_error.backward()
            optimizer_d.step()
        G.zero_grad()
        error = softplus(-D(fake)).mean()  # -log s(D(x')), the cross-entropy with label 1
        error.backward()
        optimizer_g.step()

        assert same(trainer.generator.state_dict(), G.state_dict())
        assert same(trainer.critic.state_dict(), D.state_dict())
        assert scalars["critic/adversarial"] == real_error + fake_error
        assert scalars["generator/adversarial"] == error
        assert scalars["critic/real_logit"] == real_logits.mean()
        assert scalars["critic/fake_logit"] == fake_logits.mean()
        norm = torch.cat([parameter.grad.flatten() for parameter in G.parameters()]).norm()
        torch.testing.assert_close(scalars["generator/gradient_norm"], norm)
    assert not any(scalar.requires_grad for scalar in scalars.values())


def test_the_generator_learns_from_the_critic_that_has_just_moved_in_bf16_too():
    """Autocast keeps copies of weights: without care the generator would be judged by the critic of the step before."""
    trainer = make(TrainerOptions(learning_rate=0.05), {"spy": LossTerm(spy := Spy())})
    trainer.critic.eval()  # no dropout, so that scores can be repeated
    with torch.autocast("cpu", torch.bfloat16):
        take(trainer)
    (shown,) = spy.seen["generator"]
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        now = trainer.critic(shown.fake).float()
    assert torch.equal(shown.fake_logits.detach(), now)
    assert not torch.equal(shown.fake_logits.detach(), spy.seen["critic"][0].fake_logits.detach())
    assert shown.fake_logits.dtype == torch.float32


def test_the_critic_never_reaches_the_generator():
    trainer = make(terms={"spy": LossTerm(spy := Spy())})
    take(trainer)
    assert not spy.seen["critic"][0].fake.requires_grad
    assert spy.seen["generator"][0].fake.requires_grad


def test_a_low_loss_can_skip_the_critics_step():
    trainer = make(TrainerOptions(skip_critic_below=1e9))
    generator, critic = networks_of(trainer)
    state = copy.deepcopy(trainer.state_dict()["critic_optimizer"])
    take(trainer)
    assert same(trainer.critic.state_dict(), critic)
    assert same(trainer.state_dict()["critic_optimizer"], state)
    assert not same(trainer.generator.state_dict(), generator)


def test_a_loss_above_the_floor_moves_the_critic_as_without_a_floor():
    floored, free = make(TrainerOptions(skip_critic_below=0.1)), make()
    scalars = take(floored)
    take(free)
    assert scalars["critic/adversarial"] > 0.1
    assert same(networks_of(floored), networks_of(free))


def test_each_player_has_its_own_rate():
    """Adam's first step moves each weight by its rate."""
    trainer = make(TrainerOptions(learning_rate={"generator": 1e-3, "critic": 4e-3}))
    before = networks_of(trainer)
    take(trainer)
    for network, weights, rate in zip((trainer.generator, trainer.critic), before, (1e-3, 4e-3), strict=True):
        moved = max((p.detach() - weights[name]).abs().max().item() for name, p in network.named_parameters())
        assert moved == pytest.approx(rate, rel=1e-2)


@pytest.mark.parametrize(
    ("share", "images", "factor"),
    [
        (0.5, 0, 1),
        (0.5, 500, 1),
        (0.5, 750, 0.55),
        (0.5, 1000, 0.1),
        (1.0, 500, 0.55),
        (0.0, 1000, 1),
        (0.2, 900, 0.55),
    ],
)
def test_learning_rates_fall_linearly_at_the_end(share, images, factor):
    trainer = make(TrainerOptions(learning_rate={"generator": 1e-3, "critic": 2e-3}, decay_share=share, decay_to=0.1))
    before = networks_of(trainer)[0]
    take(trainer, images=images, total_images=1000)
    moved = max((p.detach() - before[name]).abs().max().item() for name, p in trainer.generator.named_parameters())
    assert moved == pytest.approx(1e-3 * factor, rel=1e-2)
    assert trainer.critic_optimizer.param_groups[0]["lr"] == pytest.approx(2e-3 * factor)


def test_a_phase_can_have_faster_rates():
    trainer = make(TrainerOptions(learning_rate={"generator": 1e-3, "critic": 2e-3}, decay_share=1.0, decay_to=0.0))
    trainer.begin(replace(FIRST, learning_rate_factor=1.5))
    take(trainer, images=500, total_images=1000)
    assert trainer.generator_optimizer.param_groups[0]["lr"] == pytest.approx(1e-3 * 1.5 * 0.5)
    assert trainer.critic_optimizer.param_groups[0]["lr"] == pytest.approx(2e-3 * 1.5 * 0.5)


def test_a_decay_is_no_part_of_the_state():
    """The rate is a function of the clock: a run that goes back to an earlier one has the earlier rate."""
    trainer = make(TrainerOptions(decay_share=1.0, decay_to=0.0))
    take(trainer, images=900, total_images=1000)
    take(trainer, images=0, total_images=1000)
    assert trainer.generator_optimizer.param_groups[0]["lr"] == 2e-4


def test_a_restored_trainer_takes_the_same_next_step():
    trainer = make()
    for step in range(2):
        take(trainer, step)
    networks, state = networks_of(trainer), copy.deepcopy(trainer.state_dict())
    take(trainer, 2)

    def resumed(with_state):
        fresh = make()
        fresh.generator.load_state_dict(networks[0])
        fresh.critic.load_state_dict(networks[1])
        if with_state:
            fresh.load_state_dict(copy.deepcopy(state))
        take(fresh, 2)
        return fresh

    assert same(networks_of(resumed(True)), networks_of(trainer))
    assert same(resumed(True).state_dict(), trainer.state_dict())
    assert not same(networks_of(resumed(False)), networks_of(trainer))


@pytest.mark.parametrize("reset", [False, True])
def test_moments_are_forgotten_at_a_new_phase_only_and_only_if_asked(reset):
    trainer = make(TrainerOptions(reset_optimizers=reset))
    take(trainer)
    state = copy.deepcopy(trainer.state_dict())
    trainer.begin(FIRST)
    assert same(trainer.state_dict(), state)
    trainer.begin(SECOND)
    assert same(trainer.state_dict(), state) != reset
    assert bool(trainer.generator_optimizer.state) != reset
    assert bool(trainer.critic_optimizer.state) != reset
    take(trainer, 1)
    state = copy.deepcopy(trainer.state_dict())
    trainer.begin(SECOND)
    assert same(trainer.state_dict(), state)


def test_losses_see_augmented_pictures_and_the_augmentation_sees_real_scores():
    augment = Brighter()
    trainer = make(terms={"spy": LossTerm(spy := Spy())}, augment=augment)
    scalars = take(trainer)
    for outputs in (*spy.seen["critic"], *spy.seen["generator"]):
        torch.testing.assert_close(outputs.real, batch_of(8, 0).real + 1)
        assert 0 <= outputs.fake.min() < 1.5
        assert outputs.fake.max() > 0.9  # a tanh plus one
    assert augment.draws == 3  # real, made, and made again for the generator
    (observed,) = augment.observed
    assert observed.mean() == scalars["critic/real_logit"]
    assert not observed.requires_grad


def test_real_scores_are_spared_in_the_generators_step_unless_a_loss_compares():
    trainer = make(terms={"spy": LossTerm(spy := Spy())})
    take(trainer)
    assert spy.seen["generator"][0].real_logits is None

    compared = LossTerm(spy := Spy(), needs={"generator": ("real_logits", "fake_logits")})
    trainer = make(terms={"spy": compared})
    trainer.critic.eval()
    take(trainer)
    (shown,) = spy.seen["generator"]
    assert torch.equal(shown.real_logits, trainer.critic(batch_of(8, 0).real))  # by the critic that has just moved
    assert not shown.real_logits.requires_grad


def test_lazy_terms_follow_the_steps_and_an_idle_side_stays():
    trainer = make(terms={"lazy": LossTerm(Spy(), every=2)})
    before = networks_of(trainer)
    scalars = take(trainer, 1)
    assert "critic/lazy" not in scalars
    weights = [dict(network.named_parameters()) for network in (trainer.generator, trainer.critic)]
    assert all(torch.equal(p, before[i][name]) for i in range(2) for name, p in weights[i].items())
    assert "critic/lazy" in take(trainer, 2)
    assert not any(
        torch.equal(p, before[i][name]) for i in range(2) for name, p in weights[i].items() if "bias" not in name
    )


def test_every_family_of_loss_trains_on_pyramids():
    terms = {
        "relativistic": LossTerm(Relativistic(PLAIN), needs={"generator": ("real_logits", "fake_logits")}),
        "r1": LossTerm(R1(PenaltyOptions()), weight=0.1, every=2),
        "r2": LossTerm(R2(PenaltyOptions()), weight=0.1),
        "gp": LossTerm(GradientPenalty(GradientPenaltyOptions())),
        "drift": LossTerm(Drift(DriftOptions())),
    }
    trainer = make(terms=terms, generator=PyramidGenerator(), critic=PyramidCritic(), augment=Brighter())
    before = networks_of(trainer)
    for step in range(2):
        scalars = take(trainer, step)
        assert all(scalar.isfinite() for scalar in scalars.values())
        assert ("critic/r1" in scalars) == (step == 0)
    assert {"critic/relativistic", "critic/r2", "critic/gp", "critic/drift", "generator/relativistic"} < set(scalars)
    assert trainer.update.refused == 0
    assert not same(networks_of(trainer)[0], before[0])
    assert not same(networks_of(trainer)[1], before[1])


def test_a_generator_without_latents_is_given_the_source_pictures():
    class Translator(Generator):
        takes = "picture"

        def __init__(self):
            super().__init__()
            self.convolution = nn.Conv2d(3, 3, 1)

        def forward(self, source):
            self.given = source
            return self.convolution(source)

    trainer = make(generator=(translator := Translator()))
    real, source = batch_of(8, 0).real, batch_of(8, 1).real
    trainer.step(Batch(real, source), Clock())
    assert torch.equal(translator.given, source)


def test_the_game_is_won():
    """Two dozen steps bring the mean of made pictures to that of real ones: both sides move the right way."""
    trainer = make(TrainerOptions(learning_rate=5e-3))
    real = torch.full((64, 3, 2, 2), 0.5)
    z = torch.randn(256, 5)
    before = (trainer.generator(z).mean() - 0.5).abs().item()
    for step in range(24):
        torch.manual_seed(step)
        trainer.step(Batch(real), Clock(steps=step))
    assert (trainer.generator(z).mean() - 0.5).abs().item() < 0.6 * before
