"""A recipe once it is checked: complete, typed, frozen."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import Field, model_validator

from artgen.components import Component, DataOptions, Kind, LossOptions, Options, as_size, naming_key
from artgen.recipe.layers import ONE_OF_A_KIND
from artgen.videos import VideoOptions

Device = Literal["cpu", "cuda", "mps"]
SECTIONS: dict[str, Kind] = {
    **{kind: kind for kind in ONE_OF_A_KIND},
    "losses": "loss",
    "metrics": "metric",
    "videos": "path",
}
"""The tables of a recipe that name components, and the kind of each."""

O_co = TypeVar("O_co", bound=Options, covariant=True)
N = TypeVar("N", int, float)


class PhaseOptions(Options):
    """One `[[phase]]`: a stretch of training at one size."""

    images: int = Field(0, ge=1, le=10**12)
    """For how many pictures shown. Either this or `steps`."""
    steps: int = Field(0, ge=1, le=10**12, exclude=True)
    """For how many steps; turned into `images`, which are steps times batch."""
    batch: int = Field(ge=1, le=2**20)
    """Pictures in one batch."""
    resolution: int | tuple[int, int] = 0
    """Side of the pictures in pixels, or [width, height]. Default: that of the data."""
    fade: float = Field(0.0, ge=0, le=1)
    """Share of the phase in which its new level is blended in."""
    learning_rate_factor: float = Field(1.0, gt=0, le=1000)
    """Factor of the trainer's learning rates in this phase."""

    @property
    def size(self) -> tuple[int, int]:
        """The resolution as (height, width) in pixels."""
        return as_size(self.resolution)

    @model_validator(mode="after")
    def _is_whole(self) -> PhaseOptions:
        if bool(self.images) == bool(self.steps):
            both = " (not both)" * bool(self.images)
            error = ValueError("write how long it lasts, by `images` or by `steps`" + both)
            error.add_note(
                "Take `images` or `steps` away." if self.images else "Write images = VALUE, or steps = VALUE."
            )
            raise error
        if self.steps * self.batch > 10**12:
            raise ValueError("steps times batch is more than 10^12 pictures")
        if "resolution" in self.model_fields_set and not all(4 <= side <= 4096 for side in self.size):
            raise ValueError(f"resolution {self.resolution} is outside 4 to 4096 px")
        return self

    def resolved(self, data: DataOptions) -> PhaseOptions:
        """The same phase counted in images, at a size of its own."""
        images = self.images or self.steps * self.batch
        return self.model_copy(update={"images": images, "steps": 0, "resolution": self.resolution or data.resolution})


Count = Annotated[int, Field(ge=1, le=10**12)]
BatchSize = Annotated[int, Field(ge=1, le=2**20)]
Factor = Annotated[float, Field(gt=0, le=1000)]
Side = Annotated[int, Field(ge=4, le=4096)]


