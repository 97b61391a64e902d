"""Films as they are asked for -> films as they will be made: which run, which frames when, which files, which pieces.

Whatever a piece depends on goes into its key: the bytes of the checkpoint, the code of the plugins, versions, device,
the walk and where it is in each frame, sizes, the encoder and its settings. So an old piece is used again where nothing
of that has changed, and nowhere else.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import artgen
from artgen import files
from artgen.data.dataset import Workshop
from artgen.data.images import MAX_PIXELS
from artgen.device import describe_device, to_device
from artgen.errors import RecipeError
from artgen.film.encoding import Encoding, choose_encoding
from artgen.plugins import Plugins
from artgen.recipe import Chosen, Films
from artgen.rng import drawing
from artgen.run import checkpoint
from artgen.run.description import plugin_entries
from artgen.run.making import make
from artgen.run.opening import OpenRun, open_run
from artgen.run.pictures import given_for
from artgen.run.record import RunFolder
from artgen.run.tasks import digest_of
from artgen.training import Features, Size
from artgen.videos import OutputOptions, VideoOptions, as_output, file_name
from artgen.walk.latents import Walk
from artgen.walk.pipeline import Piece, Segment, in_order
from artgen.walk.shots import LearningShot, Maker, PreviewShot, Shot, WalkShot, resized
from artgen.walk.speed import Pace, even_pace
from artgen.walk.timing import Timetable

SEGMENT_FRAMES = 64
"""Of a piece of a film: a power of 2, so that it is a whole number of batches."""
WORK = ".films"
"""The folder of what is under way, within that of the films."""
PACES = ".paces"
"""The folder, within that one, of what was seen of walks: the same film asks for it again."""
LOOK_PX = 128
"""Longer side of the pictures by which a walk is timed, at most."""

_ABOUT_TIME = {"run", "checkpoint_images", "seconds", "fps", "speed", "easing", "outputs", "copies", "keyframes"}
"""What of a film's table its frames depend on only by where the walk is in each of them, or not at all."""
_PACE_BYTES = 1 << 26
_LOOKED_AT_FPS = 30
"""By so many frames a second a walk is looked at, at most: a preview of fewer is timed like the film."""


@dataclass(frozen=True, eq=False)
class Output:
    """One file of a film.

    Args:
        options: What is asked for.
        path: The file, or the folder of PNG files.
        encoding: How it will be made.
    """

    options: OutputOptions
    path: Path
    encoding: Encoding


@dataclass(frozen=True, eq=False)
class Film:
    """A film that is to be made.

    Args:
        name: That of its table, with a number where there are several copies.
        chosen: Its table.
        folder: Where its pieces are.
        shot: Opens what is seen.
        size: Of a frame, in pixels.
        frames: How many.
        facts: What all of its frames depend on.
        positions: Where the walk is in each frame.
        pace: How even the walk is, where that was measured.
        outputs: The files.
        told: What is written into each of them, but for the key.
    """

    name: str
    chosen: Chosen[VideoOptions]
    folder: Path
    shot: Any
    size: Size
    frames: int
    facts: dict[str, Any]
    positions: NDArray[np.float64]
    pace: Pace | None
    outputs: tuple[Output, ...]
    told: dict[str, Any] = field(default_factory=dict)

    @property
    def stretches(self) -> list[range]:
        """The frames of its pieces."""
        return [
            range(start, min(start + SEGMENT_FRAMES, self.frames)) for start in range(0, self.frames, SEGMENT_FRAMES)
        ]

    def segments(self, output: Output) -> list[Segment]:
        """The pieces of one file."""
        return self._segments[output.path]

    @functools.cached_property
    def _segments(self) -> dict[Path, list[Segment]]:
        return {output.path: self._segments_of(output) for output in self.outputs}

    def _segments_of(self, output: Output) -> list[Segment]:
        made = []
        for index, stretch in enumerate(self.stretches):
            at = [value.hex() for value in self.positions[stretch.start : stretch.stop].tolist()]
            key = digest([self.facts, at, output.encoding.depends_on])
            path = self.folder / f"{output.path.name}-{index:05}-{key[:16]}.mov"
            made.append(Segment(path, key, len(stretch), output.encoding))
        return made

    def key(self, output: Output) -> str:
        """The hash of all that a file depends on."""
        return digest([segment.key for segment in self.segments(output)])

    def note(self, output: Output) -> str:
        """What is written into a file: from it the same one can be made again."""
        table = self.told["videos"] | {"outputs": [output.options.model_dump(mode="json", exclude_none=True)]}
        about = {"videos": table, "encoder": output.encoding.encoder, "key": self.key(output)}
        return json.dumps(self.told | about, ensure_ascii=False)

    def piece(self, index: int, outputs: Sequence[Output]) -> Piece | None:
        """A piece, with the segments of these files that are not done; None where all are."""
        segments = [self.segments(output)[index] for output in outputs]
        lacking = [segment for segment in segments if not segment.is_done()]
        return Piece(self.name, self.shot, self.stretches[index], lacking) if lacking else None


