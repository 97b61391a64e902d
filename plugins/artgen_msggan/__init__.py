"""Multi-scale gradients (Karnewar and Wang 2019): every level of the generator shows a picture to the critic.

The trainer is `adversarial`. The losses of the authors' code are `relativistic-hinge`, which is here and better beside
`r1`; `non-saturating` with `r1`; or `wasserstein` with `gradient-penalty`.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from artgen import Component, LossOptions, Options, hookimpl

ARTGEN_API = 1

Cells = Annotated[int, Field(ge=2, le=16)]


class GeneratorOptions(Options):
    """The defaults are the paper's generator (MSG-ProGAN)."""

    latent: int = Field(512, ge=1, le=4096)
    """Dimensions of the latent space, whose points are normalised: they lie on a sphere."""
    width: int = Field(512, ge=1, le=4096)
    """Channels at 32 px from a 4x4 grid; each level after it has half as many, each before it twice."""
    widest: int = Field(512, ge=1, le=4096)
    """No level has more channels than this."""
    grid: Cells | tuple[Cells, Cells] | None = None
    """Side of the smallest pictures in pixels, or [width, height]; unless set, what halving the resolution leads to: 4
    for 64, [3, 4] for [48, 64]."""


class CriticOptions(Options):
    """The defaults are the paper's discriminator (MSG-ProGAN)."""

    width: int = Field(512, ge=1, le=4096)
    """Channels at 32 px from a 4x4 grid; each level after it has half as many, each before it twice."""
    widest: int = Field(512, ge=1, le=4096)
    """No level has more channels than this."""
    grid: Cells | tuple[Cells, Cells] | None = None
    """Side of the smallest pictures in pixels, or [width, height]; that of the generator."""
    minibatch_deviation: int = Field(4, ge=0, le=64)
    """Pictures in a group of the minibatch standard deviation channel before the last level; 0 leaves it out."""


@hookimpl
def artgen_generators() -> list[Component]:
    return [
        Component(
            kind="generator",
            name="msggan",
            summary="Makes a picture at every size at once (Karnewar and Wang 2019)",
            options=GeneratorOptions,
            factory="artgen_msggan.generator:MSGGANGenerator",
            partner="msggan",
        )
    ]


@hookimpl
def artgen_critics() -> list[Component]:
    return [
        Component(
            kind="critic",
            name="msggan",
            summary="Scores pictures of all sizes together (Karnewar and Wang 2019)",
            options=CriticOptions,
            factory="artgen_msggan.critic:MSGGANCritic",
        )
    ]


@hookimpl
def artgen_losses() -> list[Component]:
    logits = ("real_logits", "fake_logits")
    return [
        Component(
            kind="loss",
            name="relativistic-hinge",
            summary="Relativistic average hinge loss (Jolicoeur-Martineau 2019)",
            options=LossOptions,
            factory="artgen_msggan.losses:RelativisticHinge",
            needs={"critic": logits, "generator": logits},
        )
    ]
