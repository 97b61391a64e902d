"""One sitting of `artgen run`: open the folder, prepare, resume, train, finish. Called again, it goes on."""

from __future__ import annotations

import json
import logging
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, redirect_stdout, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from artgen import distributed
from artgen.data.dataset import Dataset, Workshop
from artgen.device import Precision, choose_precision, exhaustion
from artgen.errors import ArtgenError, CheckpointError, PluginError, StoppedError
from artgen.plugins import Plugins
from artgen.recipe import Recipe
from artgen.run import checkpoint
from artgen.run.build import Job, build, fitted, prepare_data
from artgen.run.description import describe
from artgen.run.loop import State, take_step, train
from artgen.run.need import Needs
from artgen.run.opening import clock_of, refuse_other_pictures
from artgen.run.record import RunFolder
from artgen.run.stopping import Stop, listening
from artgen.run.trial import measure
from artgen.run.upkeep import RunUpkeep, Show, kept_pictures, try_metrics
from artgen.training import Clock

log = logging.getLogger(__name__)

_NAMED = 20
"""Files that are named when some were skipped."""

ShowTraining = Callable[[Job, Clock], AbstractContextManager[Show]]
"""Opens a progress line for a job that stands at a clock."""

_LESS_MEMORY = "Use a smaller batch ([[phase]] batch) or narrower networks (width)."


@dataclass(frozen=True)
class Finished:
    """What a run came to: `pictures` are the files of what was repainted, or of their film.

    `plugin_fault` was raised by a listener that had to be told of the end, and could not.
    """

    folder: Path
    sheet: Path | None
    figures: dict[str, float]
    was_finished: bool
    pictures: Sequence[Path] = ()
    plugin_fault: PluginError | None = None


def run_recipe(
    recipe: Recipe,
    out: Path,
    device: torch.device,
    plugins: Plugins,
    workshop: Workshop,
    show_training: ShowTraining,
    *,
    fresh: bool = False,
    show_needs: Callable[[Needs], object] = lambda needs: None,
    record: Mapping[str, Any] | None = None,
) -> Finished | None:
    """Train a recipe in a run folder, from the start or from where it stopped, and finish it with sheet and figures.

    Under `torchrun` the first process owns the folder, and the others train along and return None.

    Args:
        recipe: Checked and complete.
        out: The run folder.
        device: Where to compute.
        plugins: Those that the recipe was checked with; they are told of events.
        workshop: Prepares the pictures.
        show_training: Opens a progress line.
        fresh: Begin anew; an older run in the folder is kept under another name.
        show_needs: Tells what the run needs, before the first step.
        record: What else `run.json` of a new run says. `precision` and `pieces` are heeded.

    Raises:
        StoppedError: A signal came; a checkpoint was saved if training had begun.
        ArtgenError: Anything else that a user can mend; see `artgen.errors`.
    """
    with (
        distributed.process_group(device),
        listening() as stop,
        exhaustion(recipe.name, _LESS_MEMORY),
        redirect_stdout(sys.stderr),  # what a plugin prints in a step mixes with no result
    ):
        if distributed.rank() > 0:
            _train_along(recipe, out, device, workshop, stop)
            return None
        record = dict(record or {})
        recorded = (None if fresh else _recorded_precision(out, recipe)) or record.get("precision")
        precision: Precision = recorded or choose_precision(recipe.run.precision, device)
        description = record | describe(recipe, device, precision, plugins)
        with RunFolder.open(out, recipe.to_toml(), recipe.fingerprint, fresh=fresh, description=description) as folder:
            try:
                finished = _sit(recipe, folder, device, precision, plugins, workshop, show_training, show_needs, stop)
            except BaseException as error:
                with suppress(StoppedError):  # asked to stop while stopping: the first error is the one to tell
                    fault = _end(folder, plugins, "stopped" if isinstance(error, StoppedError) else "failed")
                    if fault is not None:
                        log.error("%s", fault)
                raise
            return replace(finished, plugin_fault=_end(folder, plugins, "finished"))


def _end(folder: RunFolder, plugins: Plugins, outcome: str) -> PluginError | None:
    """Write down how the run ended, then tell the listeners; returns what one of them raised, for it hides nothing."""
    folder.finish(_images_saved(folder), outcome)
    try:
        plugins.event("artgen_run_ended", folder=folder, outcome=outcome)
    except PluginError as error:
        return error
    return None


