"""Seconds until a picture has reached a loss: artgen beside a plain loop over the same network, one picture, on a CPU.

    python benchmarks/style_transfer.py [--size 256] [--iterations 200] [--rounds 3] [--device cpu|cuda]

The network has the shape of VGG-19 and weights drawn from a seed: that serves for speed. The plain loop is that of the
tutorials: fp32, Adam at full size for so many iterations, from the content. What it has reached by then, by its own
loss (content and Gram matrices), artgen is to reach too: coarse to fine, in bf16 where the hardware has it. They take
turns, so a machine whose speed drifts treats them alike. Prints JSON; also what one step at full size takes in both,
and its arithmetic, for whoever knows the ceiling of the device.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from artgen import Component, Options, hookimpl
from artgen.data.dataset import Dataset, Repainting, StylePicture
from artgen.data.pixels import to_float
from artgen.device import choose_precision
from artgen.recipe import load_recipe
from artgen.run.build import Job, build, fitted
from artgen.run.loop import take_step
from artgen.testing.runs import plugins_with
from artgen.training import Clock
from artgen_vgg.network import VGG19

RECIPE = """
[data.pictures]
resolution = {size}
[generator.canvas]
[features.random-vgg19]
[losses.content]
[losses.gram]
weight = 100.0
[trainer.canvas]
learning_rate = 0.04
last_rate_share = 0.1
[[phase]]
from = {quarter}
to = {size}
per_doubling = 1
images = {levels}
batch = 1
[run]
average_half_life_images = 1
"""


def random_vgg(options: Options) -> VGG19:
    torch.manual_seed(19)
    network = VGG19("max")
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
    return network.eval().requires_grad_(False)


@hookimpl
def artgen_features() -> list[Component]:
    return [
        Component(
            kind="features",
            name="random-vgg19",
            summary="VGG-19 with random weights",
            options=Options,
            factory=f"{__name__}:random_vgg",
        )
    ]


ARTGEN_API = 1


def pictures(size: int) -> tuple[np.ndarray, np.ndarray]:
    """A content and a style: smooth shapes, and stripes."""
    y, x = np.mgrid[:size, :size] / size
    content = np.stack([np.sin(5 * x + 3 * y), np.cos(4 * y * x), x * y], axis=-1)
    style = np.stack([np.sin(90 * (x + 0.3 * np.sin(9 * y))), np.cos(70 * y), np.sin(40 * (x - y))], axis=-1)
    return tuple(((p - p.min()) / (p.max() - p.min()) * 255).astype(np.uint8) for p in (content, style))


class Plain:
    """The loop of the tutorials, with the losses of the recipe: those of Gatys et al. 2016, relative to their size."""

    def __init__(self, network: VGG19, size: int, device: torch.device, weight: float = 100.0) -> None:
        self.network, self.weight = network, weight
        content, style = (
            to_float(torch.from_numpy(picture)).permute(2, 0, 1)[None].to(device) for picture in pictures(size)
        )
        with torch.no_grad():
            self.target = self.activations(content)["relu4_2"]
            self.grams = {layer: gram(self.activations(style)[layer]) for layer in VGG19.style_layers}
        self.content = content

    def activations(self, x: Tensor) -> dict[str, Tensor]:
        return dict(zip(VGG19.layers, self.network(x), strict=True))

    def loss(self, x: Tensor) -> Tensor:
        found = self.activations(x)
        style = sum(
            (gram(found[layer]) - wanted).square().sum() / wanted.square().sum() for layer, wanted in self.grams.items()
        )
        content = mse_loss(found["relu4_2"], self.target) / self.target.square().mean()
        return content + self.weight * style / len(self.grams)

    def optimise(self, iterations: int) -> Tensor:
        x = self.content.clone().requires_grad_()
        adam = torch.optim.Adam([x], lr=0.04)
        for _ in range(iterations):
            adam.zero_grad()
            self.loss(x).backward()
            adam.step()
            with torch.no_grad():
                x.clamp_(-1, 1)
        return x.detach()


def gram(f: Tensor) -> Tensor:
    f = f.flatten(2)
    return f @ f.transpose(1, 2) / f.shape[2]


def job_of(size: int, steps: list[int], device: torch.device, plugin: ModuleType) -> Job:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "benchmark.toml")
        quarter = size // 2 ** (len(steps) - 1)
        file.write_text(RECIPE.format(size=size, quarter=quarter, levels=steps))
        recipe = load_recipe(str(file), device=device.type, plugins=plugins_with([plugin]))
    content, style = pictures(size)
    repainting = Repainting((StylePicture(style),), ("picture",))
    dataset = Dataset(content[None], "benchmark", repainting=repainting)
    recipe = fitted(recipe, dataset)
    return build(recipe, dataset, device, choose_precision("auto", device))


def run(job: Job) -> Tensor:
    clock = Clock(total_images=job.total_images)
    for phase in job.phases:
        clock = Clock(clock.images, clock.steps, phase.index, 0, job.total_images)
        job.begin(phase)
        while clock.phase_images < phase.images:
            clock, _ = take_step(job, phase, clock)
    return job.generator.sample(None)


def timed(work: Callable[[], Tensor], device: torch.device) -> tuple[float, Tensor]:
    begun = time.perf_counter()
    made = work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - begun, made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--iterations", type=int, default=100)
    parser.add_argument("--steps", type=int, nargs="+", default=[80, 50, 40], help="Of artgen, at each size.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    given = parser.parse_args()
    import sys

    device, plugin = torch.device(given.device), sys.modules[__name__]
    plain = Plain(random_vgg(Options()).to(device), given.size, device)
    times: dict[str, list[float]] = {"artgen": [], "plain": []}
    for _ in range(given.rounds + 1):  # the first warms up
        job = job_of(given.size, given.steps, device, plugin)
        seconds, ours = timed(partial(run, job), device)
        times["artgen"].append(seconds)
        seconds, theirs = timed(partial(plain.optimise, given.iterations), device)
        times["plain"].append(seconds)
    with torch.no_grad():
        losses = {name: float(plain.loss(x.to(device))) for name, x in (("artgen", ours), ("plain", theirs))}
    medians = {name: statistics.median(seconds[1:]) for name, seconds in times.items()}
    ratios = [a / b for a, b in zip(times["plain"][1:], times["artgen"][1:], strict=True)]
    said = vars(given) | {"torch": torch.__version__, "threads": torch.get_num_threads(), "load": os.getloadavg()}
    figures = {
        "precision": job.precision,
        "seconds": medians,
        "loss_reached": losses,
        "plain_over_artgen": round(statistics.median(ratios), 3),
        "reached": losses["artgen"] <= losses["plain"],
    }
    print(json.dumps(said | figures, indent=1))


if __name__ == "__main__":
    main()
