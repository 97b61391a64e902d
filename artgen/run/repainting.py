"""A recipe that optimises pictures, on many of them: files, folders and films, in each style that is asked for.

Nothing is trained before, so the recipe is enough. Pictures of one shape and style are repainted together, a few at a
time, with one set of targets. The roundings of a matrix product differ with the number of pictures in it, and grow in
hundreds of steps to a level or two; so which pictures come together follows from the whole list alone, not from what is
done already or falls to another machine. What is done is told by its file, which holds a digest of all that it follows
from.
"""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from artgen.components import DataOptions
from artgen.data.dataset import Dataset, Progress, StylePicture, Workshop
from artgen.data.images import decode, encode
from artgen.errors import DataError, RecipeError
from artgen.plugins import Plugins
from artgen.recipe import Chosen, Recipe
from artgen.run.build import prepare_data
from artgen.run.finishing import arrays, finished
from artgen.run.painting import Painter, images_of, with_data
from artgen.run.repainting_film import refuse_other_figures, repaint_film, working_folder
from artgen.run.tasks import Task, digest_of, is_made, write_picture

PIXELS_AT_ONCE = 1 << 20
"""Pictures are repainted together up to so many pixels."""
_REPAINTED, _STRETCH = {"content", "style"}, {"first_frame", "frames"}  # options of data sets, see `Repainter`


