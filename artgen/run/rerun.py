"""A run repeated from its record: the same recipe, seed, device and precision, if everything is as it was."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from artgen.data.dataset import Workshop
from artgen.device import Precision, choose_device, choose_precision
from artgen.errors import CheckpointError, Fault, PluginError, RecipeError
from artgen.plugins import Plugins
from artgen.recipe import Recipe
from artgen.run import checkpoint
from artgen.run.build import prepare_data
from artgen.run.description import describe, plugin_entries
from artgen.run.differences import Change, changes, plugin_changes
from artgen.run.opening import stored_recipe
from artgen.run.record import LOCK, RunFolder

_MUST_AGREE = ("artgen", "torch", "python")


@dataclass(frozen=True)
class Repetition:
    """What repeats a run.

    Args:
        recipe: The stored one, by the name it was given.
        device: The recorded one, unless another was asked for.
        differs: What is otherwise than it was: versions, plugins, the recipe, the pictures.
        circumstances: What is otherwise too, and makes other roundings at most: threads, the machine, processes.
        record: What the new run takes over: `record` of `artgen.run.session.run_recipe`.
    """

    recipe: Recipe
    device: torch.device
    differs: tuple[Change, ...]
    circumstances: tuple[Change, ...]
    record: dict[str, Any]


def repetition(folder: RunFolder, device: str | None, plugins: Plugins, workshop: Workshop) -> Repetition:
    """Compare a run with what is here now.

    Args:
        folder: The run.
        device: `auto`, `cpu`, `cuda` or `mps`; the recorded one unless given.
        plugins: Those that are here now.
        workshop: Prepares the pictures.

    Raises:
        RecipeError: A plugin that the run cannot do without is missing; names it, and all others that differ.
        ArtgenError: What else the run needs is not there: its device, its pictures.
    """
    info = folder.info
    try:
        recipe = stored_recipe(folder, plugins)
    except PluginError as error:
        raise refusal(folder, plugin_changes(info.get("plugins"), plugin_entries(plugins)), error.remedy) from error
    chosen = choose_device(device or str(info.get("device", "auto")))
    recorded = info.get("precision")
    precision: Precision = recorded if recorded in ("fp32", "bf16") else choose_precision(recipe.run.precision, chosen)
    described = changes(info, describe(recipe, chosen, precision, plugins))
    differs = [change for change in described if change.what in _MUST_AGREE or change.what.startswith("plugin ")]
    circumstances = tuple(change for change in described if change not in differs)
    if recipe.fingerprint != info["fingerprint"]:
        differs.append(Change("recipe.toml", info["fingerprint"], recipe.fingerprint))
    data = info.get("data")
    if isinstance(data, dict) and "fingerprint" in data:
        dataset = prepare_data(recipe, workshop)
        if dataset.fingerprint != data["fingerprint"]:
            then, now = data.get("pictures", "?"), len(dataset)
            what = f"data.{recipe.data.label}"
            differs.append(Change(what, f"{then} pictures, {data['fingerprint']}", f"{now}, {dataset.fingerprint}"))
    record = {"recipe_given": info.get("recipe_given"), "repeats": str(folder.path), "precision": precision}
    return Repetition(
        replace(recipe, name=str(info.get("recipe") or recipe.name)),
        chosen,
        tuple(differs),
        circumstances,
        record | ({"pieces": info["pieces"]} if "pieces" in info else {}),
    )


def refusal(folder: RunFolder, differs: Sequence[Change], remedy: str) -> RecipeError:
    """Why a run cannot be repeated as it was, one fault for each reason."""
    return RecipeError(
        f"the run cannot be repeated as it was: {len(differs)} thing(s) differ",
        place=str(folder.path),
        remedy=remedy,
        faults=[Fault((), str(change)) for change in differs],
    )


def free_folder(original: Path, recipe: Recipe) -> Path:
    """Where a repetition goes: `<run>-rerun`, or with the first number that is free or holds one that has not ended."""
    for count in itertools.count(1):
        path = original.with_name(f"{original.name}-rerun" + (f"-{count}" if count > 1 else ""))
        if not path.exists() or _has_not_ended(path, recipe):
            return path
    raise AssertionError


def ends_alike(original: RunFolder, repeated: Path) -> bool | None:
    """Whether the last checkpoints of two runs are equal, byte for byte; None if they are not of one moment."""
    newest = [next(iter(checkpoint.committed(folder / "checkpoints")), None) for folder in (original.path, repeated)]
    images = [path and path.name.split("-")[1] for path in newest]
    if newest[0] is None or newest[1] is None or images[0] != images[1]:
        return None
    try:
        return checkpoint.digests(newest[0]) == checkpoint.digests(newest[1])
    except CheckpointError:
        return None


def _has_not_ended(path: Path, recipe: Recipe) -> bool:
    try:
        info = RunFolder.read(path).info
    except CheckpointError:
        return path.is_dir() and {entry.name for entry in path.iterdir()} <= {LOCK}
    return info["fingerprint"] == recipe.fingerprint and "repeats" in info and not (path / "figures.json").exists()
