"""A film that is repainted: stretch after stretch, each beside the last frame of the one before it.

What is done lies in a hidden folder beside the film that it will be, so that whoever is stopped goes on with the
stretch that was under way. The film takes its name last of all: where it is, all is done.
"""

from __future__ import annotations

import json
import logging
import math
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from artgen import files
from artgen.data.dataset import Dataset, Neighbour, Progress, Workshop
from artgen.data.images import Picture, encode_png, read, shown
from artgen.data.pixels import to_uint8
from artgen.errors import DataError
from artgen.film import FilmInfo, FilmWriter, probe
from artgen.recipe import Recipe
from artgen.run.build import prepare_data
from artgen.run.finishing import finished, on_paper
from artgen.run.painting import Painter, images_of, with_data
from artgen.run.tasks import Task, other_is_there

FILM_PIXELS_AT_ONCE = 1 << 23
"""Frames are repainted together up to so many pixels: what moves through more of them at once flickers less."""

_MOST_BYTES = 1 << 20  # of what is written beside a film

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Told:
    """What is known of a stretch that is done: figures, and in how many pairs of neighbours they were measured."""

    figures: dict[str, float]
    pairs: int
    frames_per_second: str


def repaint_film(
    task: Task, note: str, recipe: Recipe, painter: Painter, workshop: Workshop, progress: Progress
) -> None:
    """Repaint a film, and write it with its figures beside it.

    Args:
        task: The film, and where it goes.
        note: What it is kept with.
        recipe: Its data set reads films.
        painter: Optimises frames.
        workshop: Prepares them.
        progress: Shows a bar.

    Raises:
        DataError: The film cannot be read.
        DivergedError: Too many gradients were not finite.
        ResourceError: The disk is full, or a stretch does not fit into memory.
    """
    if not holds_frames_together(recipe):
        log.warning("%s: no loss holds frames together, so %s will flicker", recipe.name, shown(task.output))
    first_frame, stretches = _stretches(probe(task.input), recipe)
    folder, frames = working_folder(task, note), stretches[-1].stop
    with files.disk_trouble(folder, "the frames cannot be kept"):
        files.make_folder(folder)
    told = []
    with progress(task.input.name, frames * images_of(recipe)) as advance:
        for stretch in stretches:
            one = _Stretch(folder, stretch, frames)
            if one.told is None:
                wanted = with_data(recipe, first_frame=first_frame + stretch.start, frames=len(stretch))
                one.repaint(wanted, prepare_data(wanted, workshop), painter, task.input, advance)
            else:
                advance(len(stretch) * images_of(recipe))
            assert one.told is not None
            told.append(one.told)
    _write(task, note, recipe, folder, frames, told)
    shutil.rmtree(folder)


def holds_frames_together(recipe: Recipe) -> bool:
    """Whether a loss of a recipe looks at what moves."""
    counting = [loss for loss in recipe.losses if loss.options.weight]
    return any("motion" in needs for loss in counting for needs in loss.component.needs.values())


def working_folder(task: Task, note: str) -> Path:
    """Where the frames of a film are until it is whole; for another recipe it is another one."""
    return task.output.parent / f".{task.output.stem}.{note[:16]}"


def figures_file(task: Task) -> Path:
    """Where the figures of a film are told."""
    return task.output.with_suffix(".json")


def refuse_other_figures(task: Task, note: Callable[[Task], str]) -> None:
    """See that what is told of a film would take the place of nothing.

    Raises:
        RecipeError: There is such a file, and it tells of another film.
    """
    try:
        told = json.loads(files.read(figures_file(task), _MOST_BYTES))
    except FileNotFoundError:
        return
    except (OSError, ValueError, RecursionError):
        told = None
    if not isinstance(told, dict) or told.get("note") != note(task):
        raise other_is_there(task, figures_file(task))


