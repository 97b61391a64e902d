"""Images a second at each level of progressive growing, and of MSG-GAN: artgen and a bare loop over the same networks.

    python benchmarks/growing_step.py [--generator pggan|msggan] [--from 8] [--to 64] [--width 32] [--batch 16]
                                      [--fade] [--compile] [--device cpu|cuda] [--rounds 7] [--seconds 3]

The two take turns (A B A B ...), so a machine whose speed drifts treats them alike; what counts are the ratios within
one run. `--fade` measures in the midst of a fade, `--compile` lets artgen (and not the bare loop) compile. Prints JSON,
with the arithmetic of one image (forward passes counted by torch, 3 G + 8 D and a sixteenth of 6 D) for whoever knows
the ceiling of the device.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path

import numpy as np
import torch
from rounds import Step, compared
from torch.nn.functional import interpolate, softplus
from torch.utils.flop_counter import FlopCounterMode

from artgen.data.dataset import Dataset
from artgen.recipe import load_recipe
from artgen.run.build import Job, build
from artgen.run.loop import take_step
from artgen.training import Clock, Form, Phase

RECIPE = """
[data.atelier]
resolution = {to}
[generator.{generator}]
width = {width}
widest = {widest}
[critic.{generator}]
width = {width}
widest = {widest}
[losses.non-saturating]
[losses.r1]
every = 16
[trainer.adversarial]
learning_rate = 1e-3
betas = [0.0, 0.99]
[[phase]]
{levels}
images = 1_000_000_000
batch = {batch}
fade = 0.5
[run]
precision = "{precision}"
"""
R1_EVERY, R1_WEIGHT = 16, 1.0


def job_of(given: argparse.Namespace, compiled: bool) -> Job:
    levels = f"from = {given.first}\nto = {given.to}" if given.generator == "pggan" else f"resolution = {given.to}"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "benchmark.toml")
        file.write_text(RECIPE.format(**vars(given) | {"levels": levels}))
        recipe = load_recipe(str(file), device=given.device)
    pictures = np.random.default_rng(0).integers(0, 256, (1024, given.to, given.to, 3), np.uint8)
    dataset = Dataset(pictures, "benchmark")
    return build(recipe, dataset, torch.device(given.device), given.precision, compiled=compiled)


def artgen_step(job: Job, phase: Phase, fade: bool) -> Step:
    """A step of artgen's loop: feed, seeds, trainer, average, clock."""
    job.begin(phase)
    middle = phase.images // 4 if fade else phase.images // 2 + 1

    def step(index: int) -> None:
        take_step(job, phase, Clock(index * phase.batch, index, phase.index, middle, job.total_images))

    return step


def bare_step(job: Job, phase: Phase, fade: bool) -> Step:
    """The same networks, losses and average in the plainest loop that does the same work."""
    job.begin(phase)
    job.fade(0.5 if fade else 1.0)
    generator, critic, device = job.generator, job.critic, job.device
    pictures = torch.from_numpy(np.array(job.feed.dataset.real)).to(device)
    adam_g = torch.optim.Adam(generator.parameters(), lr=1e-3, betas=(0.0, 0.99), fused=True)
    adam_d = torch.optim.Adam(critic.parameters(), lr=1e-3, betas=(0.0, 0.99), fused=True)
    averaged = list(job.average.network.parameters())
    latest = [parameter.detach() for parameter in generator.parameters()]

    def autocast() -> torch.autocast:
        return torch.autocast(device.type, torch.bfloat16, enabled=job.precision == "bf16")

    def step(index: int) -> None:
        chosen = pictures[torch.randint(len(pictures), (phase.batch,), device=device)].permute(0, 3, 1, 2)
        real = chosen.float().div_(127.5).sub_(1)
        if real.shape[2:] != phase.size:
            real = interpolate(real, size=tuple(phase.size), mode="area")
        real = real.contiguous(memory_format=torch.channels_last)
        z = generator.latent.draw(phase.batch, device)
        with autocast():
            seen, fake = generator.like(real), generator(z)
            loss = softplus(-critic(seen).float()).mean() + softplus(critic(detached(fake)).float()).mean()
            if index % R1_EVERY == 0:
                levels = [level.detach().requires_grad_() for level in levels_of(seen)]
                score = critic(levels[0] if isinstance(seen, torch.Tensor) else tuple(levels)).float().sum()
                gradients = torch.autograd.grad(score, levels, create_graph=True)
                squared = sum(gradient.float().square().sum(dim=(1, 2, 3)) for gradient in gradients).mean()
                loss = loss + 0.5 * R1_WEIGHT * R1_EVERY * squared
        adam_d.zero_grad()
        loss.backward(inputs=list(critic.parameters()))
        adam_d.step()
        with autocast():
            loss = softplus(-critic(fake).float()).mean()
        adam_g.zero_grad()
        loss.backward(inputs=list(generator.parameters()))
        adam_g.step()
        torch._foreach_lerp_(averaged, latest, 0.001)

    return step


def levels_of(form: Form) -> tuple[torch.Tensor, ...]:
    return (form,) if isinstance(form, torch.Tensor) else form


def detached(form: Form) -> Form:
    return form.detach() if isinstance(form, torch.Tensor) else tuple(level.detach() for level in form)


def gigaflop_an_image(job: Job, phase: Phase) -> float:
    """Arithmetic of one training image, with a penalty at every sixteenth step."""
    job.begin(phase)
    job.fade(1.0)
    z = job.generator.latent.draw(2, job.device)
    with torch.no_grad(), FlopCounterMode(display=False) as of_generator:
        fake = job.generator(z)
    with torch.no_grad(), FlopCounterMode(display=False) as of_critic:
        job.critic(fake)
    g, d = of_generator.get_total_flops() / 2, of_critic.get_total_flops() / 2
    return (3 * g + (8 + 6 / R1_EVERY) * d) / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--generator", choices=["pggan", "msggan"], default="pggan")
    parser.add_argument("--from", dest="first", type=int, default=8)
    parser.add_argument("--to", type=int, default=64)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--widest", type=int, default=128)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--precision", choices=["bf16", "fp32"], default="bf16")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--fade", action="store_true")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=3)
    given = parser.parse_args()
    ours, bare = job_of(given, given.compile), job_of(given, compiled=False)
    levels = []
    for phase in ours.phases:
        steps = {"artgen": artgen_step(ours, phase, given.fade), "bare": bare_step(bare, phase, given.fade)}
        rounds = compared(steps, phase.batch, given.rounds, given.seconds, ours.device)
        gigaflop = gigaflop_an_image(bare, phase)
        levels.append(
            {
                "size": str(phase.size),
                "images_a_second": rounds.images_a_second,
                "artgen_over_bare": rounds.ratio,
                "gigaflop_an_image": round(gigaflop, 3),
                "teraflop_a_second": round(rounds.images_a_second["artgen"] * gigaflop / 1e3, 4),
            }
        )
    said = vars(given) | {"torch": torch.__version__, "threads": torch.get_num_threads(), "load": os.getloadavg()}
    print(json.dumps(said | {"levels": levels}, indent=1))


if __name__ == "__main__":
    main()
