"""Style transfer: a picture that is optimised itself, and the losses that compare styles and contents."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from artgen import Component, LossOptions, hookimpl

ARTGEN_API = 1


class CovarianceOptions(LossOptions):
    """How maps of features vary together, in the picture and in the style."""

    layers: tuple[str, ...] = ()
    """Layers of the features to compare; unless set, those that the features compare styles in."""
    layer_weights: tuple[Annotated[float, Field(ge=0)], ...] = ()
    """A factor for each of the layers; unless set, all count alike."""
    across_maps: int = Field(0, ge=0, le=4096)
    """So many of the first maps of a layer are also compared with as many of its finer neighbour, which has half its
    stride. 27 are colours and lightness of the wavelets, and give longer strokes than all 75 of the first order. 0: each
    layer by itself."""

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
    positions: int = Field(2048, ge=16, le=1_048_576)
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
