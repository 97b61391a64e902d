"""Style transfer: a picture that is optimised itself, and the losses that compare styles and contents."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from artgen import Component, LossOptions, Options, hookimpl

ARTGEN_API = 1


class CanvasOptions(Options):
    """Pictures whose pixels are the parameters: as many as the data set has contents."""

    start: Literal["content", "noise", "style"] = "content"
    """What is on the canvas at first: the contents; grey noise; noise in the colours of the styles. A picture of yours
    is named beside the contents (`start` of the data)."""


class CanvasTrainerOptions(Options):
    """Moves pictures down the gradient of the losses."""

    optimizer: Literal["adam", "lbfgs"] = "adam"
    """Adam, whose rate falls within each phase; or L-BFGS, which takes the losses several times for each step."""
    learning_rate: float = Field(0.04, gt=0)
    """Of Adam: how far a pixel moves at most in a step, on a scale where black is -1 and white 1."""
    betas: tuple[float, float] = (0.9, 0.99)
    """Adam's shares of the old gradient and the old squared gradient."""
    last_rate_share: float = Field(1.0, ge=0, le=1)
    """Of Adam: at the end of each phase the rate is this share of what it was; it falls by half a cosine."""
    warm_start: bool = True
    """Of Adam: at a new size go on with the moments of the last one, enlarged."""
    history: int = Field(10, ge=1, le=100)
    """Of L-BFGS: how many steps back it remembers. Each takes as much memory as the pictures."""


class LayerOptions(LossOptions):
    """Where activations are compared."""

    layers: tuple[str, ...] = ()
    """Names of layers of the feature network. Unless set, those that it recommends."""
    layer_weights: tuple[Annotated[float, Field(ge=0)], ...] = ()
    """One for each layer; only their ratios count, for they are divided by their sum. Unless set, all are equal."""

    @model_validator(mode="after")
    def _weights_fit_layers(self) -> LayerOptions:
        if self.layers and self.layer_weights and len(self.layers) != len(self.layer_weights):
            raise ValueError(f"there are {len(self.layers)} layers and {len(self.layer_weights)} layer_weights")
        if self.layer_weights and not sum(self.layer_weights):
            raise ValueError("all layer_weights are 0")
        return self


class ContentOptions(LayerOptions):
    """How activations are compared."""

    normalisation: Literal["relative", "mean-square"] = "relative"
    """`relative`: the squared difference over the squared activations of the content, about 1 for another picture
    whatever the network. `mean-square`: its mean, as published settings have it."""


class GramOptions(LayerOptions):
    """How Gram matrices are compared. The default serves every feature network, for it knows no scale."""

    normalisation: Literal["relative", "gatys", "gradient"] = "relative"
    """With G and A the Gram matrices of C channels in picture and style, divided by the number of positions: `relative`
    is |G - A|^2 / |A|^2, about 1 for another style whatever the network. `gatys` is |G - A|^2 / C^4, the mean square
    that Gatys's code takes, with its factor 1/C^2; with the original VGG-19 it wants a weight of 1000 per layer, 5000
    in all. `gradient` is the sum of squares over the sum of absolute values of G - A, so that its gradient by G has an
    L1 norm of about 1 (K. Crowson's code before 2023)."""


class HistogramOptions(LayerOptions):
    """How activations are sampled."""

    positions: int = Field(4096, ge=16)
    """Compare about so many positions of a layer, on a lattice that falls anew at each step; of a layer that has fewer,
    all."""


class SlicedOptions(HistogramOptions):
    """How activations are sampled and projected."""

    directions: int | None = Field(None, ge=1)
    """Project on so many directions, drawn anew at each step. Unless set, as many as the layer has channels, as in the
    paper."""


class VariationOptions(LossOptions):
    """Which differences of neighbouring pixels count; values run from -1 to 1."""

    form: Literal["l1", "l2", "nine-point"] = "l2"
    """`l1` and `l2`: the mean absolute and the mean squared difference, down plus across. `nine-point`: squared
    differences to all eight neighbours, diagonals counting a quarter (K. Crowson's code, whose weight of 2 on values
    from 0 to 1 is 0.5 here)."""


class CovarianceOptions(LayerOptions):
    """How maps of features vary together, in the picture and in the style."""

    across_maps: int = Field(0, ge=0, le=4096)
    """So many of the first maps of a layer are also compared with as many of its finer neighbour, which has half its
    stride. 27 are colours and lightness of the wavelets; they give longer strokes than all 75 of the first order. 0:
    each layer by itself."""


class PatchesOptions(LossOptions):
    """Sliced Wasserstein distance of small patches."""

    octaves: int = Field(4, ge=1, le=8)
    """Sizes at which patches of 5 px are taken, each half of the one before it; none has a side under 16 px."""
    directions: int = Field(48, ge=1, le=4096)
    """Projections a step, drawn anew each time."""
    positions: int = Field(2048, ge=16, le=1_048_576)
    """Patches of each octave a step, drawn anew each time."""


class LaplacianOptions(LossOptions):
    """The lightness of the content at all scales but the finest."""

    octaves: int = Field(5, ge=1, le=10)
    """Bands, with the finest, which is left to the style. None is of a size with a side under 8 px."""


class FlickerOptions(Options):
    """How much the frames of a film change beside what moves in their contents."""


_ACTIVATIONS = ("features", "made_features", "measured")


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


@hookimpl
def artgen_losses() -> list[Component]:
    """Losses of features, which compare styles and contents; losses of pixels."""
    style = (*_ACTIVATIONS, "styles")
    return [
        _loss("content", "Activations as the content has them (Gatys et al. 2016)", "content:Content", ContentOptions,
              *_ACTIVATIONS, "source_features"),
        _loss("gram", "Gram matrices as the style has them (Gatys et al. 2016)", "gram:Gram", GramOptions, *style),
        _loss("wasserstein-2", "Means and covariances as the style has them (Wasserstein-2 of Gaussians)",
              "wasserstein:Wasserstein", LayerOptions, *style),
        _loss("sliced-wasserstein", "Activations along random directions as the style has them (Heitz et al. 2021)",
              "sliced:SlicedWasserstein", SlicedOptions, *style),
        _loss("histogram", "Histograms of each channel as the style has them (Risser et al. 2017)", "sliced:Histogram",
              HistogramOptions, *style),
        _loss("total-variation", "Neighbouring pixels alike", "pixels:TotalVariation", VariationOptions, "made"),
        _loss("temporal", "Frames of a film as the motion of the content has them (Ruder et al. 2016)",
              "pixels:Temporal", LossOptions, "motion"),
        _loss("covariance", "Covariances of features as the style has them, across layers too (Brochard et al. 2022)",
              "covariance:Covariance", CovarianceOptions, *style),
        _loss("patches", "Small patches as the style has them, sliced (after Elnekave and Weiss 2022)",
              "patches:Patches", PatchesOptions, "made", "styles"),
        _loss("laplacian", "Lightness as the content has it, but for the finest band (Burt and Adelson 1983)",
              "laplacian:Laplacian", LaplacianOptions, "made", "source"),
    ]  # fmt: skip


@hookimpl
def artgen_metrics() -> list[Component]:
    """How steady a film is."""
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


def _loss(name: str, summary: str, factory: str, options: type[LossOptions], *needs: str) -> Component:
    return Component(
        kind="loss",
        name=name,
        summary=summary,
        options=options,
        factory=f"artgen_style.{factory}",
        needs={"generator": needs},
    )
