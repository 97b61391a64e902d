"""Rectified wavelets as a space of features: style transfer that needs no trained network."""

from __future__ import annotations

from pydantic import Field

from artgen import Component, Options, hookimpl

ARTGEN_API = 1


class WaveletsOptions(Options):
    """Filters of several sizes and directions, written down instead of learnt."""

    octaves: int = Field(5, ge=1, le=8)
    """Sizes of filters, each twice as large as the one before it, on a picture that is halved each time. A picture does
    without those at which it has less than 7 px a side."""
    angles: int = Field(6, ge=2, le=16)
    """Directions of the filters. With 4 a style shows diagonal hatching."""
    second_order: bool = True
    """Filter the strength of the filters' answers once more: how strokes lie beside each other."""


@hookimpl
def artgen_features() -> list[Component]:
    """Wavelets."""
    return [
        Component(
            kind="features",
            name="wavelets",
            summary="Rectified wavelets, which need no weights (after Brochard, Zhang and Mallat 2022)",
            options=WaveletsOptions,
            factory="artgen_wavelets.bank:Wavelets",
        )
    ]
