"""Figures of quality: likeness to the data (KID, SWD), variety (MS-SSIM) and copying (nearest pictures)."""

from __future__ import annotations

from pydantic import Field

from artgen import Component, Options, hookimpl

ARTGEN_API = 1


class KidOptions(Options):
    """Kernel inception distance, times 1000, in the recipe's space of features. 0 is as good as new real pictures."""

    real_pictures: int = Field(10_000, ge=2)
    """At most so many real pictures are used, drawn at random. The figure stays unbiased with any number."""
    resamples: int = Field(500, ge=20)
    """How often both sides are drawn anew, with replacement, for the 95 % interval."""


class SwdOptions(Options):
    """Sliced Wasserstein distance, times 1000, at each level of a Laplacian pyramid. The defaults are the paper's."""

    descriptors: int = Field(128, ge=1)
    """How many patches of 7x7 px are taken out of each level of each picture."""
    directions: int = Field(512, ge=1)
    """Onto how many random directions the patches are projected (the paper's 4 times 128)."""


class DiversityOptions(Options):
    """How different made pictures are from each other, beside how different real ones are."""

    pairs: int = Field(1000, ge=1)
    """How many random pairs are compared, of made and of real pictures each."""


class NearestOptions(Options):
    """Whether made pictures copy real ones: the share of them nearer to the data than the data is to itself."""

    side: int = Field(32, ge=4, le=256)
    """Pictures are shrunk to this many pixels a side before they are compared."""
    real_queries: int = Field(1000, ge=20)
    """At most so many real pictures, drawn at random, show how near the data is to itself."""
    shown: int = Field(32, ge=1)
    """How many pairs of a made picture and its nearest real one the sheet shows, the nearest of all first."""


@hookimpl
def artgen_metrics() -> list[Component]:
    """KID, SWD, diversity, nearest pictures."""
    return [
        Component(
            kind="metric",
            name="kid",
            summary="Kernel inception distance with a 95 % interval (Binkowski et al. 2018)",
            options=KidOptions,
            factory="artgen_metrics.kid:Kid",
            needs_features=True,
        ),
        Component(
            kind="metric",
            name="swd",
            summary="Sliced Wasserstein distance over a Laplacian pyramid (Karras et al. 2017)",
            options=SwdOptions,
            factory="artgen_metrics.swd:Swd",
        ),
        Component(
            kind="metric",
            name="diversity",
            summary="MS-SSIM between made pictures, beside the data's own (Wang et al. 2003)",
            options=DiversityOptions,
            factory="artgen_metrics.diversity:Diversity",
        ),
        Component(
            kind="metric",
            name="nearest",
            summary="Share of made pictures that come too near a training picture, and a sheet of the nearest",
            options=NearestOptions,
            factory="artgen_metrics.nearest:Nearest",
        ),
    ]
