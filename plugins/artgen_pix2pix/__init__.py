"""pix2pix (Isola, Zhu, Zhou and Efros 2017): from one picture to another, learnt from pairs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from artgen import Component, LossOptions, Options, hookimpl
from artgen.components import Side

ARTGEN_API = 1

AveragingFactor = Annotated[float, Field(ge=0, lt=1)]


class GeneratorOptions(Options):
    """The defaults are the paper's U-Net."""

    width: int = Field(64, ge=1, le=1024)
    """Channels of the first level; each level after it has twice as many."""
    widest: int = Field(512, ge=1, le=4096)
    """No level has more channels than this."""
    depth: int | None = Field(None, ge=1, le=10)
    """How often the picture is halved; unless set, as often as its sides can be, at most the paper's 8 times: 8 for
    256 px, 6 for 64. The sides of pictures must be multiples of 2 to this power."""
    upsample: Literal["transposed", "resize"] = "transposed"
    """Transposed 4x4 convolution (the paper), or nearest neighbour and a 3x3 convolution, which draws no
    checkerboard."""
    norm: Literal["batch", "instance"] = "batch"
    """Batch norm (the paper), or each picture normalised by itself, which is what batch norm is for a batch of 1."""
    dropout: float = Field(0.5, ge=0, lt=1)
    """Share of values dropped in the innermost levels on the way up, three at most, while they are as wide as the
    innermost one: the paper's only noise."""
    test_as_trained: bool = False
    """Drop values, and normalise by the batch at hand, also when pictures are made, as the paper does. Then a picture
    varies with the seed and with the company it is made in."""
    keep_lightness: bool = False
    """Colouring: make only the colour (a and b of CIE Lab), and keep the lightness of the source. A colour that no
    screen can show in that lightness is clipped, and lightness with it."""


class CriticOptions(Options):
    """The defaults are the paper's discriminator."""

    receptive_field_px: Literal[1, 16, 70, "whole"] = 70
    """Side of the patches that are scored one by one: single pixels, 16, 70 (the paper's choice), or the fewest levels
    whose patches are no smaller than the whole picture."""
    conditional: bool = True
    """Score a picture together with its source, not the picture alone."""
    width: int = Field(64, ge=1, le=1024)
    """Channels of the first level; each level after it has twice as many."""
    widest: int = Field(512, ge=1, le=4096)
    """No level has more channels than this."""
    norm: Literal["batch", "instance", "none"] = "batch"
    """Batch norm after each level but the first (the paper), each picture normalised by itself, or none."""


class TrainerOptions(Options):
    """Adam on both sides; the defaults are the paper's (section 3.3)."""

    learning_rate: float = Field(2e-4, gt=0, le=1)
    """Of both networks."""
    betas: tuple[AveragingFactor, AveragingFactor] = (0.5, 0.999)
    """Adam's averaging factors of the gradient and its square."""
    decay_share: float = Field(0.5, ge=0, le=1)
    """Share of the run, at its end, over which the learning rate falls linearly to 0: the last 100 of 200 epochs."""
    solo_share: float = Field(0.0, ge=0, le=1)
    """Share of the run, at its start, in which the generator learns without the critic, from losses that need no
    scores: the way of DeOldify."""


class L1Options(LossOptions):
    """The distance that keeps a picture near the true one."""

    weight: float = Field(100.0, ge=0)
    """Lambda of the paper."""


@hookimpl
def artgen_generators() -> list[Component]:
    return [
        Component(
            kind="generator",
            name="unet",
            summary="One picture from another, with a bridge at each size (Isola et al. 2017)",
            options=GeneratorOptions,
            factory="artgen_pix2pix.generator:UNet",
            partner="patchgan",
        )
    ]


@hookimpl
def artgen_critics() -> list[Component]:
    return [
        Component(
            kind="critic",
            name="patchgan",
            summary="A score for every patch of a picture and its source (Isola et al. 2017)",
            options=CriticOptions,
            factory="artgen_pix2pix.critic:PatchGAN",
        )
    ]


@hookimpl
def artgen_trainers() -> list[Component]:
    fields = ("real", "fake", "real_logits", "fake_logits", "critic", "source", "target", "made", "features")
    gives: dict[Side, tuple[str, ...]] = {"critic": fields, "generator": fields}
    return [
        Component(
            kind="trainer",
            name="paired",
            summary="The game on pairs: the critic sees pictures with their sources",
            options=TrainerOptions,
            factory="artgen_pix2pix.trainer:PairedTrainer",
            gives=gives,
        )
    ]


@hookimpl
def artgen_losses() -> list[Component]:
    return [
        Component(
            kind="loss",
            name="l1",
            summary="Mean absolute difference from the true picture (Isola et al. 2017)",
            options=L1Options,
            factory="artgen_pix2pix.losses:L1",
            needs={"generator": ("made", "target")},
        ),
        Component(
            kind="loss",
            name="perceptual",
            summary="The same between activations of a feature network (after Johnson et al. 2016)",
            options=LossOptions,
            factory="artgen_pix2pix.losses:Perceptual",
            needs={"generator": ("made", "target", "features")},
        ),
    ]
