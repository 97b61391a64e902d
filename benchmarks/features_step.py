"""Milliseconds of one look of style transfer: activations, Gram matrices, the gradient with respect to the picture.

    python benchmarks/features_step.py [--network vgg19|squeezenet] [--size 256] [--batch 1] [--device cpu|cuda]
                                       [--precision bf16|fp32] [--format channels_last|contiguous] [--looks 20]

Weights are random (He et al. 2015), as the time does not depend on them. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time

import torch
from torch import Tensor

from artgen.device import mixed
from artgen.training import Features
from artgen_squeezenet.network import SqueezeNet
from artgen_vgg.network import VGG19

NETWORKS = {"vgg19": VGG19, "squeezenet": SqueezeNet}
FORMATS = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}


def drawn(network: Features) -> Features:
    """The network with weights that keep the size of activations."""
    torch.manual_seed(0)
    for parameter in network.parameters():
        if parameter.dim() == 4:
            torch.nn.init.kaiming_normal_(parameter)
    return network


def look(features: Features, pictures: Tensor, precision: str) -> Tensor:
    """The gradient of a loss of style and content."""
    with mixed(pictures.device, precision):
        seen = dict(zip(features.layers, features(pictures), strict=True))
    loss = sum(seen[name].float().square().mean() for name in features.content_layers)
    for name in features.style_layers:
        positions = seen[name].float().permute(0, 2, 3, 1).flatten(1, 2)  # (N, h w, C), a view of channels_last
        loss = loss + (positions.mT @ positions / positions.shape[1]).square().mean()
    (gradient,) = torch.autograd.grad(loss, pictures)
    return gradient


def milliseconds(features: Features, pictures: Tensor, precision: str, looks: int) -> float:
    """The median; the first three warm up."""
    times = []
    for _ in range(looks + 3):
        begun = time.perf_counter()
        look(features, pictures, precision)
        if pictures.device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - begun)
    return round(statistics.median(times[3:]) * 1e3, 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", choices=list(NETWORKS), default="vgg19")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--precision", choices=["bf16", "fp32"], default="bf16")
    parser.add_argument("--format", choices=list(FORMATS), default="channels_last")
    parser.add_argument("--looks", type=int, default=20)
    given = parser.parse_args()
    features = drawn(NETWORKS[given.network]()).to(given.device).to(memory_format=FORMATS[given.format])
    pictures = torch.rand(given.batch, 3, given.size, given.size, device=given.device).mul(2).sub(1).requires_grad_()
    said = vars(given) | {"torch": torch.__version__, "threads": torch.get_num_threads(), "load": os.getloadavg()}
    figures = {"milliseconds": milliseconds(features, pictures, given.precision, given.looks)}
    print(json.dumps(said | figures, indent=1))


if __name__ == "__main__":
    main()
