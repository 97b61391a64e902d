"""Films, rendered: what is lacking is made, by this process or by several, and every film appears when it is whole.

Nothing is lost by a kill: pieces that are done lie in a hidden folder, each with a record of what it holds, and the
same command goes on with those that are not. Several machines may work in one folder: `--shard I/N` gives each of them
a share of the pieces, which does not depend on what is done; the films are joined by whoever is told to.
"""

from __future__ import annotations

import functools
import json
import logging
import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from artgen import files
from artgen.data.dataset import Progress, Workshop
from artgen.errors import ArtgenError, DataError, PluginError, RecipeError, ResourceError, StoppedError
from artgen.film import note_in
from artgen.film.segments import join
from artgen.isolation import cause_of
from artgen.videos import file_name
from artgen.walk.jobs import Executor, Job, Outcome, Task, Tell
from artgen.walk.pipeline import Piece, render_pieces
from artgen.walk.studio import Film, Output, Studio

EARLIER = "earlier"
"""The folder, within that of the films, for what a table said before."""

log = logging.getLogger(__name__)


@dataclass
class Rendered:
    """What became of films.

    Args:
        paths: The files that are there, those that were before too.
        films: The films that were planned.
        faults: Film -> why it could not be made.
        lacking: Film -> pieces that are not there, of what was to be merged.
    """

    paths: list[Path] = field(default_factory=list)
    films: list[Film] = field(default_factory=list)
    faults: dict[str, ArtgenError] = field(default_factory=dict)
    lacking: dict[str, list[int]] = field(default_factory=dict)


def render_tasks(job: Job, tasks: Sequence[Task], tell: Tell) -> None:
    """Render pieces, those that are not done: the work of a `Job`, in the processes of an executor.

    Raises:
        ArtgenError: No piece can be made: files or a device are not what they were where the films were planned.
        ResourceError: Memory or disk is full.
    """
    studio, at_work = studio_of(job), dict[Piece, Task]()

    def pieces() -> Iterator[Piece]:
        for task in tasks:
            film, lacking = _planned(studio, task.film)
            if piece := film.piece(task.piece, lacking):
                at_work[piece] = task
                yield piece
            else:
                tell(Outcome(task))

    render_pieces(
        pieces(), studio.device, job.encoders, lambda count: None,
        lambda piece, fault: tell(Outcome(at_work.pop(piece), fault)),
    )  # fmt: skip


@functools.lru_cache(maxsize=1)
def studio_of(job: Job) -> Studio:
    """The studio of a job; one that was opened before is used again."""
    from artgen.device import choose_device
    from artgen.plugins import load_plugins, use_files
    from artgen.recipe import Device, load_films

    use_files(job.plugin_files)
    plugins, device = load_plugins(), choose_device(job.device)
    films = load_films(job.file, device=cast("Device", device.type), overrides=job.overrides, plugins=plugins)
    workshop = Workshop(files.cache_folder(), _quiet, 1)
    return Studio(films, Path(job.out), device, plugins, workshop, Path(job.run) if job.run else None)


def render(
    studio: Studio,
    encoders: int,
    progress: Progress,
    *,
    shard: tuple[int, int] | None = None,
    merge: bool = False,
    executor: tuple[Executor, Job] | None = None,
) -> Rendered:
    """Make all films of a studio, or a share of their pieces.

    Args:
        studio: Plans them.
        encoders: How many pieces are under way at once.
        progress: Shows one bar for all of them.
        shard: (I, N): only the I-th of N shares of the pieces, from 1; no film is joined.
        merge: Only join films whose pieces are there.
        executor: Has the pieces rendered elsewhere.

    Raises:
        RecipeError: Something else has the name of a film.
        ResourceError: Memory or disk is full.
    """
    _refuse_clashes(studio)
    rendered = Rendered()
    rendered.films = list(_plan_all(studio, rendered.faults))
    with _joiner() as joiner:
        batch = _Batch(rendered, joiner, shard)
        with progress(studio.films.name, batch.frames) as advance:
            if merge:
                batch.join_what_is_there()
            elif executor is not None:
                who, job = executor
                batch.have_made(who, replace(job, device=studio.device.type), advance)
            else:
                render_pieces(batch.pieces(advance), studio.device, encoders, advance, batch.made)
            batch.wait()
    outputs = [output.path for film in rendered.films for output in film.outputs]
    rendered.paths = [path for path in outputs if os.path.lexists(path)]
    return rendered


