"""What pictures are to be made from, computed from them: their greys, their edges, a smaller or a blurred copy."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from artgen import Component, Options, hookimpl

ARTGEN_API = 1


class GreyOptions(Options):
    """The generator is to colour pictures: each is made from the grey of the same lightness (CIE L*)."""


class EdgesOptions(Options):
    """The generator is to fill drawings in: dark lines on white, by the edge detector of Canny (1986)."""

    blur_px: float = Field(1.0, ge=0, le=32)
    """Deviation of the Gaussian under which pictures are looked at: more leaves out fine detail."""
    strong: float = Field(0.15, gt=0, le=1)
    """A line begins where the lightness of two areas differs by this share of the way from black to white."""
    weak: float = Field(0.06, gt=0, le=1)
    """From there it goes on where they differ by this."""

    @model_validator(mode="after")
    def _weak_is_weaker(self) -> EdgesOptions:
        if self.weak > self.strong:
            raise ValueError(f"weak = {self.weak:g} is more than strong = {self.strong:g}")
        return self


class SmallOptions(Options):
    """The generator is to enlarge pictures: each is made from a smaller copy, blown up to the old size."""

    factor: int = Field(4, ge=2, le=64)
    """How many times smaller the sides of the copy are; it is shrunk by area."""
    enlarge: Literal["bilinear", "nearest"] = "bilinear"
    """How it is blown up: smoothly, or in blocks."""


class BlurredOptions(Options):
    """The generator is to sharpen pictures: each is made from a copy under a Gaussian blur."""

    sigma_px: float = Field(2.0, gt=0, le=64)
    """Deviation of the Gaussian in pixels."""


@hookimpl
def artgen_sources() -> list[Component]:
    """Grey, edges, small, blurred."""
    return [
        Component(
            kind="source",
            name="grey",
            summary="The picture without its colours, to be coloured",
            options=GreyOptions,
            factory="artgen_sources.colour:Grey",
        ),
        Component(
            kind="source",
            name="edges",
            summary="The lines of the picture, dark on white, to be filled in",
            options=EdgesOptions,
            factory="artgen_sources.edges:Edges",
        ),
        Component(
            kind="source",
            name="small",
            summary="The picture at a fraction of its size, to be enlarged",
            options=SmallOptions,
            factory="artgen_sources.detail:Small",
        ),
        Component(
            kind="source",
            name="blurred",
            summary="The picture out of focus, to be sharpened",
            options=BlurredOptions,
            factory="artgen_sources.detail:Blurred",
        ),
    ]
