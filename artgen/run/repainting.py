"""A recipe that optimises pictures, on many of them: files, folders and films, in each style that is asked for.

Nothing is trained before, so the recipe is enough. Pictures that come out in one shape are repainted together, a few at
a time, with one set of targets. A long film is repainted in stretches: each begins beside the last frame of the one
before it. What is done is told by its file, which carries a digest of all that it follows from.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from artgen import files
from artgen.components import DataOptions
from artgen.data.dataset import Dataset, Neighbour, StylePicture, Workshop
from artgen.data.images import ENDINGS, Format, decode, encode, encode_png, note_in, read, shown, sniff
from artgen.device import Precision, mixed
from artgen.errors import DataError, DivergedError, RecipeError
from artgen.film import FilmWriter, probe
from artgen.film import note_in as note_in_film
from artgen.plugins import Plugins
from artgen.recipe import Chosen, Recipe
from artgen.run.build import build, fitted, prepare_data
from artgen.run.evaluate import evaluate, pairs_for
from artgen.run.finishing import arrays, finished, on_paper
from artgen.run.loop import train
from artgen.run.trial import measure
from artgen.run.upkeep import REFUSALS_BORNE
from artgen.training import Clock

PIXELS_AT_ONCE = 1 << 20
"""Pictures are repainted together up to so many pixels."""
FILM_PIXELS_AT_ONCE = 1 << 23
"""Frames likewise: what moves through more of them at once flickers less."""
_FILM = "film"
"""The data component that reads films."""
_CONTENT = "content"
"""What the option of a data set is called that names what is repainted."""

log = logging.getLogger(__name__)

Show = Callable[[str, int], AbstractContextManager[Callable[[int], object]]]
"""Opens a progress line with a title, for so many steps."""


@dataclass(frozen=True)
class Work:
    """A picture or a film to be repainted, and where it goes. Without a style it takes those of the recipe."""

    input: Path
    style: Path | None
    output: Path

    @property
    def is_film(self) -> bool:
        return self.output.suffix == ".mp4"


def works_for(contents: Sequence[tuple[Path, str]], styles: Sequence[Path], out: Path, form: Format) -> list[Work]:
    """Every content in every style: `out/NAME.png`, or `out/STYLE/NAME.png` where styles are named.

    Args:
        contents: Files, each with the name that it has in the folder that was given.
        styles: Picture files.
        out: Folder for what is made.
        form: How pictures are kept.

    Raises:
        RecipeError: Two would give one file.
    """
    found: dict[Path, Work] = {}
    for style in styles if styles else [None]:
        folder = out / style.stem if style else out
        for content, name in contents:
            output = folder / Path(name).with_suffix(".mp4" if _is_film(content) else ENDINGS[form])
            work = Work(content, style, output)
            if (first := found.setdefault(output, work)) is not work:
                raise RecipeError(
                    f"{shown(first.input)} and {shown(content)} would both give it",
                    place=shown(output),
                    remedy="Rename one of them, or repaint them into two folders.",
                )
    return list(found.values())


class Repainter:
    """Repaints by a recipe whose generator takes nothing.

    Args:
        recipe: Checked and complete.
        plugins: Those that it was checked with.
        device: Where to compute.
        precision: What to compute in.
        workshop: Prepares pictures.
        show: Shows how far it is.

    Raises:
        RecipeError: The recipe does not repaint.
    """

    def __init__(
        self,
        recipe: Recipe,
        plugins: Plugins,
        device: torch.device,
        precision: Precision,
        workshop: Workshop,
        show: Show,
    ) -> None:
        if _CONTENT not in type(recipe.data.options).model_fields:
            raise RecipeError(
                f"it learns from pictures (data.{recipe.data.label}), and repaints none",
                place=recipe.name,
                remedy="Name the folder of a run that was trained with it, or a recipe of style transfer.",
            )
        self.recipe, self.plugins, self.workshop = recipe, plugins, workshop
        self.device, self.precision, self.show = device, precision, show
        self._pieces: dict[tuple[int, ...], tuple[int, ...]] = {}

    def is_done(self, work: Work) -> bool:
        """Whether its output is there already, made of the same files in the same way.

        Raises:
            RecipeError: Something else is there.
            DataError: Something is there, but the content cannot be read.
        """
        if not work.output.exists():
            return False
        there = note_in_film(work.output) if work.is_film else note_in(work.output)
        if there != self._note(work):
            raise RecipeError(
                f"it is there already, and is not what this command makes of {shown(work.input)}",
                place=shown(work.output),
                remedy="Choose another folder with --out.",
            )
        return True

    def groups(self, works: Sequence[Work]) -> Iterator[list[Work]]:
        """Works that are done together: pictures of one style and shape, up to `PIXELS_AT_ONCE`; a film by itself."""
        height, width = self.recipe.data.options.size
        at_once = max(1, PIXELS_AT_ONCE // (height * width))
        waiting: dict[tuple[Any, ...], list[Work]] = {}
        for work in works:
            if work.is_film:
                yield [work]
                continue
            key = (work.style, _proportions(work.input))
            group = waiting.setdefault(key, [])
            group.append(work)
            if len(group) == at_once:
                yield waiting.pop(key)
        yield from waiting.values()

    def repaint(self, group: Sequence[Work]) -> None:
        """Repaint a group, and write what it comes to.

        Raises:
            DataError: A file cannot be read.
            DivergedError: Too many gradients were not finite.
            ResourceError: An output cannot be written, or nothing fits into memory.
        """
        if group[0].is_film:
            self._repaint_film(group[0])
            return
        recipes = [self._recipe_for(work, content=str(work.input)) for work in group]
        datasets = [prepare_data(recipe, self.workshop) for recipe in recipes]
        if not _have_one_style(datasets):  # styles may be recoloured like each content
            for work in group:
                self.repaint([work])
            return
        title = group[0].input.name if len(group) == 1 else f"{len(group)} pictures"
        made, _ = self._made(recipes[0], _together(datasets), title)
        for work, picture in zip(group, arrays(made), strict=True):
            _write(work.output, encode(picture, self.recipe.run.pictures, self._note(work)))

    def _repaint_film(self, work: Work) -> None:
        """Repaint stretch after stretch into frames beside the output; then make the film of them."""
        recipe = self._recipe_for(work, content=str(work.input))
        if not any("motion" in needs for loss in recipe.losses for needs in loss.component.needs.values()):
            log.warning("%s: no loss holds frames together, so the film will flicker: add one", recipe.name)
        info, note = probe(work.input), self._note(work)
        folder = work.output.parent / f".{work.output.stem}.{note[:16]}"  # of another recipe, another one
        files.make_folder(folder)
        height, width = recipe.data.options.size
        at_once = max(2, FILM_PIXELS_AT_ONCE // (height * width))
        starts = range(0, info.frames, at_once)
        figures: list[tuple[int, dict[str, float]]] = []
        first: Neighbour | None = None
        before: Neighbour | None = None
        frames_per_second = info.frames_per_second
        for start in starts:
            names = [folder / f"{frame:06}.png" for frame in range(start, min(info.frames, start + at_once))]
            told = folder / f"{start:06}.json"
            options = {"first_frame": start, "frames": len(names)}
            dataset = prepare_data(_with_data(recipe, **options), self.workshop)
            repainting = dataset.repainting
            assert repainting is not None
            frames_per_second = repainting.frames_per_second or frames_per_second
            if len(starts) > 1:
                after = first if repainting.loops and start == starts[-1] else None
                repainting = replace(repainting, loops=False, before=before, after=after)
                dataset = replace(dataset, repainting=repainting)
            if not (told.exists() and all(name.exists() for name in names)):
                made, figure = self._made(recipe, dataset, f"{work.input.name}, frame {start + 1}")
                for name, frame in zip(names, on_paper(made).permute(0, 2, 3, 1).cpu().numpy(), strict=True):
                    files.replace(name, encode_png(frame))
                files.replace(told, json.dumps(figure).encode())
            figures.append((len(names), json.loads(told.read_bytes())))
            first = first or Neighbour(dataset.real[0], read(names[0]))
            before = Neighbour(dataset.real[-1], read(names[-1]))
        self._write_film(work, folder, info.frames, frames_per_second, figures)

    def _made(self, recipe: Recipe, dataset: Dataset, title: str) -> tuple[Tensor, dict[str, float]]:
        """Finished pictures (N, 3 or 4, H, W) in [-1, 1] of a data set, and the recipe's figures for them."""
        recipe = fitted(recipe, dataset)
        shape = dataset.real.shape
        if shape not in self._pieces:  # pictures of another shape need other memory
            self._pieces[shape] = measure(recipe, dataset, self.device, self.precision).pieces
        job = build(recipe, dataset, self.device, self.precision, self._pieces[shape])
        with self.show(title, job.total_images) as advance:
            train(job, None, _Progress(advance), lambda: False)
        refused = int(job.update.refused)
        if refused > REFUSALS_BORNE:
            raise DivergedError(
                f"{refused} updates had gradients that are not finite numbers",
                place=title,
                remedy="Lower the learning rate, or compute in fp32 (--set 'run.precision=\"fp32\"').",
            )
        assert dataset.repainting is not None
        with mixed(self.device, self.precision):
            made = finished(job.average.network, dataset.repainting)
        size = job.phases[-1].size
        pairs = pairs_for(recipe, job.generator, job.feed, len(made), size)
        figures, _ = evaluate(recipe, on_paper(made), job.feed.all_real(size), job.features, pairs)
        return made, figures

    def _write_film(
        self,
        work: Work,
        folder: Path,
        frames: int,
        frames_per_second: Fraction,
        figures: Sequence[tuple[int, dict[str, float]]],
    ) -> None:
        """Make the film of the frames in a folder, write its figures beside it, and delete the folder."""
        first = read(folder / f"{0:06}.png")
        with FilmWriter(work.output, first.shape[:2], frames_per_second, note=self._note(work)) as film:
            for frame in range(frames):
                film.add(read(folder / f"{frame:06}.png"))
        told = {
            name: sum(count * each[name] for count, each in figures) / frames for name in figures[0][1]
        } | {"frames": frames, "recipe": self.recipe.name}  # fmt: skip
        files.replace(work.output.with_suffix(".json"), json.dumps(told, indent=1).encode())
        shutil.rmtree(folder)

    def _recipe_for(self, work: Work, **data: Any) -> Recipe:
        """The recipe with the content and the style of a work."""
        recipe = self.recipe
        if work.is_film and "frames" not in type(recipe.data.options).model_fields:
            component = self.plugins.component("data", _FILM)
            shared = {
                name: value
                for name, value in recipe.data.options
                if name in component.options.model_fields and name != _CONTENT
            }
            options = component.options.model_construct(**shared)
            recipe = replace(recipe, data=Chosen(_FILM, _FILM, component, cast(DataOptions, options)))
        if work.style is not None:
            data["style"] = str(work.style)
        return _with_data(recipe, **data)

    def _note(self, work: Work) -> str:
        """What an output is kept with: a digest of all that it follows from."""
        blank = {"content": ""} | ({} if work.style is None else {"style": ""})
        recipe = _with_data(self.recipe, **blank)
        told = [recipe.fingerprint, recipe.run.pictures, self.precision, self.device.type]
        told += [_digest(path) for path in (work.input, work.style) if path is not None]
        told += [_digest(path) for path in _files_in(recipe.data.table())]
        return hashlib.sha256(" ".join(told).encode()).hexdigest()


