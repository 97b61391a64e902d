"""DCGAN (Radford, Metz and Chintala 2015), and the departures from it that small budgets and lectures ask for."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from artgen import Component, Options, hookimpl

ARTGEN_API = 1


class GeneratorOptions(Options):
    """The defaults are the paper's generator, with `width` 64 as in PyTorch's example."""

    latent: int = Field(100, ge=1, le=4096)
    """Dimensions of the latent space."""
    prior: Literal["gaussian", "sphere", "uniform"] = "gaussian"
    """How latents are drawn; the paper's were uniform, its descendants' are Gaussian."""
    width: int = Field(64, ge=4, le=1024)
    """Channels of the last hidden level; each level before it has twice as many."""
    widest: int = Field(1024, ge=4, le=4096)
    """No level has more channels than this."""
    upsample: Literal["transposed", "nearest"] = "transposed"
    """Transposed convolution (the paper), or nearest neighbour and a 3x3 convolution, which draws no checkerboard."""
    kernel: int = Field(4, ge=2, le=8)
    """Side of the transposed kernels; one that the stride 2 does not divide leaves a checkerboard."""
    norm: Literal["batch", "self-modulated", "none"] = "batch"
    """Batch norm (the paper), batch norm whose scale and shift follow the latent (Chen et al. 2019), or none."""
    activation: Literal["relu", "leaky-relu"] = "relu"
    """Between the levels."""
    output: Literal["tanh", "linear"] = "tanh"
    """After the last convolution."""


class CriticOptions(Options):
    """The defaults are the paper's discriminator, with `width` 64 as in PyTorch's example."""

    width: int = Field(64, ge=4, le=1024)
    """Channels of the first level; each level after it has twice as many."""
    widest: int = Field(1024, ge=4, le=4096)
    """No level has more channels than this."""
    downsample: Literal["stride", "average", "max"] = "stride"
    """Shrink by strided 4x4 convolutions (the paper), or by 3x3 convolutions and pooling (as lectures draw it)."""
    norm: Literal["batch", "none"] = "batch"
    """Batch norm after each level but the first (the paper), or none."""
    activation: Literal["leaky-relu", "relu"] = "leaky-relu"
    """Leaky with slope 0.2, or plain."""
    init: Literal["normal", "kaiming"] = "normal"
    """N(0, 0.02) (the paper) or Kaiming's deviation."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Share of channels dropped after each level."""
    instance_noise: float = Field(0.0, ge=0, le=2)
    """Deviation of Gaussian noise added to every picture the critic sees (Sonderby et al. 2016)."""
    minibatch_deviation: int = Field(0, ge=0, le=64)
    """Pictures in a group of the minibatch standard deviation channel before the last level; 0 leaves it out."""


@hookimpl
def artgen_generators() -> list[Component]:
    return [
        Component(
            kind="generator",
            name="dcgan",
            summary="Convolutions from a latent to a picture (Radford et al. 2015)",
            options=GeneratorOptions,
            factory="artgen_dcgan.generator:DCGANGenerator",
            partner="dcgan",
        )
    ]


@hookimpl
def artgen_critics() -> list[Component]:
    return [
        Component(
            kind="critic",
            name="dcgan",
            summary="Convolutions from a picture to one score (Radford et al. 2015)",
            options=CriticOptions,
            factory="artgen_dcgan.critic:DCGANCritic",
        )
    ]
