"""SqueezeNet 1.1 as a space of features: 3 MB of weights, fast on a CPU."""

from __future__ import annotations

import artgen
from artgen import Component


class Options(artgen.Options):
    """Options of `[features.squeezenet]`."""

    weights: str
    """The file of weights: any `.safetensors` with the tensors `features.*` of torchvision's SqueezeNet 1.1, or the
    `.pt` that this plugin knows by its SHA-256."""


@artgen.hookimpl
def artgen_features() -> list[Component]:
    """SqueezeNet 1.1."""
    return [
        Component(
            kind="features",
            name="squeezenet",
            summary="SqueezeNet 1.1, ImageNet features from a 3 MB file (Iandola et al. 2016)",
            options=Options,
            factory="artgen_squeezenet.network:build",
        )
    ]
