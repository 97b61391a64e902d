"""Style transfer: a picture that is optimised itself, and the losses that compare styles and contents."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from artgen import Component, FilePath, LossOptions, Options, hookimpl

ARTGEN_API = 1


class CanvasOptions(Options):
    """Pictures whose pixels are the parameters: as many as the data set has contents."""

    start: Literal["content", "noise", "style", "file"] = "content"
    """What is on the canvas at first: the contents; grey noise; noise in the styles' colours; a picture of yours."""
    start_file: FilePath = ""
    """The picture of `start = "file"`."""

    @model_validator(mode="after")
    def _file_is_there_if_wanted(self) -> CanvasOptions:
        if (self.start == "file") != bool(self.start_file):
            raise ValueError('start = "file" and start_file go together')
        return self


class CanvasTrainerOptions(Options):
    """Moves pictures down the gradient of the losses."""

    optimizer: Literal["adam", "lbfgs"] = "adam"
    """Adam, whose rate falls within each phase; or L-BFGS, which takes the losses several times for each step."""
    learning_rate: float = Field(0.04, gt=0)
    """Of Adam: how far a pixel moves at most in a step, on a scale where black is -1 and white 1."""
    betas: tuple[float, float] = (0.9, 0.99)
    """Adam's shares of the old gradient and the old squared gradient."""
    last_rate_share: float = Field(1.0, ge=0, le=1)
    """At the end of each phase the rate is this share of what it was; it falls by half a cosine."""
    warm_start: bool = True
    """At a new size go on with Adam's moments of the last one, enlarged."""
    history: int = Field(10, ge=1, le=100)
    """Of L-BFGS: how many steps back it remembers. Each takes as much memory as the pictures."""


@hookimpl
def artgen_generators() -> list[Component]:
    return [
        Component(
            kind="generator",
            name="canvas",
            summary="The picture itself, pixel by pixel (Gatys et al. 2016)",
            options=CanvasOptions,
            factory="artgen_style.canvas:Canvas",
        )
    ]


@hookimpl
def artgen_trainers() -> list[Component]:
    looked_at = ("made_features", "source_features", "measured")
    return [
        Component(
            kind="trainer",
            name="canvas",
            summary="Moves the pixels of a canvas, coarse to fine: Adam or L-BFGS",
            options=CanvasTrainerOptions,
            factory="artgen_style.trainer:CanvasTrainer",
            gives={"generator": ("made", "source", "target", "features", "styles", "motion", *looked_at)},
        )
    ]


class CovarianceOptions(LossOptions):
    """How maps of features vary together, in the picture and in the style."""

    layers: tuple[str, ...] = ()
    """Layers of the features to compare; unless set, those that the features compare styles in."""
    layer_weights: tuple[Annotated[float, Field(ge=0)], ...] = ()
    """A factor for each of the layers; unless set, all count alike."""
    across_maps: int = Field(0, ge=0, le=4096)
    """So many of the first maps of a layer are also compared with the maps of its finer neighbour, which has half its
    stride. 75 are those of the first order of the wavelets. 0: each layer by itself."""

    @model_validator(mode="after")
    def _a_factor_for_each_layer(self) -> CovarianceOptions:
        if self.layers and self.layer_weights and len(self.layers) != len(self.layer_weights):
            raise ValueError(f"layer_weights has {len(self.layer_weights)} factors for {len(self.layers)} layers")
        return self


class PatchesOptions(LossOptions):
    """Sliced Wasserstein distance of small patches."""

    octaves: int = Field(4, ge=1, le=8)
    """Sizes at which patches of 5 px are taken, each half of the one before it; none has a side under 16 px."""
    directions: int = Field(48, ge=1, le=4096)
    """Projections a step, drawn anew each time."""
    positions: int = Field(4096, ge=16, le=1_048_576)
    """Patches of each octave a step, drawn anew each time."""


class LaplacianOptions(LossOptions):
    """The lightness of the content at all scales but the finest."""

    octaves: int = Field(5, ge=1, le=10)
    """Bands, with the finest, which is left to the style. None is of a size with a side under 8 px."""


@hookimpl
def artgen_losses() -> list[Component]:
    """Losses that need no trained network."""
    return [
        Component(
            kind="loss",
            name="covariance",
            summary="Covariances and means of features, and across neighbouring layers (after Brochard et al. 2022)",
            options=CovarianceOptions,
            factory="artgen_style.covariance:Covariance",
            needs={"generator": ("made_features", "features", "styles", "measured")},
        ),
        Component(
            kind="loss",
            name="patches",
            summary="Sliced Wasserstein distance of small patches (after Elnekave and Weiss 2022)",
            options=PatchesOptions,
            factory="artgen_style.patches:Patches",
            needs={"generator": ("made", "styles")},
        ),
        Component(
            kind="loss",
            name="laplacian",
            summary="Lightness of the content, band by band, without the finest (Burt and Adelson 1983)",
            options=LaplacianOptions,
            factory="artgen_style.laplacian:Laplacian",
            needs={"generator": ("made", "source")},
        ),
    ]


class FlickerOptions(Options):
    """How much the frames of a film change beside what moves in their contents."""


@hookimpl
def artgen_metrics() -> list[Component]:
    return [
        Component(
            kind="metric",
            name="flicker",
            summary="How much a film flickers, beside its contents: error of frames moved by optical flow",
            options=FlickerOptions,
            factory="artgen_style.flicker:Flicker",
            needs_pairs=True,
        )
    ]
