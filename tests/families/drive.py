"""Trains a toy family in a run folder, also under torchrun: `python -m tests.families.drive FAMILY OUT [PIECES]`."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from artgen import hookimpl
from artgen.data.dataset import Workshop
from artgen.plugins import Plugins
from artgen.recipe import load_recipe
from artgen.run.session import Finished, run_recipe
from tests.families import adding, canvas, growing, penalty, pyramid, translator

_RUN = """
[run]
precision = "fp32"
preview_images = 32
checkpoint_images = 24
preview_pictures = 4
average_half_life_images = 16
"""
_PICTURES = "[data.negatives]\nresolution = 16\n"
RECIPES = {
    "growing": _PICTURES
    + """
    [generator.growing]
    [losses.non-saturating]
    [trainer.adversarial]
    reset_optimizers = true
    [[phase]]
    images = 24
    batch = 4
    resolution = 8
    [[phase]]
    images = 48
    batch = 4
    fade = 0.5
    """,
    "adding": _PICTURES
    + """
    [generator.adding]
    [losses.non-saturating]
    [trainer.adversarial]
    [[phase]]
    images = 24
    batch = 4
    resolution = 8
    [[phase]]
    images = 48
    batch = 4
    """,
    "pyramid": _PICTURES
    + """
    [generator.pyramid]
    [losses.relativistic]
    [losses.r1]
    every = 2
    [losses.gradient-penalty]
    [trainer.adversarial]
    critic_steps = 2
    skip_critic_below = 1.66
    [[phase]]
    images = 64
    batch = 4
    """,
    "translator": _PICTURES
    + """
    [generator.recolour]
    [losses.distance]
    [trainer.pairs]
    [[phase]]
    images = 64
    batch = 4
    """,
    # Pairs that are computed from pictures, each of which is shown in parts.
    "derived": """
    [data.atelier]
    count = 24
    resolution = 16
    mirror = true
    jitter_px = 4
    held_out = 0.2
    [source.small]
    [generator.recolour]
    [losses.distance]
    [trainer.pairs]
    [[phase]]
    images = 64
    batch = 4
    """,
    "canvas-adam": _PICTURES
    + """
    [generator.toy-canvas]
    [losses.likeness]
    [trainer.toy-canvas]
    [[phase]]
    steps = 24
    batch = 2
    resolution = 8
    [[phase]]
    steps = 24
    batch = 2
    """,
    "canvas-lbfgs": _PICTURES
    + """
    [generator.toy-canvas]
    [losses.likeness]
    [trainer.toy-canvas]
    optimizer = "lbfgs"
    [[phase]]
    steps = 24
    batch = 2
    resolution = 8
    [[phase]]
    steps = 24
    batch = 2
    """,
    # All that has a state at once: batch norm, an adaptive augmentation, lazy penalties, noise in labels and layers.
    "everything": _PICTURES
    + """
    [generator.dcgan]
    width = 8
    latent = 8
    [critic.dcgan]
    width = 8
    dropout = 0.2
    instance_noise = 0.1
    [augment.ada]
    adaptation_images = 64
    interval = 2
    [losses.non-saturating]
    label_noise = 0.1
    [losses.r1]
    every = 3
    [trainer.adversarial]
    decay_share = 0.5
    [[phase]]
    images = 240
    batch = 4
    """,
    # Pairs, with a critic that joins the generator on the way.
    "paired": _PICTURES
    + """
    [generator.unet]
    width = 8
    widest = 8
    keep_lightness = true
    [critic.patchgan]
    receptive_field_px = 16
    width = 8
    [augment.ada]
    adaptation_images = 64
    interval = 3
    [losses.non-saturating]
    [losses.l1]
    [losses.r1]
    every = 3
    [trainer.paired]
    solo_share = 0.4
    [[phase]]
    images = 64
    batch = 4
    """,
    "penalty": _PICTURES
    + """
    [generator.dcgan]
    width = 8
    latent = 8
    norm = "none"
    [critic.dcgan]
    width = 8
    norm = "none"
    [losses.wasserstein]
    [losses.steepness]
    weight = 10.0
    [trainer.adversarial]
    [[phase]]
    images = 64
    batch = 4
    """,
}


def families(*more: object) -> Plugins:
    """The bundled plugins and the five toys."""
    return Plugins(extra=[adding, growing, pyramid, translator, canvas, penalty, *more])


def train_family(
    family: str, out: Path, *, stop_at_images: int | None = None, pieces: int = 1, overrides: Sequence[str] = ()
) -> Finished | None:
    """Run a toy recipe; with `stop_at_images`, a listener presses Ctrl-C once that many were shown.

    With `pieces`, every batch is taken in so many, as a run whose record says so would.
    """

    class Interrupter:
        pressed = stop_at_images is None

        @hookimpl
        def artgen_step_shown(self, scalars: dict[str, float]) -> None:
            if not self.pressed and scalars["images"] >= stop_at_images:
                self.pressed = True  # a second Ctrl-C would end the process at once
                os.kill(os.getpid(), signal.SIGINT)

    out.parent.mkdir(parents=True, exist_ok=True)
    file = out.parent / f"{family}.toml"
    file.write_text(RECIPES[family] + _RUN)
    plugins = families(Interrupter())
    recipe = load_recipe(str(file), device="cpu", overrides=overrides, plugins=plugins)
    workshop = Workshop(out.parent / "cache", _quiet, 1)
    record = {"pieces": [pieces] * len(recipe.phases)}
    return run_recipe(recipe, out, torch.device("cpu"), plugins, workshop, _quiet, record=record)


@contextmanager
def _quiet(*_: object) -> Iterator[object]:
    yield lambda *_: None


if __name__ == "__main__":
    torch.set_num_threads(1)
    train_family(sys.argv[1], Path(sys.argv[2]), pieces=int(sys.argv[3]) if len(sys.argv) > 3 else 1)
    sys.stdout.flush()
    os._exit(0)  # as `artgen` does under torchrun, for the reason that artgen.cli.main tells