def _sit(
    recipe: Recipe,
    folder: RunFolder,
    device: torch.device,
    precision: Precision,
    plugins: Plugins,
    workshop: Workshop,
    show_training: ShowTraining,
    show_needs: Callable[[Needs], object],
    stop: Stop,
) -> Finished:
    """The sitting of the process that owns the folder."""
    state = _newest_state(folder, recipe, set_aside=True)
    figures = _figures_of_finished(folder)
    if figures is not None:
        distributed.wait_for_all()
        last = folder.path / "samples" / "final.png"
        return Finished(folder.path, last, figures, was_finished=True, pictures=kept_pictures(folder))
    for sentence in folder.changed:
        log.warning("%s: the run goes on, but need not end in the bits of a straight one.", sentence)
    dataset = prepare_data(recipe, workshop)
    recipe = fitted(recipe, dataset)
    if state is not None:
        refuse_other_pictures(state.data, dataset, recipe)
    _tell_skipped(dataset)
    folder.note(data={"fingerprint": dataset.fingerprint, "pictures": len(dataset)} | dict(dataset.notes))
    needs = measure(recipe, dataset, device, precision, state.clock if state else None, _pieces(folder, recipe))
    folder.note(pieces=needs.pieces, compiled=needs.compiled)
    if needs.phases:
        show_needs(needs)
    job = build(recipe, dataset, device, precision, needs.pieces, compiled=needs.compiled)
    folder.note(takes=job.generator.takes)
    clock = state.clock if state else Clock(total_images=job.total_images)
    folder.resume(clock.images)
    plugins.event("artgen_run_started", folder=folder)
    distributed.wait_for_all()
    with show_training(job, clock) as show:
        upkeep = RunUpkeep(job, folder, plugins, show, clock.images if state else -1, stop)
        with stop.deferred():
            clock = train(job, state, upkeep, lambda: stop.wanted)
            if clock.images < job.total_images:
                upkeep.save_unless_saved(clock)
                raise stop.error()
    final, pictures = upkeep.preview(clock, "final"), upkeep.keep_pictures()
    figures = upkeep.evaluate(clock)
    upkeep.heed(clock)
    finite = {name: value if math.isfinite(value) else None for name, value in figures.items()}
    folder.store("figures.json", json.dumps(finite, indent=1).encode())
    return Finished(folder.path, final, figures, was_finished=False, pictures=pictures)


def _train_along(recipe: Recipe, out: Path, device: torch.device, workshop: Workshop, stop: Stop) -> None:
    """The sitting of every other process: it reads the same checkpoint, takes the same steps and writes nothing."""
    distributed.wait_for_all()  # the first process has opened the folder and prepared the pictures by now
    folder = RunFolder.read(out)
    if _figures_of_finished(folder) is not None:
        return
    state = _newest_state(folder, recipe, set_aside=False)
    dataset, compiled = prepare_data(recipe, workshop), folder.info.get("compiled") is True
    recipe = fitted(recipe, dataset)
    job = build(recipe, dataset, device, folder.info["precision"], _pieces(folder, recipe), compiled=compiled)
    with stop.deferred():
        clock = train(job, state, None, lambda: stop.wanted)
        if clock.images < job.total_images:
            raise stop.error()


def try_recipe(recipe: Recipe, device: torch.device, workshop: Workshop) -> tuple[Needs, dict[str, float]]:
    """Build everything, measure and take one step, writing nothing but the cache of prepared pictures.

    Returns:
        What a run would need, and the scalars of that step.
    """
    with exhaustion(recipe.name, _LESS_MEMORY), redirect_stdout(sys.stderr):
        precision = choose_precision(recipe.run.precision, device)
        dataset = prepare_data(recipe, workshop)
        recipe = fitted(recipe, dataset)
        _tell_skipped(dataset)
        needs = measure(recipe, dataset, device, precision)
        job = build(recipe, dataset, device, precision, needs.pieces, compiled=needs.compiled)
        job.begin(job.phases[0])
        try_metrics(job)
        _, scalars = take_step(job, job.phases[0], Clock(total_images=job.total_images))
        return needs, {name: float(value) for name, value in scalars.items()}


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


def _pieces(folder: RunFolder, recipe: Recipe) -> list[int]:
    """In how many pieces a run took its batches before; none if it does not say."""
    pieces = folder.info.get("pieces")
    if not isinstance(pieces, list) or len(pieces) != len(recipe.phases):
        return []
    return pieces if all(type(count) is int and count > 0 for count in pieces) else []


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
