"""One sitting of `artgen run`: open the folder, prepare, resume, train, finish. Called again, it goes on."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import artgen
from artgen import distributed
from artgen.data.dataset import Dataset, Workshop
from artgen.device import Precision, choose_precision, describe_device, exhaustion
from artgen.errors import ArtgenError, CheckpointError, StoppedError
from artgen.plugins import Plugins
from artgen.recipe import Recipe
from artgen.run import checkpoint
from artgen.run.build import Job, build, prepare_data
from artgen.run.loop import State, take_step, train
from artgen.run.opening import clock_of, refuse_other_pictures
from artgen.run.record import RunFolder
from artgen.run.stopping import Stop, listening
from artgen.run.upkeep import RunUpkeep, Show, try_metrics
from artgen.training import Clock

log = logging.getLogger(__name__)

_NAMED = 20
"""Files that are named when some were skipped."""

ShowTraining = Callable[[Job, Clock], AbstractContextManager[Show]]
"""Opens a progress line for a job that stands at a clock."""

_LESS_MEMORY = "Use a smaller batch ([[phase]] batch) or narrower networks (width)."


@dataclass(frozen=True)
class Finished:
    """What a run came to."""

    folder: Path
    sheet: Path | None
    figures: dict[str, float]
    was_finished: bool


def run_recipe(
    recipe: Recipe,
    out: Path,
    device: torch.device,
    plugins: Plugins,
    workshop: Workshop,
    show_training: ShowTraining,
    *,
    fresh: bool = False,
) -> Finished | None:
    """Train a recipe in a run folder, from the start or from where it stopped, and finish it with sheet and figures.

    Under `torchrun` the first process owns the folder, and the others train along and return None.

    Raises:
        StoppedError: A signal came; a checkpoint was saved if training had begun.
        ArtgenError: Anything else that a user can mend; see `artgen.errors`.
    """
    with distributed.process_group(device), listening() as stop, exhaustion(recipe.name, _LESS_MEMORY):
        if distributed.rank() > 0:
            _train_along(recipe, out, device, workshop, stop)
            return None
        recorded = None if fresh else _recorded_precision(out, recipe)
        precision = recorded or choose_precision(recipe.run.precision, device)
        description = _describe(recipe, device, precision, plugins)
        with RunFolder.open(out, recipe.to_toml(), recipe.fingerprint, fresh=fresh, description=description) as folder:
            outcome = "failed"
            try:
                finished = _sit(recipe, folder, device, precision, plugins, workshop, show_training, stop)
                outcome = "finished"
                return finished
            except StoppedError:
                outcome = "stopped"
                raise
            finally:
                folder.finish(_images_saved(folder), outcome)
                plugins.event("artgen_run_ended", folder=folder, outcome=outcome)


def _sit(
    recipe: Recipe,
    folder: RunFolder,
    device: torch.device,
    precision: Precision,
    plugins: Plugins,
    workshop: Workshop,
    show_training: ShowTraining,
    stop: Stop,
) -> Finished:
    """The sitting of the process that owns the folder."""
    state = _newest_state(folder, recipe, set_aside=True)
    figures = _figures_of_finished(folder)
    if figures is not None:
        distributed.wait_for_all()
        return Finished(folder.path, folder.path / "samples" / "final.png", figures, was_finished=True)
    for name, value in folder.changed.items():
        log.warning("%s is now %s: the run goes on, but need not end in the bits of a straight one.", name, value)
    dataset = prepare_data(recipe, workshop)
    if state is not None:
        refuse_other_pictures(state.data, dataset, recipe)
    _tell_skipped(dataset)
    folder.note(data={"fingerprint": dataset.fingerprint, "pictures": len(dataset)} | dict(dataset.notes))
    job = build(recipe, dataset, device, precision)
    clock = state.clock if state else Clock(total_images=job.total_images)
    folder.resume(clock.images)
    plugins.event("artgen_run_started", folder=folder)
    distributed.wait_for_all()
    with show_training(job, clock) as show:
        upkeep = RunUpkeep(job, folder, plugins, show, clock.images if state else -1)
        with stop.deferred():
            clock = train(job, state, upkeep, lambda: stop.wanted)
            if clock.images < job.total_images:
                upkeep.save_unless_saved(clock)
                raise stop.error()
    sheet = upkeep.preview(clock, "final")
    figures = upkeep.evaluate(clock)
    finite = {name: value if math.isfinite(value) else None for name, value in figures.items()}
    folder.store("figures.json", json.dumps(finite, indent=1).encode())
    return Finished(folder.path, sheet, figures, was_finished=False)


def _train_along(recipe: Recipe, out: Path, device: torch.device, workshop: Workshop, stop: Stop) -> None:
    """The sitting of every other process: it reads the same checkpoint, takes the same steps and writes nothing."""
    distributed.wait_for_all()  # the first process has opened the folder and prepared the pictures by now
    folder = RunFolder.read(out)
    if _figures_of_finished(folder) is not None:
        return
    state = _newest_state(folder, recipe, set_aside=False)
    job = build(recipe, prepare_data(recipe, workshop), device, folder.info["precision"])
    with stop.deferred():
        clock = train(job, state, None, lambda: stop.wanted)
        if clock.images < job.total_images:
            raise stop.error()


def try_recipe(recipe: Recipe, device: torch.device, workshop: Workshop) -> dict[str, float]:
    """Build everything and take one step, writing nothing but the cache of prepared pictures.

    Returns:
        The scalars of that step.
    """
    with exhaustion(recipe.name, _LESS_MEMORY):
        precision = choose_precision(recipe.run.precision, device)
        dataset = prepare_data(recipe, workshop)
        _tell_skipped(dataset)
        job = build(recipe, dataset, device, precision)
        job.begin(job.phases[0])
        try_metrics(job)
        _, scalars = take_step(job, job.phases[0], Clock(total_images=job.total_images))
        return {name: float(value) for name, value in scalars.items()}


def _newest_state(folder: RunFolder, recipe: Recipe, *, set_aside: bool) -> State | None:
    """The newest good checkpoint; tells aloud which newer ones were damaged."""
    loaded = checkpoint.newest(folder.checkpoints, set_aside=set_aside)
    if loaded is None:
        return None
    for sentence in loaded.damaged:
        log.warning("damaged checkpoint: %s", sentence)
    if loaded.damaged:
        log.warning("falling back to %s", loaded.path)
    if loaded.info.get("recipe") != recipe.fingerprint:
        raise CheckpointError(
            "it was saved by the run of another recipe",
            place=str(loaded.path),
            remedy="Take it out of this folder; its own run is where it belongs.",
        )
    return State(clock_of(loaded, recipe), loaded.parts, str(loaded.info.get("data")))


def _tell_skipped(dataset: Dataset) -> None:
    """Name the files that were passed over."""
    skipped: dict[str, str] = dataset.notes.get("skipped_files", {})
    if skipped:
        log.warning("%d files were skipped:", dataset.notes["skipped"])
    for name, reason in list(skipped.items())[:_NAMED]:
        log.warning("  %s: %s", name, reason)
    if len(skipped) > _NAMED:
        log.warning("  ... `artgen data check` lists all of them")


def _describe(recipe: Recipe, device: torch.device, precision: Precision, plugins: Plugins) -> dict[str, Any]:
    return describe_device(device) | {
        "artgen": artgen.__version__,
        "plugins": {plugin.name: plugin.version for plugin in plugins.plugins},
        "recipe": recipe.name,
        "seed": recipe.seed,
        "precision": precision,
        "processes": distributed.world_size(),
    }


def _recorded_precision(out: Path, recipe: Recipe) -> Precision | None:
    """The precision that the run of this recipe in this folder began with, if there is one."""
    try:
        info = RunFolder.read(out).info
    except ArtgenError:
        return None
    precision: Precision | None = info.get("precision")
    return precision if info["fingerprint"] == recipe.fingerprint else None


def _figures_of_finished(folder: RunFolder) -> dict[str, float] | None:
    """The figures of a run that has come to its end, else None. Written last, they are the sign of it."""
    try:
        figures = json.loads((folder.path / "figures.json").read_text())
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(figures, dict) or not all(isinstance(value, int | float | None) for value in figures.values()):
        return None
    return {name: math.nan if value is None else float(value) for name, value in figures.items()}


def _images_saved(folder: RunFolder) -> int:
    newest = checkpoint.committed(folder.checkpoints)
    return int(newest[0].name.split("-")[1]) if newest else 0
