"""Adversarial losses and penalties: pure functions of `Outputs`.

Letters: D the critic, x real pictures, x' made ones, D(x) a logit, s the sigmoid. softplus(-l) = -log s(l) and
softplus(l) = -log(1 - s(l)).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, softplus

from artgen import LossOptions
from artgen.training import Form, Outputs
from artgen_adversarial import GradientPenaltyOptions, NonSaturatingOptions


def _given(value: Tensor | None) -> Tensor:
    assert value is not None  # the core compared `needs` with `gives` when the run was built
    return value


class NonSaturating:
    """Critic: D(x) towards 1, D(x') towards 0. Generator: D(x') towards 1 (Goodfellow et al. 2014, section 3)."""

    def __init__(self, options: NonSaturatingOptions) -> None:
        self.options = options

    def critic(self, outputs: Outputs) -> Tensor:
        real, fake, o = _given(outputs.real_logits), _given(outputs.fake_logits), self.options
        return self._entropy(real, o.real_label, o.fake_label) + self._entropy(fake, o.fake_label, o.real_label)

    def generator(self, outputs: Outputs) -> Tensor:
        return softplus(-_given(outputs.fake_logits)).mean()

    def _entropy(self, logits: Tensor, label: float, other: float) -> Tensor:
        """Binary cross-entropy against `label`, moved towards `other` by noise, swapped with it by flips."""
        labels = torch.full_like(logits, label)
        if self.options.label_noise:
            labels += (other - label) * self.options.label_noise * torch.rand_like(logits)
        if self.options.label_flips:
            flipped = torch.rand_like(logits) < self.options.label_flips
            labels = torch.where(flipped, label + other - labels, labels)
        return binary_cross_entropy_with_logits(logits, labels)


class LeastSquares:
    """Squares in place of logarithms, with a = 0, b = c = 1 (Mao et al. 2017, eq. 9)."""

    def __init__(self, options: LossOptions) -> None:
        pass

    def critic(self, outputs: Outputs) -> Tensor:
        real, fake = _given(outputs.real_logits), _given(outputs.fake_logits)
        return 0.5 * (real - 1).square().mean() + 0.5 * fake.square().mean()

    def generator(self, outputs: Outputs) -> Tensor:
        return 0.5 * (_given(outputs.fake_logits) - 1).square().mean()


class Hinge:
    """The critic stops caring beyond a margin of 1 (Lim and Ye 2017, eq. 8 to 10)."""

    def __init__(self, options: LossOptions) -> None:
        pass

    def critic(self, outputs: Outputs) -> Tensor:
        real, fake = _given(outputs.real_logits), _given(outputs.fake_logits)
        return (1 - real).relu().mean() + (1 + fake).relu().mean()

    def generator(self, outputs: Outputs) -> Tensor:
        return -_given(outputs.fake_logits).mean()


class Wasserstein:
    """The dual of the earth mover's distance (Arjovsky et al. 2017, eq. 2); wants `gradient-penalty` beside it."""

    def __init__(self, options: LossOptions) -> None:
        pass

    def critic(self, outputs: Outputs) -> Tensor:
        return _given(outputs.fake_logits).mean() - _given(outputs.real_logits).mean()

    def generator(self, outputs: Outputs) -> Tensor:
        return -_given(outputs.fake_logits).mean()


class Relativistic:
    """Each made picture against one real picture (Jolicoeur-Martineau 2019; R3GAN, Huang et al. 2024, eq. 2)."""

    def __init__(self, options: LossOptions) -> None:
        pass

    def critic(self, outputs: Outputs) -> Tensor:
        return softplus(_given(outputs.fake_logits) - _given(outputs.real_logits)).mean()

    def generator(self, outputs: Outputs) -> Tensor:
        return softplus(_given(outputs.real_logits) - _given(outputs.fake_logits)).mean()


class R1:
    """Half the mean squared norm of the critic's gradient at real pictures (Mescheder et al. 2018, eq. 9)."""

    def __init__(self, options: LossOptions) -> None:
        pass

    def critic(self, outputs: Outputs) -> Tensor:
        return 0.5 * _squared_gradient_norm(outputs.critic, outputs.real).mean()


class R2:
    """The same at made pictures (Mescheder et al. 2018, eq. 10)."""

    def __init__(self, options: LossOptions) -> None:
        pass

    def critic(self, outputs: Outputs) -> Tensor:
        return 0.5 * _squared_gradient_norm(outputs.critic, outputs.fake).mean()


class GradientPenalty:
    """(|gradient| - target)^2 / target^2 at points between real and made pictures (Gulrajani et al. 2017, eq. 3).

    On a pyramid one point is taken for all its levels, and the norm runs over all of them.
    """

    def __init__(self, options: GradientPenaltyOptions) -> None:
        self.target = options.target

    def critic(self, outputs: Outputs) -> Tensor:
        between = _between(outputs.real, outputs.fake)
        squared = _squared_gradient_norm(outputs.critic, between)
        # The small constant keeps the square root differentiable twice where the gradient vanishes.
        return ((squared + 1e-12).sqrt() - self.target).square().mean() / self.target**2


class Drift:
    """The mean square of D(x) (Karras et al. 2017, appendix A.1)."""

    def __init__(self, options: LossOptions) -> None:
        pass

    def critic(self, outputs: Outputs) -> Tensor:
        return _given(outputs.real_logits).square().mean()


def _levels(form: Form | None) -> tuple[Tensor, ...]:
    assert form is not None
    return (form,) if isinstance(form, Tensor) else form


def _between(real: Form | None, fake: Form | None) -> Form:
    pairs = [(_full(x.detach()), _full(made.detach())) for x, made in zip(_levels(real), _levels(fake), strict=True)]
    first = pairs[0][0]
    share = torch.rand(len(first), 1, 1, 1, dtype=first.dtype, device=first.device)
    mixed = tuple(torch.lerp(x, made, share) for x, made in pairs)
    return mixed[0] if isinstance(real, Tensor) else mixed


def _squared_gradient_norm(critic: Callable[[Form], Tensor] | None, form: Form | None) -> Tensor:
    """|dD/dx|^2 for each picture, (N,), over all levels of a pyramid, with a graph for the second derivative."""
    assert critic is not None
    levels = tuple(level.detach().requires_grad_() for level in _levels(form))
    logits = critic(levels[0] if isinstance(form, Tensor) else levels)
    gradients = torch.autograd.grad(logits.sum(), levels, create_graph=True)
    return torch.stack([_full(gradient).square().sum(dim=(1, 2, 3)) for gradient in gradients]).sum(dim=0)


def _full(x: Tensor) -> Tensor:
    """In fp32 at least: under autocast pictures and gradients come in bf16, too coarse for sums of squares."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
