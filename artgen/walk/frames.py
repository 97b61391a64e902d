"""From a path to pictures: the frames of a walk through the latent space of a run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch

from artgen.data.dataset import Workshop
from artgen.data.images import Picture
from artgen.device import exhaustion
from artgen.errors import RecipeError
from artgen.plugins import load_plugins
from artgen.rng import drawing
from artgen.run.making import make
from artgen.run.opening import OpenRun, open_run
from artgen.run.pictures import given_for, make_pictures
from artgen.walk.path import Path as WalkPath

_BATCH = 64
"""Frames made at once; counted from the first, so that it does not matter how many of them are taken."""


def walk_frames(run: OpenRun, *, keyframes: int, frames: int, seed: int, path: WalkPath) -> Iterator[Picture]:
    """Frames (H, W, 3) uint8 of a walk that is a loop: after the last of them comes the first.

    Args:
        run: Its newest checkpoint makes them.
        keyframes: How many latents are drawn for the path; those of fewer are the first of those of more.
        frames: How many the walk is divided into.
        seed: One seed, the same walk.
        path: How keyframes are connected; a loop.

    Raises:
        RecipeError: The generator takes no latents, or the path needs more keyframes, is no loop, or has no meaning for
            them.
        ResourceError: A batch of frames does not fit into memory.
    """
    space = run.average.latent
    if run.average.takes != "latent" or space is None:
        raise RecipeError(
            f"its generator takes {run.average.takes}, and a walk needs one that takes latents",
            place=str(run.folder.path),
            remedy="Choose the run of a GAN that makes pictures out of nothing else.",
        )
    if not path.loops or keyframes < path.fewest:
        raise RecipeError(
            f"its path needs {path.fewest} keyframes, found {keyframes}" if path.loops else "its path is no loop",
            place="walk",
            remedy="Draw more keyframes." if path.loops else "Choose another one.",
        )
    drawn = given_for(run.average, keyframes, seed, "walk", torch.device("cpu"), None, run.size)
    assert drawn is not None
    for start in range(0, frames, _BATCH):
        positions = torch.arange(start, min(frames, start + _BATCH), dtype=torch.float64) / frames
        latents = path(space, drawn, positions).to(run.device)
        with (
            exhaustion(f"{len(latents)} pictures of {run.size} px", "Choose a run of smaller pictures."),
            drawing(seed, "walk noise"),  # of a generator that draws also when it only makes pictures
        ):
            made = make_pictures(run.generator, latents, run.device, run.precision)
        yield from made.permute(0, 2, 3, 1).cpu().numpy()


def frames_of(
    folder: str | Path, workshop: Workshop, *, keyframes: int, frames: int, seed: int, path: str
) -> Iterator[Picture]:
    """`walk_frames` of a run folder, opened with the installed plugins, on the CPU: the same on every machine's device.

    `path` is the name of a path, which has its default options.

    Raises:
        CheckpointError: It is no run folder, or holds no checkpoint that is whole.
        PluginError: A plugin that the run was made with is missing, or no plugin has such a path.
        RecipeError: As for `walk_frames`.
        ResourceError: A batch of frames does not fit into memory.
    """
    plugins = load_plugins()
    component = plugins.component("path", path)
    way: WalkPath = make(component, component.options())
    run = open_run(Path(folder), torch.device("cpu"), plugins, workshop)
    yield from walk_frames(run, keyframes=keyframes, frames=frames, seed=seed, path=way)