class _Progress:
    """Brings the progress line up to date after every step."""

    def __init__(self, advance: Callable[[int], object]) -> None:
        self.advance = advance

    def at_phase(self, clock: Clock) -> None:
        pass

    def after_step(self, before: Clock, clock: Clock, scalars: dict[str, Tensor]) -> None:
        self.advance(clock.images - before.images)


def _with_data(recipe: Recipe, **values: Any) -> Recipe:
    """A recipe whose data has other values."""
    options = recipe.data.options
    return replace(recipe, data=replace(recipe.data, options=type(options).model_validate(dict(options) | values)))


def _have_one_style(datasets: Sequence[Dataset]) -> bool:
    """Whether contents that are to be repainted want the very same styles, and have one shape."""
    first = datasets[0]
    assert first.repainting is not None
    for dataset in datasets[1:]:
        assert dataset.repainting is not None
        pairs = zip(first.repainting.styles, dataset.repainting.styles, strict=True)
        if first.real.shape != dataset.real.shape or not all(_are_one(ours, theirs) for ours, theirs in pairs):
            return False
    return True


def _are_one(one: StylePicture, other: StylePicture) -> bool:
    return all(
        a is b or (a is not None and b is not None and np.array_equal(a, b))
        for a, b in zip(vars(one).values(), vars(other).values(), strict=True)
    )


