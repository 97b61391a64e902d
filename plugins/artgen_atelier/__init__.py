"""Portraits in the manner of Rembrandt, painted by the program: a data set that needs no network and no file."""

from __future__ import annotations

from pydantic import Field, model_validator

from artgen import Component, DataOptions, hookimpl

ARTGEN_API = 1

MOST_PIXELS = 8_000_000_000
"""A collection may hold this many pixels, 24 GB: more is a slip of the pen."""


class AtelierOptions(DataOptions):
    """Dark grounds, one raking light, heads of every age; hats, hair, beards and collars are drawn by lot."""

    count: int = Field(4000, ge=1, le=200_000)
    """How many pictures are painted."""
    collection_seed: int = Field(1632, ge=0, le=2**63 - 1)
    """Another number gives another collection; the seed of the run has no say in it."""

    @model_validator(mode="after")
    def _collection_is_sane(self) -> AtelierOptions:
        height, width = self.size
        if min(height, width) < 16 or max(height, width) > 1024:
            raise ValueError(f"resolution {self.resolution} is outside the 16 to 1024 px that the atelier paints")
        if self.count * height * width > MOST_PIXELS:
            gigabytes = self.count * height * width * 3 / 1e9
            most = MOST_PIXELS * 3 / 1e9
            raise ValueError(
                f"{self.count} pictures of {width}x{height} px are {gigabytes:.0f} GB, more than {most:.0f}"
            )
        return self


@hookimpl
def artgen_datasets() -> list[Component]:
    return [
        Component(
            kind="data",
            name="atelier",
            summary="Portraits in the manner of Rembrandt, painted by the program; needs no network",
            options=AtelierOptions,
            factory="artgen_atelier.dataset:paint_collection",
        )
    ]
