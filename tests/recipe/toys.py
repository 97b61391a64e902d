"""Toy components that no code stands behind: a recipe is checked without importing any."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from artgen import Component, DataOptions, FilePath, LossOptions, Options, hookimpl
from artgen.plugins import Plugins


class Folder(DataOptions):
    path: FilePath
    pattern: str = "*"


class Painted(DataOptions):
    count: int = Field(100, ge=1)


class Contents(DataOptions):
    content: FilePath
    style: FilePath = ""


class Network(Options):
    width: int = Field(64, ge=1, le=512)
    """Channels of the widest level."""
    activation: Literal["relu", "leaky"] = "relu"
    slope: float = Field(0.2, gt=0)
    layers: tuple[int, ...] = (1, 2)
    start: FilePath = ""
    also: list[FilePath] = Field([])
    rate: float | dict[str, float] = 1.0
    note: str | None = None


class Fussy(Options):
    @model_validator(mode="after")
    def _fails(self):
        raise KeyError("no excuse")


def component(kind, name, options=Options, **more):
    return Component(kind=kind, name=name, summary="A toy", options=options, factory="no.module:Thing", **more)


class Toys:
    """One of each kind."""

    @hookimpl
    def artgen_datasets(self):
        return [
            component("data", "folder", Folder),
            component("data", "painted", Painted),
            component("data", "contents", Contents),
        ]

    @hookimpl
    def artgen_generators(self):
        return [
            component("generator", "conv", Network, partner="judge"),
            component("generator", "dense", Network, partner="judge"),
            component("generator", "canvas"),
            component("generator", "orphan", partner="nobody"),
            component("generator", "fussy", Fussy, partner="judge"),
        ]

    @hookimpl
    def artgen_critics(self):
        return [component("critic", "judge", Network), component("critic", "patch", Network)]

    @hookimpl
    def artgen_losses(self):
        both = {"generator": ("fake_logits",), "critic": ("real_logits", "fake_logits")}
        return [
            component("loss", "logistic", LossOptions, needs=both),
            component("loss", "penalty", LossOptions, needs={"critic": ("real", "critic")}),
            component("loss", "style", LossOptions, needs={"generator": ("features",)}),
        ]

    @hookimpl
    def artgen_trainers(self):
        gives = {
            "generator": ("fake", "fake_logits"),
            "critic": ("real", "fake", "real_logits", "fake_logits", "critic"),
        }
        looks = {side: (*fields, "features") for side, fields in gives.items()}
        return [
            component("trainer", "game", gives=gives),
            component("trainer", "alone"),
            component("trainer", "gallery", gives=looks),
        ]

    @hookimpl
    def artgen_augmentations(self):
        return [component("augment", "flip", Network)]

    @hookimpl
    def artgen_features(self):
        return [component("features", "filters")]

    @hookimpl
    def artgen_metrics(self):
        return [component("metric", "swd"), component("metric", "kid", needs_features=True)]


RECIPE = """
title = "A toy"
seed = 3

[data.painted]
resolution = [32, 24]

[generator.conv]
width = 8

[losses.logistic]
[losses.penalty]
weight = 10
every = 16

[trainer.game]

[[phase]]
images = 1_000
batch = 10

[[phase]]
steps = 7
batch = 3
resolution = [16, 12]
fade = 0.5

[metrics.swd]
"""


def toys(*more):
    """The toys and nothing that is installed."""
    return Plugins([Toys(), *more], points=())
