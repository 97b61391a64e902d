"""VGG-19 as a space of features: the network of Gatys et al. 2016."""

from __future__ import annotations

from typing import Literal

from artgen import Component, FilePath, Options, hookimpl

ARTGEN_API = 1


class VGG19Options(Options):
    """Features of VGG-19, trained on ImageNet, as far as relu5_1."""

    weights: FilePath = ""
    """File of weights: `vgg19-dcbb9e9d.pth` or `vgg19-d01eb7cb.pth` as published, or a `.safetensors` with the tensors
    `features.*`. Empty: what `origin` says, from the cache, or else from torch hub's cache, or else downloaded."""
    origin: Literal["torchvision", "caffe"] = "torchvision"
    """Which network: torchvision's own training, or Simonyan & Zisserman's, converted from Caffe by Justin Johnson,
    whose activations are far larger. Of a file that says itself which it is, this is not asked."""
    pooling: Literal["max", "average", "l2"] = "max"
    """How height and width are halved. The means of Gatys et al. 2016 (section 2) and the norms are rescaled, by 2.0
    and by 0.78, so that activations keep about the size that they have with maxima."""


@hookimpl
def artgen_features() -> list[Component]:
    """VGG-19."""
    return [
        Component(
            kind="features",
            name="vgg19",
            summary="VGG-19, trained on ImageNet, 52 MB cut from 575 (Simonyan & Zisserman 2014)",
            options=VGG19Options,
            factory="artgen_vgg.network:build",
        )
    ]
