"""The adversarial game (Goodfellow et al. 2014): its trainer, its losses, and every remedy a lecture names."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from artgen import Component, LossOptions, Options, hookimpl
from artgen.components import Side

ARTGEN_API = 1

Rate = Annotated[float, Field(gt=0, le=1)]
AveragingFactor = Annotated[float, Field(ge=0, lt=1)]

_LOGITS = ("real_logits", "fake_logits")


class LearningRates(Options):
    """Two time-scale update rule (Heusel et al. 2017): a rate of its own for each player."""

    generator: Rate
    """Learning rate of the generator."""
    critic: Rate
    """Learning rate of the critic."""


class TrainerOptions(Options):
    """Adam on both sides; the defaults are those of DCGAN (Radford et al. 2015, section 4)."""

    learning_rate: Rate | LearningRates = 2e-4
    """One rate for both networks, or `{ generator = ..., critic = ... }`."""
    betas: tuple[AveragingFactor, AveragingFactor] = (0.5, 0.999)
    """Adam's averaging factors of the gradient and its square."""
    decay_share: float = Field(0.0, ge=0, le=1)
    """Share of the run, at its end, over which the learning rates fall linearly."""
    decay_to: float = Field(0.02, ge=0, le=1)
    """What the learning rates fall to, as a factor."""
    critic_steps: int = Field(1, ge=1, le=100)
    """Steps of the critic for each step of the generator, each on fresh pictures."""
    skip_critic_below: float | None = None
    """Leave the critic alone while its loss, without terms that are due only now and then, is below this: for a critic
    that wins too early. Off unless set."""
    reset_optimizers: bool = False
    """Forget Adam's moments when a phase begins, as progressive growing does."""


class NonSaturatingOptions(LossOptions):
    """Labels of the binary cross-entropy. The defaults are the plain game: real = 1, fake = 0."""

    real_label: float = Field(1.0, ge=0, le=1)
    """What the critic should say of real pictures; 0.9 is one-sided label smoothing (Salimans et al. 2016, 3.4)."""
    fake_label: float = Field(0.0, ge=0, le=1)
    """What the critic should say of made pictures."""
    label_noise: float = Field(0.0, ge=0, le=1)
    """Labels move towards each other by up to this much, drawn anew for each picture."""
    label_flips: float = Field(0.0, ge=0, le=0.5)
    """Probability that a picture's label is swapped."""


class PenaltyOptions(LossOptions):
    """A penalty on the critic's gradient."""

    every: int = Field(16, ge=1)
    """Add the term only at every n-th step, times n: the lazy regularisation of StyleGAN2 (Karras et al. 2020, 3.1)."""


class GradientPenaltyOptions(LossOptions):
    """WGAN-GP's penalty."""

    weight: float = Field(10.0, ge=0)
    """Lambda of the paper."""
    target: float = Field(1.0, gt=0)
    """The norm that the gradient is drawn to."""


class DriftOptions(LossOptions):
    """PGGAN's drift penalty."""

    weight: float = Field(0.001, ge=0)
    """Epsilon of the paper."""


@hookimpl
def artgen_trainers() -> list[Component]:
    return [
        Component(
            kind="trainer",
            name="adversarial",
            summary="The game of generator and critic in two steps",
            options=TrainerOptions,
            factory="artgen_adversarial.trainer:AdversarialTrainer",
            gives={
                "critic": ("real", "fake", "real_logits", "fake_logits", "critic"),
                "generator": ("real", "fake", "real_logits", "fake_logits", "critic"),
            },
        )
    ]


def _loss(
    name: str,
    summary: str,
    factory: str,
    options: type[LossOptions],
    critic: tuple[str, ...],
    generator: tuple[str, ...],
) -> Component:
    needs: dict[Side, tuple[str, ...]] = {"critic": critic}
    if generator:
        needs["generator"] = generator
    return Component(
        kind="loss",
        name=name,
        summary=summary,
        options=options,
        factory=f"artgen_adversarial.losses:{factory}",
        needs=needs,
    )


@hookimpl
def artgen_losses() -> list[Component]:
    fake, fake_only = ("critic", "fake"), ("fake_logits",)
    return [
        _loss("non-saturating", "Binary cross-entropy, real = 1, fake = 0 (Goodfellow et al. 2014)", "NonSaturating",
              NonSaturatingOptions, _LOGITS, fake_only),
        _loss("least-squares", "LSGAN (Mao et al. 2017)", "LeastSquares", LossOptions, _LOGITS, fake_only),
        _loss("hinge", "Hinge loss (Lim and Ye 2017)", "Hinge", LossOptions, _LOGITS, fake_only),
        _loss("wasserstein", "WGAN (Arjovsky et al. 2017)", "Wasserstein", LossOptions, _LOGITS, fake_only),
        _loss("relativistic", "Relativistic pairing (Jolicoeur-Martineau 2019; Huang et al. 2024)", "Relativistic",
              LossOptions, _LOGITS, _LOGITS),
        _loss("r1", "Gradient penalty on real pictures (Mescheder et al. 2018)", "R1", PenaltyOptions,
              ("critic", "real"), ()),
        _loss("r2", "Gradient penalty on made pictures (Mescheder et al. 2018)", "R2", PenaltyOptions, fake, ()),
        _loss("gradient-penalty", "WGAN-GP, between real and made pictures (Gulrajani et al. 2017)", "GradientPenalty",
              GradientPenaltyOptions, ("critic", "real", "fake"), ()),
        _loss("drift", "Keeps the critic's scores near zero (Karras et al. 2017)", "Drift", DriftOptions,
              ("real_logits",), ()),
    ]  # fmt: skip
