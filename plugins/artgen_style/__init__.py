"""Style transfer: a picture that is optimised itself, and the losses that compare styles and contents."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from artgen import Component, FilePath, Options, hookimpl

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