class GrowthOptions(Options):
    """A `[[phase]]` with `from` and `to`: a phase for each level, that is for each doubling between two sizes.

    With `per_doubling` there are so many even steps to a doubling: 2 give the pyramid of factor sqrt(2).
    """

    from_: Side | tuple[Side, Side] = Field(alias="from")
    """Side of the first pictures in pixels, or [width, height]."""
    to: Side | tuple[Side, Side]
    """Side of the last pictures in pixels, or [width, height]; doublings lead to it."""
    per_doubling: int = Field(1, ge=1, le=4)
    """How many levels a doubling takes; 2: each is larger than the last by a factor of sqrt(2)."""
    images: Count | tuple[Count, ...]
    """How many pictures are shown at each level, or an array: a number for each."""
    batch: BatchSize | tuple[BatchSize, ...]
    """Pictures in one batch at each level, or an array: a number for each."""
    fade: float = Field(0.0, ge=0, le=1)
    """Share of each level in which it is blended in. One that begins a schedule, or has the size of the phase before,
    has nothing to be blended with."""
    learning_rate_factor: Factor | tuple[Factor, ...] = 1.0
    """Factor of the trainer's learning rates at each level, or an array: a number for each."""

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """(width, height) of each level in pixels, smallest first; empty where doublings do not lead `to` there."""
        (height, width), (top_height, top_width) = as_size(self.from_), as_size(self.to)
        doublings = (top_height // height).bit_length() - 1
        if doublings < 0 or (height << doublings, width << doublings) != (top_height, top_width):
            return []
        factors = [2 ** (level / self.per_doubling) for level in range(doublings * self.per_doubling + 1)]
        return [(round(width * factor), round(height * factor)) for factor in factors]

    @model_validator(mode="after")
    def _is_whole(self) -> GrowthOptions:
        (first, last), levels = (_px(self.from_), _px(self.to)), len(self.sizes)
        if not levels:
            error = ValueError(f"to is {last}, and doubling {first} does not lead there")
            error.add_note(f"Sizes that it leads to: {', '.join(_px(self.from_, 2**level) for level in range(1, 6))}.")
            raise error
        for name in ("images", "batch", "learning_rate_factor"):
            given = getattr(self, name)
            if isinstance(given, tuple) and len(given) != levels:
                error = ValueError(
                    f"{name} has {len(given)} numbers, and from {first} to {last} there are {levels} levels"
                )
                error.add_note(f"Write {levels} numbers, or one for all levels.")
                raise error
        return self

    def phases(self, before: PhaseOptions | None) -> list[PhaseOptions]:
        """The phase of each level. The first is blended with the phase `before`, if that has smaller pictures."""
        new = before is not None and 0 < before.size[0] < as_size(self.from_)[0]
        return [
            PhaseOptions(
                resolution=width if width == height else (width, height),
                images=_at(self.images, level),
                batch=_at(self.batch, level),
                fade=self.fade if level > 0 or new else 0.0,
                learning_rate_factor=_at(self.learning_rate_factor, level),
            )
            for level, (width, height) in enumerate(self.sizes)
        ]


def _px(resolution: int | tuple[int, int], times: int = 1) -> str:
    height, width = as_size(resolution)
    return f"{width * times}x{height * times} px"


def _at(given: N | tuple[N, ...], level: int) -> N:
    return given[level] if isinstance(given, tuple) else given


PHASE_KEYS = dict.fromkeys(
    field.alias or name for options in (PhaseOptions, GrowthOptions) for name, field in options.model_fields.items()
)
"""What a `[[phase]]` may say."""


class RunOptions(Options):
    """The table `[run]`."""

    preview_images: int = Field(20_000, ge=1)
    """Paint a sheet of pictures each time this many pictures were shown."""
    checkpoint_images: int = Field(50_000, ge=1)
    """Save everything each time this many pictures were shown."""
    keep_checkpoints: int = Field(2, ge=2, le=10_000)
    """How many of them stay; older ones are deleted. A film can show all that are there (`shows = "checkpoints"`)."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Numbers to compute with; auto: bf16 where the hardware has it."""
    compile: bool = False
    """Compile the networks with torch.compile, anew for each level: minutes that only a long run on a GPU wins back."""
    average_half_life_images: int = Field(10_000, ge=1)
    """After how many pictures shown an old weight counts half in the averaged generator; at the start of each size
    fewer, a tenth of those shown at it."""
    evaluate_images: int = Field(0, ge=0)
    """Measure the metrics each time this many pictures were shown; 0: only at the end."""
    evaluate_samples: int = Field(400, ge=2, le=100_000)
    """How many made pictures the metrics look at."""
    preview_pictures: int = Field(64, ge=1, le=1024)
    """How many pictures are on a sheet."""
    pictures: Literal["png", "png-16", "tiff-16"] = "png"
    """Form of the files of repainted pictures; 16: that many bits for each colour, in place of 8."""


class Heading(Options):
    """The keys of a recipe outside its tables."""

    title: str = ""
    """What the picture is called."""
    description: str = ""
    """What it takes and what it gives."""
    seed: int = Field(0, ge=0)
    """Start of every random draw."""


@dataclass(frozen=True)
class Chosen(Generic[O_co]):
    """A component that a recipe chose.

    Args:
        label: The name of its table.
        use: The component's name as the recipe gives it; the label, unless the table says `use` (a film: `path`).
        component: What the plugin handed over.
        options: Its table, checked and complete.
    """

    label: str
    use: str
    component: Component
    options: O_co

    def table(self) -> dict[str, Any]:
        """The table that reads back as this."""
        written = self.options.model_dump(
            mode="json", by_alias=True, exclude_none=True, round_trip=True, exclude=self._deprecated()
        )
        named = self.component.kind == "path" or self.use != self.label
        return {**({naming_key(self.component.kind): self.use} if named else {}), **written}

    def _deprecated(self) -> set[str]:
        """Deprecated keys that nobody uses: to write them down would ask for a warning."""
        fields, used = type(self.options).model_fields, self.options.model_fields_set
        return {name for name, field in fields.items() if field.deprecated and name not in used}


DEFAULT_PATH = "spline"
"""The walk of a film whose table names none."""

_BESIDE_TRAINING = ("title", "description", "metrics", "videos", "executor")
_UPKEEP = (
    "preview_images",
    "preview_pictures",
    "checkpoint_images",
    "keep_checkpoints",
    "evaluate_images",
    "evaluate_samples",
    "pictures",
)


@dataclass(frozen=True, kw_only=True)
class Films:
    """Films that are to be rendered: those of a recipe, or of a file that holds nothing else.

    Args:
        name: That of the file.
        file: Where they were read.
        title: What they are called together.
        features: The space in which their speed is measured.
        executor: Who renders their pieces.
        videos: The tables, in order.
    """

    name: str
    file: Path
    title: str
    features: Chosen[Options] | None
    executor: Chosen[Options] | None
    videos: tuple[Chosen[VideoOptions], ...]

    def chosen(self) -> dict[str, Sequence[Chosen[Options]]]:
        """Section -> the components that it chooses; only sections that choose some."""
        one = {section: [chosen] for section in ("features", "executor") if (chosen := getattr(self, section))}
        return {**one, **({"videos": self.videos} if self.videos else {})}

    def tables(self) -> dict[str, Any]:
        """The complete file as tables."""
        tables = {section: {one.label: one.table() for one in chosen} for section, chosen in self.chosen().items()}
        return {**({"title": self.title} if self.title else {}), **tables}

    def to_toml(self) -> str:
        """The complete file, every default filled in; reading it back gives an equal one."""
        import tomli_w

        return tomli_w.dumps(self.tables())


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that a run needs to know. Equality leaves out the name and where the recipe was read.

    `phase_tables` holds for each phase which `[[phase]]` it came from: one with `from` and `to` stands for several.
    """

    name: str = field(compare=False)
    file: Path = field(compare=False)
    title: str
    description: str
    seed: int
    data: Chosen[DataOptions]
    source: Chosen[Options] | None
    augment: Chosen[Options] | None
    generator: Chosen[Options]
    critic: Chosen[Options] | None
    features: Chosen[Options] | None
    losses: tuple[Chosen[LossOptions], ...]
    trainer: Chosen[Options]
    metrics: tuple[Chosen[Options], ...]
    videos: tuple[Chosen[VideoOptions], ...]
    executor: Chosen[Options] | None
    phases: tuple[PhaseOptions, ...]
    phase_tables: tuple[int, ...] = field(compare=False)
    run: RunOptions

    @property
    def films(self) -> Films:
        """What it has to say of films."""
        return Films(
            name=self.name,
            file=self.file,
            title=self.title,
            features=self.features,
            executor=self.executor,
            videos=self.videos,
        )

    def to_toml(self) -> str:
        """The complete recipe, every default filled in; reading it back gives an equal one."""
        import tomli_w

        return tomli_w.dumps(self.tables())

    @functools.cached_property
    def fingerprint(self) -> str:
        """Changes with what training depends on, so not with the title, the metrics or the times of saving."""
        tables = {key: value for key, value in self.tables().items() if key not in _BESIDE_TRAINING}
        tables["run"] = {key: value for key, value in tables["run"].items() if key not in _UPKEEP}
        return hashlib.blake2b(json.dumps(tables).encode(), digest_size=16).hexdigest()

    def chosen(self) -> dict[str, Sequence[Chosen[Options]]]:
        """Section -> the components that it chooses; only sections that choose some."""
        every: dict[str, Sequence[Chosen[Options]]] = {
            kind: [chosen] if (chosen := getattr(self, kind)) else []
            for kind in ("data", "source", "augment", "generator", "critic", "features", "executor")
        }
        every |= {"losses": self.losses, "trainer": [self.trainer], "metrics": self.metrics, "videos": self.videos}
        return {section: chosen for section, chosen in every.items() if chosen}

    def tables(self) -> dict[str, Any]:
        """The complete recipe as tables."""
        return {
            **{key: value for key in ("title", "description", "seed") if (value := getattr(self, key)) != ""},
            **{section: {one.label: one.table() for one in chosen} for section, chosen in self.chosen().items()},
            "phase": [phase.model_dump(mode="json") for phase in self.phases],
            "run": self.run.model_dump(mode="json"),
        }
