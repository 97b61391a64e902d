"""A recipe once it is checked: complete, typed, frozen."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from pydantic import Field, model_validator

from artgen.components import Component, DataOptions, Kind, LossOptions, Options, as_size
from artgen.recipe.layers import ONE_OF_A_KIND

Device = Literal["cpu", "cuda", "mps"]
SECTIONS: dict[str, Kind] = {
    **{kind: kind for kind in ONE_OF_A_KIND},
    "losses": "loss",
    "metrics": "metric",
}
"""The tables of a recipe that name components, and the kind of each."""

O_co = TypeVar("O_co", bound=Options, covariant=True)


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


class RunOptions(Options):
    """The table `[run]`."""

    preview_images: int = Field(20_000, ge=1)
    """Paint a sheet of pictures each time this many pictures were shown."""
    checkpoint_images: int = Field(50_000, ge=1)
    """Save everything each time this many pictures were shown."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Numbers to compute with; auto: bf16 where the hardware has it."""
    average_half_life_images: int = Field(10_000, ge=1)
    """After how many pictures shown an old weight counts half in the averaged generator."""
    evaluate_images: int = Field(0, ge=0)
    """Measure the metrics each time this many pictures were shown; 0: only at the end."""
    evaluate_samples: int = Field(400, ge=2, le=100_000)
    """How many made pictures the metrics look at."""
    preview_pictures: int = Field(64, ge=1, le=1024)
    """How many pictures are on a sheet."""


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
        use: The component's name as the recipe gives it; the label, unless the table says `use`.
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
        return {**({"use": self.use} if self.use != self.label else {}), **written}

    def _deprecated(self) -> set[str]:
        """Deprecated keys that nobody uses: to write them down would ask for a warning."""
        fields, used = type(self.options).model_fields, self.options.model_fields_set
        return {name for name, field in fields.items() if field.deprecated and name not in used}


_BESIDE_TRAINING = ("title", "description", "metrics")
_UPKEEP = ("preview_images", "preview_pictures", "checkpoint_images", "evaluate_images", "evaluate_samples")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that a run needs to know. Equality leaves out the name and where the recipe was read."""

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
    phases: tuple[PhaseOptions, ...]
    run: RunOptions

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
            for kind in ("data", "source", "augment", "generator", "critic", "features")
        }
        every |= {"losses": self.losses, "trainer": [self.trainer], "metrics": self.metrics}
        return {section: chosen for section, chosen in every.items() if chosen}

    def tables(self) -> dict[str, Any]:
        """The complete recipe as tables."""
        return {
            **{key: value for key in ("title", "description", "seed") if (value := getattr(self, key)) != ""},
            **{section: {one.label: one.table() for one in chosen} for section, chosen in self.chosen().items()},
            "phase": [phase.model_dump(mode="json") for phase in self.phases],
            "run": self.run.model_dump(mode="json"),
        }