def _stretches(info: FilmInfo, recipe: Recipe) -> tuple[int, list[range]]:
    """The first frame that the recipe takes, and those from it on in stretches of about one length."""
    options: Any = recipe.data.options
    height, width = recipe.data.options.size
    most = max(2, FILM_PIXELS_AT_ONCE // (height * width))
    there = max(1, info.frames - options.first_frame)  # where there is none, the data set says so
    frames = min(options.frames or there, there)
    count = math.ceil(frames / most)
    edges = [frames * place // count for place in range(count + 1)]
    return options.first_frame, [range(*pair) for pair in pairwise(edges)]


class _Stretch:
    """Some frames of a film, which are repainted together, and their files.

    Args:
        folder: Where these are.
        frames: Which of the frames of the film.
        count: How many the film has.
    """

    def __init__(self, folder: Path, frames: range, count: int) -> None:
        self.folder, self.frames, self.count = folder, frames, count
        self.told = self._read()

    def repaint(
        self, recipe: Recipe, dataset: Dataset, painter: Painter, film: Path, advance: Callable[[int], object]
    ) -> None:
        """Repaint the frames, which are all of a data set, and keep them.

        Raises:
            DataError: There are fewer of them.
        """
        first, last = self.frames[0], self.frames[-1]
        if len(dataset) != len(self.frames):
            raise DataError(f"it breaks off after {first + len(dataset)} frames of {self.count}", place=shown(film))
        dataset, before = self._between_neighbours(dataset)
        repainting = dataset.repainting
        assert repainting is not None
        painted = painter.paint(recipe, dataset, f"{film.name}, frames {first + 1} to {last + 1}", advance)
        made = on_paper(finished(painted.canvas, repainting))
        for frame, picture in zip(self.frames, _arrays(made), strict=True):
            self._keep(f"{frame:06}.png", encode_png(picture))
        canvas = _arrays(to_uint8(painted.canvas))
        for edge in {0, last} & set(self.frames):
            self._keep(f"{edge:06}-content.png", encode_png(dataset.real[edge - first]))
            self._keep(f"{edge:06}-canvas.png", encode_png(canvas[edge - first]))
        if before is not None:  # the seam is looked at too
            made = torch.cat([_tensor(before).to(made), made])
        figures = painted.figures(made) if len(made) > 1 else {}
        self.told = _Told(figures, len(made) - 1, str(repainting.frames_per_second))
        self._keep(f"{first:06}.json", json.dumps(vars(self.told)).encode())

    def _between_neighbours(self, dataset: Dataset) -> tuple[Dataset, Picture | None]:
        """The data set beside the finished frames around it, and the one before it as it is in the film."""
        repainting, first = dataset.repainting, self.frames[0]
        assert repainting is not None
        if len(self.frames) == self.count:
            return dataset, None
        closes = repainting.loops and self.frames[-1] == self.count - 1
        repainting = replace(
            repainting,
            loops=False,
            before=self._neighbour(first - 1) if first else None,
            after=self._neighbour(0) if closes else None,
        )
        before = read(self.folder / f"{first - 1:06}.png") if first else None
        return replace(dataset, repainting=repainting), before

    def _neighbour(self, frame: int) -> Neighbour:
        """A finished frame as it was on the canvas: without colours that it got back later."""
        content, canvas = (read(self.folder / f"{frame:06}-{kind}.png") for kind in ("content", "canvas"))
        return Neighbour(content, canvas)

    def _read(self) -> _Told | None:
        """What was told of it, last of all, if it is done."""
        try:
            return _Told(**json.loads(files.read(self.folder / f"{self.frames[0]:06}.json", _MOST_BYTES)))
        except (FileNotFoundError, ValueError, TypeError, RecursionError):  # not there, or damaged: do it again
            return None

    def _keep(self, name: str, content: bytes) -> None:
        with files.disk_trouble(self.folder, "the frames cannot be kept"):
            files.replace(self.folder / name, content)


def _write(task: Task, note: str, recipe: Recipe, folder: Path, frames: int, told: Sequence[_Told]) -> None:
    """Write what is told of a film, then the film, of the frames in a folder."""
    pairs = max(1, sum(one.pairs for one in told))
    names = list(dict.fromkeys(name for one in told for name in one.figures))
    means = {name: sum(one.pairs * one.figures.get(name, 0.0) for one in told) / pairs for name in names}
    figures = {name: value if math.isfinite(value) else None for name, value in means.items()}
    about = {"recipe": recipe.name, "frames": frames, **figures, "note": note}
    with files.disk_trouble(task.output, "the film cannot be written"):
        files.replace(figures_file(task), json.dumps(about, indent=1).encode())
    size = read(folder / f"{0:06}.png").shape[:2]
    with FilmWriter(task.output, size, Fraction(told[0].frames_per_second), note=note) as film:
        for frame in range(frames):
            film.add(read(folder / f"{frame:06}.png"))


def _arrays(pictures: Tensor) -> NDArray[np.uint8]:
    """(N, 3, H, W) uint8 -> (N, H, W, 3)."""
    return np.ascontiguousarray(pictures.permute(0, 2, 3, 1).cpu().numpy())


def _tensor(picture: Picture) -> Tensor:
    """(H, W, 3) uint8 -> (1, 3, H, W)."""
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None]