def _together(datasets: Sequence[Dataset]) -> Dataset:
    """Contents of one shape and style, which were prepared one by one, as one data set."""
    first = datasets[0]
    assert first.repainting is not None
    if len(datasets) == 1:
        return first
    repaintings = [dataset.repainting for dataset in datasets if dataset.repainting is not None]

    def finish(made: Tensor, place: int) -> Tensor:
        finished = [
            picture if each.finish is None else each.finish(picture, 0)
            for picture, each in zip(torch.split(made, 1), repaintings[place:], strict=False)
        ]
        channels = max(picture.shape[1] for picture in finished)  # some may tell how opaque they are
        return torch.cat([torch.nn.functional.pad(picture, (0, 0) * 2 + (0, channels - picture.shape[1]), value=1.0)
                          for picture in finished])  # fmt: skip

    names = tuple(name for each in repaintings for name in each.names)
    together = replace(first.repainting, names=names, finish=finish)
    return replace(first, real=np.concatenate([dataset.real for dataset in datasets]), repainting=together)


def _is_film(path: Path) -> bool:
    """Whether a file is no picture; if it is no film either, reading it says so."""
    with path.open("rb") as file:
        return sniff(file.read(64)) is None


def _write(output: Path, content: bytes) -> None:
    with files.disk_trouble(output, "the picture cannot be written"):
        files.make_folder(output.parent)
        with files.replacing(output) as temporary:
            files.create(temporary, content)


def _proportions(path: Path) -> float:
    """Width over height of a picture file; pictures that cannot be read are of one kind, and told later."""
    try:
        _, header = decode(path, (8, 8))
    except DataError:
        return 0.0
    return round(header.width / header.height, 6)


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(error.strerror or str(error), place=shown(path)) from error


def _files_in(table: Any) -> Iterator[Path]:
    """The files that the values of a table name."""
    if isinstance(table, dict):
        table = list(table.values())
    if isinstance(table, list | tuple):
        for value in table:
            yield from _files_in(value)
    elif isinstance(table, str) and os.path.isfile(table):  # noqa: PTH113  # False also for a name that no file can have
        yield Path(table)