def digest(value: Any) -> str:
    """SHA-256 of a JSON value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def digest_of_checkpoint(run: Path, options: VideoOptions) -> str | None:
    """What tells the checkpoint from any other that a film with a fixed one is made with; None if it is not there."""
    for path in checkpoint.committed(RunFolder.read(run).checkpoints):
        if checkpoint.images_of(path) == options.checkpoint_images:
            return digest(checkpoint.digests(path))
    return None


class Studio:
    """Plans films.

    Args:
        films: What is asked for.
        out: The folder for them.
        device: Where pictures are made.
        plugins: Where components are looked up.
        workshop: For runs whose generator needs pictures; its progress shows the look at a walk.
        run: The run of films whose table names none.
    """

    def __init__(
        self,
        films: Films,
        out: Path,
        device: torch.device,
        plugins: Plugins,
        workshop: Workshop,
        run: Path | None = None,
    ) -> None:
        self.films, self.out, self.device, self.plugins, self.workshop, self.run = (
            films, out, device, plugins, workshop, run,
        )  # fmt: skip
        self._opened = functools.lru_cache(maxsize=2)(self._open)

    @functools.cached_property
    def named(self) -> dict[str, Chosen[VideoOptions]]:
        """Each film by its name: of a table with copies there are several.

        Raises:
            RecipeError: Two would have one name.
        """
        named: dict[str, Chosen[VideoOptions]] = {}
        for chosen in self.films.videos:
            count = chosen.options.copies
            for copy in range(count):
                options = chosen.options.model_copy(update={"seed": chosen.options.seed + copy, "copies": 1})
                name = f"{chosen.label}-{copy + 1:0{max(3, len(str(count)))}}" if count > 1 else chosen.label
                if name in named:
                    raise RecipeError("two films would have this name", place=name, remedy="Rename one of the tables.")
                named[name] = replace(chosen, options=options)
        return named

    def plan(self, name: str, chosen: Chosen[VideoOptions]) -> Film:
        """All that is needed to make a film; a walk is looked at, once, to be timed by what is seen.

        Raises:
            ArtgenError: It cannot be made.
        """
        options, folder = chosen.options, self.out / WORK / name
        run = Path(options.run) if options.run else self.run
        if run is None:
            raise RecipeError(
                "it names no run whose pictures it shows",
                place=f"videos.{chosen.label}",
                remedy='Name one for all such films by --run DIR, or write run = "DIR" into the table.',
            )
        told = {
            "artgen": artgen.__version__,
            "film": name,
            "run": os.path.relpath(run.resolve(), self.films.file.resolve().parent),
            "videos": chosen.table() | {"run": ""},
            "features": self._table(self.films.features),
        }
        pace: Pace | None = None
        if options.shows == "previews":
            sheets = sorted(RunFolder.read(run).path.glob("samples/images-*.png"))
            shot = PreviewShot(sheets, options, options.frames)
            size, positions = shot.size, np.arange(options.frames) / options.frames
            opener: Any = functools.partial(PreviewShot, sheets, options, options.frames)
            facts: dict[str, Any] = {
                "versions": {"artgen": artgen.__version__, "torch": torch.__version__},
                "sheets": [digest_of(sheet) for sheet in sheets],
                "size": list(size),
                "enlarge": options.enlarge,
            }
        else:
            opened = self._opened(run, options.checkpoint_images)
            walk, maker = self._walk(opened, chosen), _maker(opened, options)
            facts = self._facts(opened, chosen, maker)
            if options.shows == "checkpoints":
                positions = Timetable(walk, options).positions()
                saved = checkpoint.committed(opened.folder.checkpoints)
                images = sorted({checkpoint.images_of(path) for path in saved})
                opener = functools.partial(self._learning, run, images, options, walk, positions)
                size = opener().size
                facts["checkpoints"] = [checkpoint.digests(path) for path in saved]
            else:
                pace = self._pace(opened, walk, chosen, facts) if options.speed == "perceptual" else None
                positions = Timetable(walk, options, pace).positions()
                # By its number: where a run goes on, the newest one is another by the time that a piece is made.
                opener = functools.partial(self._walking, run, opened.clock.images, options, walk, positions)
                size = maker.frame
            told |= {
                "recipe": {
                    name: table for name, table in opened.recipe.tables().items() if name not in ("videos", "executor")
                },
                "checkpoint": {"images": opened.clock.images, "sha256": digest(facts["checkpoint"])},
                "versions": facts["versions"],
                "pace": None if pace is None else {"before": pace.ratio_before, "after": pace.ratio_after},
            }
        return Film(
            name=name,
            chosen=chosen,
            folder=folder,
            shot=opener,
            size=size,
            frames=options.frames,
            facts=facts,
            positions=positions,
            pace=pace,
            outputs=tuple(self._outputs(name, options, size)),
            told=told,
        )

    def _outputs(self, name: str, options: VideoOptions, size: Size) -> Iterator[Output]:
        if size.height * size.width > MAX_PIXELS:
            raise RecipeError(
                f"frames of {size} px; the limit is {MAX_PIXELS:,} pixels in all",
                place=f"videos.{name}",
                remedy="Lower side_px, or make the grid smaller.",
            )
        for output in map(as_output, options.outputs):
            encoding = choose_encoding(output, size, options.frames_per_second)
            yield Output(output, self.out / file_name(name, output), encoding)

    def _open(self, run: Path, images: int) -> OpenRun:
        return open_run(run, self.device, self.plugins, self.workshop, images)

    def _walk(self, opened: OpenRun, chosen: Chosen[VideoOptions]) -> Walk:
        """From positions to the latents of a film."""
        generator = opened.average
        space = generator.latent
        if generator.takes != "latent" or space is None:
            raise RecipeError(
                f"its generator takes {generator.takes}, and a walk needs one that takes latents",
                place=str(opened.folder.path),
                remedy="Choose the run of a GAN that makes pictures out of nothing else.",
            )

        def draw(count: int, seed: int) -> torch.Tensor:
            drawn = given_for(generator, count, seed, "sample", torch.device("cpu"), None, opened.size)
            assert drawn is not None
            return drawn

        return Walk(chosen.options, make(chosen.component, chosen.options), space, draw)

    def _facts(self, opened: OpenRun, chosen: Chosen[VideoOptions], maker: Maker) -> dict[str, Any]:
        """What all frames of a film depend on."""
        options = chosen.options
        used = {self.plugins.owner(one).name for one in (chosen.component, opened.recipe.generator.component)}
        entries = {name: entry for name, entry in plugin_entries(self.plugins).items() if name in used}
        machine = describe_device(self.device)
        keyframes: Any = options.keyframes
        if not isinstance(keyframes, int):
            keyframes = [[key.seed, key.index, digest_of(Path(key.file)) if key.file else None] for key in keyframes]
        listed = checkpoint.digests(opened.checkpoint)
        return {
            "versions": {"artgen": artgen.__version__, "torch": machine["torch"]},
            "device": [machine["device"], machine.get("gpu", ""), opened.precision],
            "plugins": {
                name: [entry.get(key) for key in ("version", "code", "file")] for name, entry in entries.items()
            },
            "checkpoint": listed,
            "generator": opened.recipe.generator.table(),
            "path": chosen.use,
            "walk": options.model_dump(mode="json", exclude=_ABOUT_TIME),
            "keyframes": keyframes,
            "batch": [maker.batch, maker.batch_frames],
            "size": list(maker.frame),
        }

    def _pace(self, opened: OpenRun, walk: Walk, chosen: Chosen[VideoOptions], facts: dict[str, Any]) -> Pace:
        """How fast the pictures of a walk change: measured once, and kept, so that every machine has the same.

        It depends neither on the rate of the film nor on its size.
        """
        options = chosen.options.model_copy(update={"side_px": 0, "fps": _LOOKED_AT_FPS})
        seen = {name: value for name, value in facts.items() if name not in ("size", "batch", "walk")}
        asked = options.model_dump(mode="json", exclude={"run", "fps", "outputs", "copies", "enlarge"})
        key = digest([seen, asked, self._table(self.films.features)])
        file = self.out / WORK / PACES / f"{key[:32]}.json"
        try:
            return Pace.from_json(json.loads(files.read(file, _PACE_BYTES)))
        except FileNotFoundError:
            damaged = False
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            damaged = True
        maker = _maker(opened, options)
        factor = min(1.0, LOOK_PX / max(maker.frame))
        size = Size(*(round(side * factor) for side in maker.frame))

        def look_at(positions: NDArray[np.float64], start: int) -> torch.Tensor:
            at = torch.from_numpy(positions[start : start + maker.batch_frames])
            return resized(maker.frames(walk.latents(at)), size, "smooth")

        def look(positions: NDArray[np.float64]) -> Iterator[torch.Tensor]:
            with self.workshop.progress(f"a look at {chosen.label}", len(positions)) as advance:
                starts = range(0, len(positions), maker.batch_frames)
                for made in in_order(functools.partial(look_at, positions), starts, self.device, self.workshop.workers):
                    yield made
                    advance(len(made))

        pace = even_pace(look, walk, options, self._features())
        with files.disk_trouble(file, "what was seen of a walk cannot be kept"):
            files.make_folder(file.parent)
            with suppress(FileExistsError), files.replacing(file, new=not damaged) as temporary:
                temporary.write_bytes(json.dumps(pace.to_json()).encode())
            # Another process may have been quicker, and all are to have the same.
            return Pace.from_json(json.loads(files.read(file, _PACE_BYTES)))

    @functools.cache  # noqa: B019  # one studio a process
    def _features(self) -> Features | None:
        chosen = self.films.features
        if chosen is None:
            return None
        with drawing(0, "weights of the features"):
            features: Features = make(chosen.component, chosen.options)
        to_device(features.eval().requires_grad_(False), self.device)
        return features

    def _walking(
        self, run: Path, images: int, options: VideoOptions, walk: Walk, positions: NDArray[np.float64]
    ) -> Shot:
        return WalkShot(self._maker_of(run, images, options), walk, positions)

    def _learning(
        self, run: Path, saved: list[int], options: VideoOptions, walk: Walk, positions: NDArray[np.float64]
    ) -> Shot:
        makers = [functools.partial(self._maker_of, run, images, options) for images in saved]
        return LearningShot(makers, walk, positions)

    def _maker_of(self, run: Path, images: int, options: VideoOptions) -> Maker:
        return _maker(self._opened(run, images), options)

    @staticmethod
    def _table(chosen: Chosen[Any] | None) -> dict[str, Any] | None:
        return None if chosen is None else {chosen.label: chosen.table()}


def _maker(opened: OpenRun, options: VideoOptions) -> Maker:
    return Maker(opened.generator, opened.device, opened.precision, opened.size, options, opened.draws)
