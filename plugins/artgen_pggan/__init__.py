"""Progressive growing (Karras et al. 2017): networks that begin with small pictures and double them level by level.

The trainer is `adversarial` with `reset_optimizers = true`; the losses of the paper are `wasserstein`,
`gradient-penalty` and `drift`, and `non-saturating` with `r1` takes a third less arithmetic.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from artgen import Component, Options, hookimpl

ARTGEN_API = 1

Cells = Annotated[int, Field(ge=2, le=16)]


class GeneratorOptions(Options):
    """The defaults are the paper's generator."""

    latent: int = Field(512, ge=1, le=4096)
    """Dimensions of the latent space, whose points are normalised: they lie on a sphere."""
    width: int = Field(512, ge=1, le=4096)
    """Channels at 32 px from a 4x4 grid; each level after it has half as many, each before it twice."""
    widest: int = Field(512, ge=1, le=4096)
    """No level has more channels than this."""
    grid: Cells | tuple[Cells, Cells] | None = None
    """Side of the first pictures in pixels, or [width, height]; unless set, what halving the resolution leads to: 4 for
    64, [3, 4] for [48, 64]."""


class CriticOptions(Options):
    """The defaults are the paper's discriminator."""

    width: int = Field(512, ge=1, le=4096)
    """Channels at 32 px from a 4x4 grid; each level after it has half as many, each before it twice."""
    widest: int = Field(512, ge=1, le=4096)
    """No level has more channels than this."""
    grid: Cells | tuple[Cells, Cells] | None = None
    """Side of the last features in pixels, or [width, height]; unless set, what halving the resolution leads to."""
    minibatch_deviation: int = Field(4, ge=0, le=64)
    """Pictures in a group of the minibatch standard deviation channel before the last level; 0 leaves it out."""


@hookimpl
def artgen_generators() -> list[Component]:
    return [
        Component(
            kind="generator",
            name="pggan",
            summary="Grows from small pictures to large ones (Karras et al. 2017)",
            options=GeneratorOptions,
            factory="artgen_pggan.generator:PGGANGenerator",
            partner="pggan",
        )
    ]


@hookimpl
def artgen_critics() -> list[Component]:
    return [
        Component(
            kind="critic",
            name="pggan",
            summary="Grows along with its generator (Karras et al. 2017)",
            options=CriticOptions,
            factory="artgen_pggan.critic:PGGANCritic",
        )
    ]
