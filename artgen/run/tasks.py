"""What a user names, files and folders of them, and where that goes which is made of each."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from artgen import files, film
from artgen.data import images
from artgen.data.images import ENDINGS, Format, shown, sniff
from artgen.data.scan import look_through
from artgen.errors import DataError, RecipeError
from artgen.film.reading import format_of

FILM_ENDING = ".mp4"

log = logging.getLogger(__name__)


class Task(NamedTuple):
    """A picture or a film, the file for what is made of it, and the style that it is to have, if one is named."""

    input: Path
    output: Path
    style: Path | None = None

    @property
    def is_film(self) -> bool:
        return self.output.suffix == FILM_ENDING


def tasks_for(inputs: Sequence[Path], out: Path, styles: Sequence[Path] = (), form: Format = "png") -> list[Task]:
    """A task for each picture file, each film and each picture in a folder and those below it, in each style.

    Of a folder the relative names are kept: `a/b.jpg` -> `out/a/b.png`; of a style its own: `out/STYLE/a/b.png`. A
    folder `out` within a folder is left out. An animated GIF is a picture.

    Args:
        inputs: Pictures, films and folders.
        out: Folder for what is made.
        styles: Pictures and folders.
        form: How pictures are kept.

    Raises:
        RecipeError: An input is not there, two would give one file, or `out` is one of the folders.
        DataError: A folder cannot be read, or holds no pictures.
    """
    named = [
        (path, Path(name).with_suffix(FILM_ENDING if _is_film(path) else ENDINGS[form]))
        for path, name in _files_of(inputs, out)
    ]
    folders: list[tuple[Path | None, Path]] = [
        (path, out / Path(name).with_suffix("")) for path, name in _files_of(styles, out)
    ]
    tasks: dict[Path, Task] = {}
    for style, folder in folders or [(None, out)]:
        for path, name in named:
            task = Task(path, folder / name, style)
            first = tasks.setdefault(task.output, task)
            if not _are_one(first.input, path) or not _are_one(first.style, style):
                raise RecipeError(
                    f"{_shown(first)} and {_shown(task)} would both give it",
                    place=shown(task.output),
                    remedy="Rename one of them, or give them two folders with --out.",
                )
    return list(tasks.values())


def is_made(task: Task, note: Callable[[Task], str]) -> bool:
    """Whether the output of a task is there, with the note of that task in it.

    Raises:
        RecipeError: Something else is there.
        DataError: Something is there, but a file cannot be read that the note follows from.
    """
    if not os.path.lexists(task.output):
        return False
    found = film.note_in(task.output) if task.is_film else images.note_in(task.output)
    if found != note(task):
        raise other_is_there(task, task.output)
    return True


def other_is_there(task: Task, path: Path) -> RecipeError:
    """What to raise where a file of a task would take the place of something else."""
    return RecipeError(
        f"it is there already, and is not what this command makes of {_shown(task)}",
        place=shown(path),
        remedy="Choose another folder with --out.",
    )


def digest_of(path: Path) -> str:
    """The SHA-256 of a file.

    Raises:
        DataError: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(error.strerror or str(error), place=shown(path)) from error


def write_picture(task: Task, content: bytes) -> None:
    """Write the file of a picture, whole or not at all.

    Raises:
        ResourceError: The disk refuses.
    """
    with files.disk_trouble(task.output, "the picture cannot be written"):
        files.make_folder(task.output.parent)
        with files.replacing(task.output) as temporary:
            files.create(temporary, content)


def _files_of(inputs: Sequence[Path], out: Path) -> Iterator[tuple[Path, str]]:
    """Files, and the pictures in folders, each with the name that it has in the folder that was given."""
    for path in inputs:
        if not os.path.exists(path):  # noqa: PTH110  # False also for a name that no file can have
            raise RecipeError("there is no such picture or folder", place=shown(path))
        if not path.is_dir():
            yield path, path.name
            continue
        root, target = path.resolve(), out.resolve()
        if root == target:
            raise RecipeError(
                "the pictures are in the very folder that the new ones would go to",
                place=shown(path),
                remedy="Choose another folder with --out.",
            )
        made_here = f"{target.relative_to(root).as_posix()}/" if target.is_relative_to(root) else None
        scan = look_through(str(path))
        for skipped in scan.passed_over:
            log.warning("%s/%s: %s", shown(path), skipped.name, skipped.reason)
        found = [file for file in scan.found if made_here is None or not file.name.startswith(made_here)]
        if not found:
            raise DataError(
                "there are no pictures in this folder",
                place=shown(path),
                remedy="It may hold JPEG, PNG, WebP, GIF, BMP and TIFF files, also in folders below it.",
            )
        for file in found:
            yield Path(file.path), file.name


def _is_film(path: Path) -> bool:
    """Whether a file begins like a film, not like a picture. What is neither is told when it is read as a picture."""
    try:
        if not path.is_file():  # a pipe would wait for its writer for ever
            return False
        with path.open("rb") as file:
            start = file.read(64)
    except OSError:
        return False
    return sniff(start) is None and format_of(start) is not None


def _are_one(path: Path | None, other: Path | None) -> bool:
    return path == other or (path is not None and other is not None and path.samefile(other))


def _shown(task: Task) -> str:
    return shown(task.input) if task.style is None else f"{shown(task.input)} in the style of {shown(task.style)}"
