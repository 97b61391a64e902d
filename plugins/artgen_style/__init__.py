"""Style transfer: a picture that is optimised itself, and the losses that compare styles and contents."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from artgen import Component, LossOptions, hookimpl

ARTGEN_API = 1


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


_ACTIVATIONS = ("features", "made_features", "measured")


def _loss(name: str, summary: str, factory: str, options: type[LossOptions], *needs: str) -> Component:
    return Component(
        kind="loss",
        name=name,
        summary=summary,
        options=options,
        factory=f"artgen_style.{factory}",
        needs={"generator": needs},
    )


@hookimpl
def artgen_losses() -> list[Component]:
    style = (*_ACTIVATIONS, "styles")
    return [
        _loss("content", "Activations as the content has them (Gatys et al. 2016)", "content:Content", LayerOptions,
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
    ]  # fmt: skip
