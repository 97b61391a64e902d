"""Images a second and peak memory of the DCGAN-64 step: artgen, a bare loop over the same networks, a plain fp32 DCGAN.

    python benchmarks/dcgan_step.py [--recipe paper|small] [--batch 32] [--rounds 7] [--seconds 4] [--memory]

`paper` is the published network, `small` that of the CPU section of recipes/rembrandt.toml. The contenders take turns
(A B C A B C ...), so a machine whose speed drifts treats them alike; what counts are the ratios within one run. Prints
JSON. `--memory` runs each contender in a process of its own and compares peak resident memory instead.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.functional import softplus

from artgen.data.dataset import Dataset
from artgen.recipe import load_recipe
from artgen.run.build import Job, build
from artgen.run.loop import take_step
from artgen.training import Clock, Size

PAPER = """
[data.atelier]
[generator.dcgan]
[losses.non-saturating]
[trainer.adversarial]
[[phase]]
images = 100_000_000
batch = {batch}
[run]
precision = "{precision}"
"""
SMALL = """
extends = "rembrandt"
[on.cpu]
phase = [{{ images = 100_000_000, batch = {batch} }}]
[on.cpu.run]
precision = "{precision}"
"""
PICTURES = np.random.default_rng(0).integers(0, 256, (2048, 64, 64, 3), np.uint8)
Step = Callable[[int], None]


def artgen_step(recipe_text: str) -> Step:
    """One step of artgen's loop: feed, seeds, trainer, average, clock."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "benchmark.toml")
        file.write_text(recipe_text)
        recipe = load_recipe(str(file), device="cpu")
    job = build(recipe, Dataset(PICTURES, "benchmark"), torch.device("cpu"), recipe.run.precision)
    job.begin(job.phases[0])
    clock = Clock(total_images=job.total_images)

    def step(index: int) -> None:
        nonlocal clock
        clock, _ = take_step(job, job.phases[0], clock)

    step.job = job
    return step


def bare_step(job: Job, batch: int, precision: str) -> Step:
    """The same networks, augmentation, losses and average in the plainest loop that does the same work."""
    recipe, generator, critic, augment = job.recipe, job.generator, job.critic, job.augment
    penalty = next((loss for loss in recipe.losses if loss.label == "r1"), None)
    rate, betas = recipe.trainer.options.learning_rate, recipe.trainer.options.betas
    adam_g = torch.optim.Adam(generator.parameters(), lr=rate, betas=betas, fused=True)
    adam_d = torch.optim.Adam(critic.parameters(), lr=rate, betas=betas, fused=True)
    average = job.average.network
    averaged, latest = list(average.parameters()), [p.detach() for p in generator.parameters()]
    order = np.random.default_rng(0)

    def autocast() -> torch.autocast:
        return torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16")

    def step(index: int) -> None:
        pictures = torch.from_numpy(PICTURES[order.integers(0, len(PICTURES), batch)]).permute(0, 3, 1, 2)
        if recipe.data.options.mirror:
            pictures = torch.where(torch.rand(batch, 1, 1, 1) < 0.5, pictures.flip(3), pictures)
        real = pictures.float().div_(127.5).sub_(1)
        z = torch.randn(batch, *generator.latent.shape)
        with autocast():
            fake = generator(z)
            seen_real, seen_fake = augment(real), augment(fake.detach())
            loss = softplus(-critic(seen_real).float()).mean() + softplus(critic(seen_fake).float()).mean()
            if penalty is not None and index % penalty.options.every == 0:
                x = seen_real.detach().requires_grad_()
                (gradient,) = torch.autograd.grad(critic(x).float().sum(), x, create_graph=True)
                squared = gradient.float().square().sum(dim=(1, 2, 3)).mean()
                loss = loss + 0.5 * penalty.options.weight * penalty.options.every * squared
        adam_d.zero_grad()
        loss.backward()
        adam_d.step()
        for parameter in critic.parameters():
            parameter.requires_grad_(False)
        with autocast():
            loss = softplus(-critic(augment(fake)).float()).mean()
        adam_g.zero_grad()
        loss.backward()
        adam_g.step()
        for parameter in critic.parameters():
            parameter.requires_grad_(True)
        torch._foreach_lerp_(averaged, latest, 0.001)

    return step