class _Batch:
    """Films that are rendered together: what is to be done, and what is left of each; whoever is whole is joined.

    Args:
        rendered: The films, and what becomes of them.
        joiner: Joins films.
        shard: The share of the pieces, if it is not all of them; then no film is joined.
    """

    def __init__(self, rendered: Rendered, joiner: ThreadPoolExecutor, shard: tuple[int, int] | None) -> None:
        self.rendered, self.joiner, self.joins = rendered, joiner, shard is None
        self.films = {film.name: film for film in rendered.films}
        self.lacking = {
            name: [output for output in film.outputs if not _is_made(film, output)] for name, film in self.films.items()
        }
        tasks = [Task(name, piece) for name, film in self.films.items() for piece in range(len(film.stretches))]
        if shard is not None:
            index, count = shard
            tasks = tasks[len(tasks) * (index - 1) // count : len(tasks) * index // count]
        self.tasks = [task for task in tasks if self.lacking[task.film]]
        self._left = Counter(task.film for task in self.tasks)
        self._joining: dict[str, Future[None]] = {}

    @property
    def frames(self) -> int:
        """How many frames the pieces have, those that are done too."""
        return sum(map(self._length, self.tasks))

    def pieces(self, advance: Callable[[int], object]) -> Iterator[Piece]:
        """The pieces that are to be made; of a film that has failed there are no more."""
        for task in self.tasks:
            if task.film in self.rendered.faults:
                continue
            if piece := self._undone(task):
                yield piece
            else:
                advance(self._length(task))
                self._finish(task.film)

    def made(self, piece: Piece, fault: ArtgenError | None) -> None:
        """Note what became of a piece."""
        self._finish(piece.film, fault)

    def have_made(self, executor: Executor, job: Job, advance: Callable[[int], object]) -> None:
        """Have the pieces made by other processes."""
        undone = [task for task in self.tasks if self._undone(task)]
        for task in set(self.tasks) - set(undone):
            advance(self._length(task))
            self._finish(task.film)
        with closing(executor.render(job, undone)) as outcomes:
            for task, fault in outcomes:
                if fault is None and self._undone(task):
                    fault = _not_here(task)
                if fault is None:
                    advance(self._length(task))
                self._finish(task.film, fault)

    def join_what_is_there(self) -> None:
        """Join films of which no piece is lacking, and make none."""
        for name, film in self.films.items():
            absent = [piece for piece in range(len(film.stretches)) if self._undone(Task(name, piece))]
            if absent:
                self.rendered.lacking[name] = absent
            elif self.lacking[name]:
                self._join(name)

    def wait(self) -> None:
        """Until all are joined.

        Raises:
            ResourceError: The disk is full.
        """
        for name, joined in self._joining.items():
            try:
                joined.result()
            except (ResourceError, StoppedError):
                raise
            except ArtgenError as fault:
                self.rendered.faults[name] = fault

    def _undone(self, task: Task) -> Piece | None:
        return self.films[task.film].piece(task.piece, self.lacking[task.film])

    def _length(self, task: Task) -> int:
        return len(self.films[task.film].stretches[task.piece])

    def _finish(self, film: str, fault: ArtgenError | None = None) -> None:
        """One piece less is left of a film, or it has failed."""
        if fault is not None:
            self.rendered.faults.setdefault(film, fault)
        self._left[film] -= 1
        if not self._left[film] and self.joins and film not in self.rendered.faults:
            self._join(film)

    def _join(self, film: str) -> None:
        self._joining[film] = self.joiner.submit(_join, self.films[film], self.lacking[film])


@contextmanager
def _joiner() -> Iterator[ThreadPoolExecutor]:
    """A thread that joins films; what it has not begun with when the block fails, it leaves."""
    with ThreadPoolExecutor(1, "join") as joiner:
        try:
            yield joiner
        except BaseException:
            joiner.shutdown(wait=False, cancel_futures=True)
            raise


def _not_here(task: Task) -> ArtgenError:
    """What to say where a process has done its piece, and the piece is not there."""
    return DataError(
        "it was made, and is not there as it would have been made here",
        place=str(task),
        remedy="All processes must see the same folders, and have the same kind of device, artgen, torch and plugins.",
    )


def _plan_all(studio: Studio, faults: dict[str, ArtgenError]) -> Iterator[Film]:
    """Plan every film that can be made."""
    for name, chosen in studio.named.items():
        try:
            yield studio.plan(name, chosen)
        except (ResourceError, StoppedError):
            raise
        except Exception as error:
            fault = error if isinstance(error, ArtgenError) else PluginError(cause_of(error))
            log.error("%s cannot be made: %s", name, fault)  # now, and not when the others are done
            faults[name] = fault


def _refuse_clashes(studio: Studio) -> None:
    """See that every file of every film is free, or was made by artgen of a table of this name.

    Raises:
        RecipeError: It is something else, or two films would have it.
    """
    taken: dict[Path, str] = {}
    for name, chosen in studio.named.items():
        for output in chosen.options.outputs:
            path = studio.out / file_name(name, output)
            first = taken.setdefault(path, name)
            if first != name:
                raise RecipeError(
                    f"the films {first} and {name} would both have this file",
                    place=str(path),
                    remedy="Rename one of the tables, or give one of the outputs a label.",
                )
            if os.path.lexists(path) and (told_in(path) or {}).get("film") != name:
                raise RecipeError(
                    f"it is there already, and is not a film that artgen made of [videos.{chosen.label}]",
                    place=str(path),
                    remedy="Choose another folder with --out, or rename the table.",
                )


@functools.lru_cache(maxsize=4)
def _planned(studio: Studio, name: str) -> tuple[Film, list[Output]]:
    """A film, and those of its files that are not made."""
    film = studio.plan(name, studio.named[name])
    return film, [output for output in film.outputs if not _is_made(film, output)]


def told_in(path: Path) -> dict[str, Any] | None:
    """What artgen has written into a film, or None if it is no film of its own."""
    try:
        told = json.loads(note_in(path))
    except (ValueError, RecursionError):
        return None
    if not isinstance(told, dict) or not isinstance(told.get("film"), str):
        return None
    return told if re.fullmatch("[0-9a-f]{64}", str(told.get("key"))) else None


def _is_made(film: Film, output: Output) -> bool:
    """Whether a file is there as it would be made."""
    told = told_in(output.path) if os.path.lexists(output.path) else None
    return told is not None and told["key"] == film.key(output)


def _join(film: Film, outputs: Sequence[Output]) -> None:
    """Join the pieces of a film to its files; what had their names steps aside; the pieces go."""
    for output in outputs:
        if _is_made(film, output):  # by another process, meanwhile
            continue
        segments = film.segments(output)
        if damaged := [segment.path for segment in segments if not segment.is_done()]:
            raise DataError(
                "it is not what was written there",
                place=str(damaged[0]),
                remedy="The same command makes it again.",
            )
        # It is joined among its pieces: what a kill leaves there goes with them.
        joined = film.folder / f"joined {output.path.name}"
        paths = [segment.path for segment in segments]
        join(paths, joined, output.encoding, film.frames, film.note(output), replace=True)
        with files.disk_trouble(output.path, "the film cannot be written"):
            _set_aside(output.path)
            files.move(joined, output.path)
    shutil.rmtree(film.folder, ignore_errors=True)


def _set_aside(path: Path) -> None:
    """Move the film that an earlier table gave to the folder `earlier`, under a name that nothing has."""
    if not os.path.lexists(path):
        return
    told = told_in(path)
    key = str(told["key"])[:8] if told else "other"
    folder = path.parent / EARLIER
    files.make_folder(folder)
    target = folder / f"{path.stem}-{key}{path.suffix}"
    while os.path.lexists(target):
        target = target.with_stem(f"{target.stem}+")
    path.rename(target)
    log.warning("%s was made otherwise before: that film is now %s", path.name, target)


def _quiet(title: str, total: int) -> Any:
    return nullcontext(cast("Callable[[int], Any]", lambda count: None))
