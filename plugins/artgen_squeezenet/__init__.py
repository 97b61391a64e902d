"""SqueezeNet 1.1 as a space of features: 3 MB of weights, quick on a CPU."""

from __future__ import annotations

from pydantic import Field

from artgen import Component, FilePath, Options, hookimpl

ARTGEN_API = 1


class SqueezeNetOptions(Options):
    """Features of SqueezeNet 1.1, trained on ImageNet."""

    weights: FilePath = Field(min_length=1)
    """File of weights: a `.safetensors` with torchvision's tensors `features.*` of SqueezeNet 1.1, or the one `.pt`
    that this plugin knows by its SHA-256."""


@hookimpl
def artgen_features() -> list[Component]:
    """SqueezeNet."""
    return [
        Component(
            kind="features",
            name="squeezenet",
            summary="SqueezeNet 1.1, trained on ImageNet, 3 MB (Iandola et al. 2016)",
            options=SqueezeNetOptions,
            factory="artgen_squeezenet.network:build",
        )
    ]
