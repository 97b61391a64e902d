"""Images a second of the pix2pix step (U-Net, PatchGAN, BCE and L1): artgen and a bare loop over the same networks.

    python benchmarks/pix2pix_step.py [--size 256] [--batch 1] [--width 64] [--widest 512] [--device cpu|cuda]
                                      [--precision bf16|fp32] [--rounds 7] [--seconds 4]

The two take turns (A B A B ...), so a machine whose speed drifts treats them alike; what counts are the ratios within
one run. Prints JSON, with the arithmetic of one image (forward passes counted by torch, 3 G + 8 D) for whoever knows
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
from torch.nn.functional import l1_loss, softplus
from torch.utils.flop_counter import FlopCounterMode

from artgen.data.dataset import Dataset
from artgen.recipe import load_recipe
from artgen.run.build import Job, build
from artgen.run.loop import take_step
from artgen.training import Clock

RECIPE = """
[data.atelier]
resolution = {size}
[generator.unet]
width = {width}
widest = {widest}
[critic.patchgan]
width = {width}
[losses.non-saturating]
[losses.l1]
[trainer.paired]
[[phase]]
images = 1_000_000_000
batch = {batch}
[run]
precision = "{precision}"
"""


def job_of(given: argparse.Namespace) -> Job:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "benchmark.toml")
        file.write_text(RECIPE.format(**vars(given)))
        recipe = load_recipe(str(file), device=given.device)
    draw = np.random.default_rng(0)
    real, source = (draw.integers(0, 256, (64, given.size, given.size, 3), np.uint8) for _ in range(2))
    job = build(recipe, Dataset(real, "benchmark", source), torch.device(given.device), given.precision)
    job.begin(job.phases[0])
    return job


def artgen_step(job: Job) -> Step:
    """A step of artgen's loop: feed, seeds, trainer, average, clock."""
    phase = job.phases[0]

    def step(index: int) -> None:
        take_step(job, phase, Clock(index * phase.batch, index, 0, index * phase.batch, job.total_images))

    return step


def bare_step(job: Job) -> Step:
    """The same networks, losses and average in the plainest loop that does the same work."""
    generator, critic, device, batch = job.generator, job.critic, job.device, job.phases[0].batch
    reals, sources = (
        torch.from_numpy(np.array(side)).to(device) for side in (job.feed.dataset.real, job.feed.dataset.source)
    )
    adam_g = torch.optim.Adam(generator.parameters(), lr=2e-4, betas=(0.5, 0.999), fused=True)
    adam_d = torch.optim.Adam(critic.parameters(), lr=2e-4, betas=(0.5, 0.999), fused=True)
    averaged = list(job.average.network.parameters())
    latest = [parameter.detach() for parameter in generator.parameters()]

    def taken(pictures: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
        return pictures[chosen].permute(0, 3, 1, 2).float().div_(127.5).sub_(1)

    def step(index: int) -> None:
        chosen = torch.randint(len(reals), (batch,), device=device)
        y, x = taken(reals, chosen), taken(sources, chosen)
        with torch.autocast(device.type, torch.bfloat16, enabled=job.precision == "bf16"):
            made = generator(x)
            fake = critic(torch.cat([x, made.detach()], dim=1)).float()
            loss = 0.5 * (softplus(-critic(torch.cat([x, y], dim=1)).float()).mean() + softplus(fake).mean())
        adam_d.zero_grad()
        loss.backward(inputs=list(critic.parameters()))
        adam_d.step()
        with torch.autocast(device.type, torch.bfloat16, enabled=job.precision == "bf16"):
            loss = softplus(-critic(torch.cat([x, made], dim=1)).float()).mean() + 100 * l1_loss(made.float(), y)
        adam_g.zero_grad()
        loss.backward(inputs=list(generator.parameters()))
        adam_g.step()
        torch._foreach_lerp_(averaged, latest, 0.001)

    return step


def gigaflop_an_image(job: Job) -> float:
    """Arithmetic of one training image."""
    x = torch.zeros(2, 3, *job.phases[0].size, device=job.device)
    with torch.no_grad(), FlopCounterMode(display=False) as of_generator:
        made = job.generator(x)
    with torch.no_grad(), FlopCounterMode(display=False) as of_critic:
        job.critic(torch.cat([x, made], dim=1))
    return (3 * of_generator.get_total_flops() + 8 * of_critic.get_total_flops()) / 2e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--widest", type=int, default=512)
    parser.add_argument("--precision", choices=["bf16", "fp32"], default="bf16")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=4)
    given = parser.parse_args()
    job, other = job_of(given), job_of(given)
    steps = {"artgen": artgen_step(job), "bare": bare_step(other)}
    rounds = compared(steps, given.batch, given.rounds, given.seconds, job.device)
    gigaflop = gigaflop_an_image(other)
    figures = {
        "images_a_second": rounds.images_a_second,
        "artgen_over_bare": rounds.ratio,
        "gigaflop_an_image": round(gigaflop, 2),
        "teraflop_a_second": round(rounds.images_a_second["artgen"] * gigaflop / 1e3, 4),
    }
    said = vars(given) | {"torch": torch.__version__, "threads": torch.get_num_threads(), "load": os.getloadavg()}
    print(json.dumps(said | figures, indent=1))


if __name__ == "__main__":
    main()
