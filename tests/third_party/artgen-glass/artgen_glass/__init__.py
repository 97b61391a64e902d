"""Stained glass: a generator that cuts panes, and a loss that keeps to a palette."""

from __future__ import annotations

from typing import Annotated

from artgen import Component, LossOptions, Options, hookimpl
from pydantic import Field

ARTGEN_API = 1

Level = Annotated[int, Field(ge=0, le=255)]
Colour = tuple[Level, Level, Level]


class GlassOptions(Options):
    """Panes and the network that places them."""

    latent: int = Field(32, ge=1, le=4096)
    """Dimensions of the latent space."""
    width: int = Field(128, ge=1, le=4096)
    """Units of the two hidden layers."""
    panes: int = Field(24, ge=2, le=512)
    """How many panes a window has."""
    sharpness: float = Field(120.0, gt=0)
    """How thin the lead between two panes is."""


class PaletteOptions(LossOptions):
    """Which colours there are."""

    colours: tuple[Colour, ...] = Field(
        ((16, 12, 20), (24, 48, 140), (150, 20, 30), (30, 110, 60), (230, 180, 60), (240, 235, 215)), min_length=1
    )
    """Red, green and blue of each, 0 to 255: black, cobalt, copper ruby, green, silver stain and clear unless given."""


@hookimpl
def artgen_generators() -> list[Component]:
    return [
        Component(
            kind="generator",
            name="stained-glass",
            summary="Coloured panes with lead between them",
            options=GlassOptions,
            factory="artgen_glass.network:StainedGlass",
            partner="dcgan",
        )
    ]


@hookimpl
def artgen_losses() -> list[Component]:
    return [
        Component(
            kind="loss",
            name="palette",
            summary="Every pixel near a colour of the palette",
            options=PaletteOptions,
            factory="artgen_glass.loss:Palette",
            needs={"generator": ("fake",)},
        )
    ]