class Repainter:
    """Repaints by a recipe whose data set has something to repaint.

    That is a data set with the options `content` and `style`, which name files. One that reads films has `first_frame`
    and `frames` besides. A recipe for the other kind, or for the walk of a run, gets the data set `pictures` or `film`
    with what its own says of both.

    Args:
        recipe: Checked and complete.
        plugins: Those that it was checked with.
        painter: Optimises pictures.
        workshop: Prepares them.
        progress: Shows how far one of them is.

    Raises:
        RecipeError: The recipe does not repaint.
    """

    def __init__(
        self, recipe: Recipe, plugins: Plugins, painter: Painter, workshop: Workshop, progress: Progress
    ) -> None:
        if not repaints(recipe):
            raise RecipeError(
                f"it learns from pictures (data.{recipe.data.label}), and repaints none",
                place=recipe.name,
                remedy="Name the folder of a run that was trained with it, or a recipe of style transfer.",
            )
        self.recipe, self.plugins, self.painter = recipe, plugins, painter
        self.workshop, self.progress = workshop, progress
        self._digest = functools.cache(digest_of)

    def groups(self, tasks: Sequence[Task]) -> list[list[Task]]:
        """Tasks that are done together: pictures of one style and shape, up to `PIXELS_AT_ONCE`; a film by itself.

        So is a picture that cannot be read, for nobody else shall miss it.
        """
        height, width = self.recipe.data.options.size
        at_once = max(1, PIXELS_AT_ONCE // (height * width))
        shape_of = functools.cache(_proportions)
        groups: list[list[Task]] = []
        open_groups: dict[tuple[Path | None, float], list[Task]] = {}
        for task in tasks:
            shape = None if task.is_film else shape_of(task.input)
            if shape is None:
                groups.append([task])
                continue
            group = open_groups.get((task.style, shape))
            if group is None or len(group) == at_once:
                group = open_groups[task.style, shape] = []
                groups.append(group)
            group.append(task)
        return groups

    def is_done(self, task: Task) -> bool:
        """Whether its output is there already, made of the same files in the same way.

        Raises:
            RecipeError: Something else is there.
            DataError: Something is there, but the content or the style cannot be read.
        """
        if is_made(task, self._note):
            return True
        if task.is_film:
            refuse_other_figures(task, self._note)
        return False

    def repaint(self, group: Sequence[Task]) -> None:
        """Repaint a group, and write what of it is not there.

        Raises:
            DataError: A file cannot be read.
            DivergedError: Too many gradients were not finite.
            ResourceError: An output cannot be written, or nothing fits into memory.
        """
        left = [task for task in group if not self.is_done(task)]
        if group[0].is_film:
            self._repaint_film(group[0], bool(left))
        elif left:
            self._repaint_pictures(group, left)

    def _repaint_pictures(self, group: Sequence[Task], left: Sequence[Task]) -> None:
        recipes = [self._recipe_for(task) for task in group]
        datasets = [prepare_data(recipe, self.workshop) for recipe in recipes]
        companies = [range(len(group))]
        if not all(_are_alike(datasets[0], other) for other in datasets):  # styles may be recoloured like each content
            companies = [range(place, place + 1) for place, task in enumerate(group) if task in left]
        for places in companies:
            first = places[0]
            title = group[first].input.name if len(places) == 1 else f"{len(places)} pictures"
            together = replace(datasets[first], real=np.concatenate([datasets[place].real for place in places]))
            with self.progress(title, len(places) * images_of(self.recipe)) as advance:
                canvas = self.painter.paint(recipes[first], together, title, advance).canvas
            for place, made in zip(places, torch.split(canvas, 1), strict=True):
                repainting = datasets[place].repainting
                assert repainting is not None
                if group[place] in left:
                    (picture,) = arrays(finished(made, repainting))
                    content = encode(picture, self.recipe.run.pictures, self._note(group[place]))
                    write_picture(group[place], content)

    def _repaint_film(self, task: Task, is_left: bool) -> None:
        note = self._note(task)
        if is_left:
            repaint_film(task, note, self._recipe_for(task), self.painter, self.workshop, self.progress)
        shutil.rmtree(working_folder(task, note), ignore_errors=True)

    def _recipe_for(self, task: Task) -> Recipe:
        """The recipe with the content and the style of a task, and a data set that reads such."""
        recipe = _for_films(self.recipe, self.plugins) if task.is_film else _for_pictures(self.recipe, self.plugins)
        style = {} if task.style is None else {"style": str(task.style)}
        return with_data(recipe, content=str(task.input), **style)

    def _note(self, task: Task) -> str:
        """What an output is kept with: a digest of all that it follows from."""
        # Content and style by what is in them: where they lie, and what they are called, changes nothing.
        named = {"content": "content"} | ({} if task.style is None else {"style": "style"})
        recipe = with_data(self._recipe_for(task), **named)
        told = [recipe.fingerprint, recipe.run.pictures, self.painter.precision, self.painter.device.type]
        told += [self._digest(path) for path in (task.input, task.style) if path is not None]
        told += [self._digest(path) for path in _files_in(recipe.data.table())]
        return hashlib.sha256(" ".join(told).encode()).hexdigest()


def repaints(recipe: Recipe) -> bool:
    """Whether the data of a recipe is something to repaint."""
    return type(recipe.data.options).model_fields.keys() >= _REPAINTED


def _for_pictures(recipe: Recipe, plugins: Plugins) -> Recipe:
    moves = "frames" in type(recipe.data.options).model_fields
    return _with_data_set("pictures", recipe, plugins) if moves else recipe


def _for_films(recipe: Recipe, plugins: Plugins) -> Recipe:
    reads_films = type(recipe.data.options).model_fields.keys() >= _STRETCH
    return recipe if reads_films else _with_data_set("film", recipe, plugins)


def _with_data_set(name: str, recipe: Recipe, plugins: Plugins) -> Recipe:
    """The recipe with another data set, which has what the recipe says of both; but for `content`, which it reads."""
    component = plugins.component("data", name)
    fields = component.options.model_fields.keys() - {"content"}
    options = component.options.model_construct(**{key: value for key, value in recipe.data.options if key in fields})
    return replace(recipe, data=Chosen(name, name, component, cast(DataOptions, options)))


def _are_alike(one: Dataset, other: Dataset) -> bool:
    """Whether contents that are to be repainted have one shape, and want the very same styles."""
    assert one.repainting is not None
    assert other.repainting is not None
    pairs = zip(one.repainting.styles, other.repainting.styles, strict=True)
    return one.real.shape == other.real.shape and all(_are_one(ours, theirs) for ours, theirs in pairs)


def _are_one(style: StylePicture, other: StylePicture) -> bool:
    return style.weight == other.weight and all(
        a is b or (a is not None and b is not None and np.array_equal(a, b))
        for a, b in ((style.picture, other.picture), (style.where, other.where), (style.part, other.part))
    )


def _proportions(path: Path) -> float | None:
    """Width over height of a picture file; None if it cannot be read, which is told later."""
    try:
        _, header = decode(path, (8, 8))
    except DataError:
        return None
    return round(header.width / header.height, 6)


def _files_in(table: Any) -> Iterator[Path]:
    """The files that the values of a table name, by their full paths."""
    if isinstance(table, dict):
        table = list(table.values())
    if isinstance(table, list | tuple):
        for value in table:
            yield from _files_in(value)
    elif isinstance(table, str) and os.path.isabs(table) and os.path.isfile(table):  # noqa: PTH113, PTH117  # any text
        yield Path(table)