def plain_step(batch: int) -> Step:
    """DCGAN as PyTorch's example publishes it: fp32, BCE, separate real and fake batches, all gradients."""
    g = nn.Sequential(
        nn.ConvTranspose2d(100, 512, 4, 1, 0, bias=False), nn.BatchNorm2d(512), nn.ReLU(True),
        nn.ConvTranspose2d(512, 256, 4, 2, 1, bias=False), nn.BatchNorm2d(256), nn.ReLU(True),
        nn.ConvTranspose2d(256, 128, 4, 2, 1, bias=False), nn.BatchNorm2d(128), nn.ReLU(True),
        nn.ConvTranspose2d(128, 64, 4, 2, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU(True),
        nn.ConvTranspose2d(64, 3, 4, 2, 1, bias=False), nn.Tanh(),
    )  # fmt: skip
    d = nn.Sequential(
        nn.Conv2d(3, 64, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, True),
        nn.Conv2d(64, 128, 4, 2, 1, bias=False), nn.BatchNorm2d(128), nn.LeakyReLU(0.2, True),
        nn.Conv2d(128, 256, 4, 2, 1, bias=False), nn.BatchNorm2d(256), nn.LeakyReLU(0.2, True),
        nn.Conv2d(256, 512, 4, 2, 1, bias=False), nn.BatchNorm2d(512), nn.LeakyReLU(0.2, True),
        nn.Conv2d(512, 1, 4, 1, 0, bias=False), nn.Sigmoid(), nn.Flatten(0),
    )  # fmt: skip
    bce = nn.BCELoss()
    adam_d = torch.optim.Adam(d.parameters(), lr=2e-4, betas=(0.5, 0.999))
    adam_g = torch.optim.Adam(g.parameters(), lr=2e-4, betas=(0.5, 0.999))
    order = np.random.default_rng(0)

    def step(index: int) -> None:
        pictures = PICTURES[order.integers(0, len(PICTURES), batch)]
        real = torch.from_numpy(pictures).permute(0, 3, 1, 2).contiguous().float().div(127.5).sub(1)
        d.zero_grad()
        bce(d(real), torch.ones(batch)).backward()
        fake = g(torch.randn(batch, 100, 1, 1))
        bce(d(fake.detach()), torch.zeros(batch)).backward()
        adam_d.step()
        g.zero_grad()
        bce(d(fake), torch.ones(batch)).backward()
        adam_g.step()

    return step


def contenders(recipe: str, batch: int, precision: str) -> dict[str, Callable[[], Step]]:
    text = (PAPER if recipe == "paper" else SMALL).format(batch=batch, precision=precision)
    return {
        "artgen": lambda: artgen_step(text),
        "bare": lambda: bare_step(artgen_step(text).job, batch, precision),
        "plain": lambda: plain_step(batch),
    }


def images_a_second(step: Step, seconds: float, batch: int, start: int) -> tuple[float, int]:
    count, begun = 0, time.perf_counter()
    while (spent := time.perf_counter() - begun) < seconds:
        step(start + count)
        count += 1
    return count * batch / spent, start + count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", choices=["paper", "small"], default="paper")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--precision", choices=["bf16", "fp32"], default="bf16")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--only", choices=["artgen", "bare", "plain"], help=argparse.SUPPRESS)
    given = parser.parse_args()
    makers = contenders(given.recipe, given.batch, given.precision)
    said = {"recipe": given.recipe, "batch": given.batch, "precision": given.precision, "size": str(Size(64, 64)),
            "torch": torch.__version__, "threads": torch.get_num_threads(), "load": os.getloadavg()}  # fmt: skip

    if given.only:
        step = makers[given.only]()
        for index in range(30):
            step(index)
        sys.stdout.write(str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))
        return
    if given.memory:
        same = [sys.executable, __file__, "--recipe", given.recipe, "--batch", str(given.batch), "--precision",
                given.precision, "--only"]  # fmt: skip
        peaks = {name: int(subprocess.check_output([*same, name])) for name in makers}
        print(json.dumps(said | {"peak_kib": peaks, "artgen_over_bare": peaks["artgen"] / peaks["bare"]}, indent=1))
        return

    steps = {name: make() for name, make in makers.items()}
    rates: dict[str, list[float]] = {name: [] for name in steps}
    at = dict.fromkeys(steps, 0)
    for name, step in steps.items():
        _, at[name] = images_a_second(step, 2, given.batch, 0)  # warm-up
    for _ in range(given.rounds):
        for name, step in steps.items():
            rate, at[name] = images_a_second(step, given.seconds, given.batch, at[name])
            rates[name].append(rate)
    ratios = {
        f"artgen_over_{other}": statistics.median(a / b for a, b in zip(rates["artgen"], rates[other], strict=True))
        for other in ("bare", "plain")
    }
    medians = {name: statistics.median(rate) for name, rate in rates.items()}
    print(json.dumps(said | {"images_a_second": medians} | ratios, indent=1))


if __name__ == "__main__":
    main()
