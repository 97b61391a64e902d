"""What a `[videos.NAME]` table asks of a film: from which run, past which pictures, how long, in which files.

Imports no torch. The kind of walk that a table names by `path` adds its own fields to `VideoOptions`.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from artgen.components import FilePath, Options

Format = Literal["mp4", "hevc", "av1", "webm", "prores", "gif", "apng", "png", "png-16"]
"""What a film can be kept as: H.264, HEVC or AV1 in MP4, VP9 in WebM, ProRes 422 in MOV, an animated GIF or PNG, or a
folder of PNG files of 8 or 16 bits."""

Easing = Literal["linear", "ease-in", "ease-out", "ease-in-out"]


def _is_rate(rate: int | float | str) -> int | float | str:
    try:
        # An exponent could ask for a number that fills the memory.
        known = (not isinstance(rate, str) or re.fullmatch(r"[0-9./ ]{1,32}", rate) is not None) and (
            0 < Fraction(rate) <= 1000
        )
    except (ValueError, ZeroDivisionError):
        known = False
    if not known:
        error = ValueError(f"{rate!r} is no frame rate")
        error.add_note('Write a number up to 1000, or a fraction in quotes: "24000/1001".')
        raise error
    return rate


class OutputOptions(Options):
    """One file of a film, where its format alone does not say enough: `{ format = "av1", crf = 24 }`."""

    format: Format
    """What kind of file it is."""
    crf: int | None = Field(None, ge=0, le=63)
    """Constant rate factor: more is a smaller file of less quality. Default: one whose loss is not seen. PNG, GIF and
    ProRes have none."""
    bits: Literal[8, 10] = 8
    """Bits for each colour of HEVC, AV1 and WebM; 10 keep smooth gradients smooth, and not every player shows them."""
    label: str = Field("", pattern=r"[A-Za-z0-9_-]*", max_length=64)
    """Added to the name of the file, where a film has several of one format."""


class KeyframeOptions(Options):
    """One picture on the way: `{ seed = 7 }`, or `{ file = "latents.safetensors" }`."""

    seed: int | None = Field(None, ge=0)
    """The first picture of `artgen sample` with this seed."""
    file: FilePath = ""
    """A latent, saved as the only tensor of a .safetensors file, or under the name `latent`."""
    index: int = Field(0, ge=0, le=100_000)
    """Which one, where the seed or the file has several: that of `artgen sample`, counted from 0."""
    seconds: float | None = Field(None, gt=0, le=86_400)
    """How long the way to the next keyframe takes. Default: its share, by length, of what the others leave. If all say
    it, together they take the film's `seconds`. A way from a picture to itself is a pause."""
    easing: Easing | None = None
    """How it gets going and arrives on that way. Default: that of the film."""

    @model_validator(mode="after")
    def _is_one(self) -> KeyframeOptions:
        if (self.seed is None) == (not self.file):
            error = ValueError("a keyframe is a `seed` or a `file`" + " (not both)" * (self.seed is not None))
            error.add_note('Write { seed = 7 }, or { file = "latent.safetensors" }.')
            raise error
        return self


class VideoOptions(Options):
    """What every film has; a kind of walk adds its own fields below."""

    run: FilePath = ""
    """Folder of the run whose generator makes the pictures. Default: in the recipe of a run that run; in a file of
    films the one that `artgen render --run DIR` names."""
    checkpoint_images: int = Field(0, ge=0)
    """Take the checkpoint that was saved after so many pictures shown; 0: the newest."""
    shows: Literal["walk", "previews", "checkpoints"] = "walk"
    """What is seen: a walk; how the run learnt, by the sheets of its previews; or the walk while the run learns, by
    all its checkpoints in turn (`run.keep_checkpoints` says how many stay)."""
    keyframes: int | tuple[KeyframeOptions, ...] = 8
    """How many pictures the walk comes by, drawn with the seed; or an array that names each of them."""
    seconds: float = Field(12.0, gt=0, le=86_400)
    """How long the film is."""
    fps: Annotated[int | float | str, AfterValidator(_is_rate)] = 30
    """Frames per second; a fraction in quotes: "24000/1001"."""
    seed: int = Field(0, ge=0)
    """Start of every draw of the walk."""
    easing: Easing = "linear"
    """How the walk goes from keyframe to keyframe: evenly, or slowly at the start, the end or both."""
    speed: Literal["perceptual", "path"] = "perceptual"
    """"perceptual": the pictures change at an even pace: the walk is looked at first, and timed anew by how much they
    change (in the space of `[features.NAME]`, where there is one). "path": the latents move at the pace of the path."""
    truncation: float | tuple[float, ...] = 1.0
    """How far latents lie from the middle of their space: 1 as drawn, less is more usual and less varied. An array
    animates it: these values in turn, evenly spaced, joined by a smooth curve."""
    mix: dict[str, int] = Field({})
    """Parts of the latent that stay what they are in the first picture of a seed: `{ fine = 7 }` walks with the fine
    style of seed 7. Generators that have parts say which."""
    grid: tuple[Annotated[int, Field(ge=1, le=64)], Annotated[int, Field(ge=1, le=64)]] = (1, 1)
    """[columns, rows] of walks side by side, each with draws of its own."""
    side_px: int = Field(0, ge=0, le=8192)
    """Shorter side of each picture in pixels; 0: as the generator makes it."""
    enlarge: Literal["smooth", "blocks"] = "smooth"
    """How pictures are enlarged to that."""
    outputs: tuple[Format | OutputOptions, ...] = Field(("mp4",), min_length=1, max_length=32)
    """The files that are made of the film, from one synthesis."""
    copies: int = Field(1, ge=1, le=10_000)
    """So many films, the first with this seed, the next with the following one; their names end in -001, -002, ..."""

    @property
    def frames_per_second(self) -> Fraction:
        """The rate, exact: 29.97 stands for 30000/1001, as it does everywhere in film."""
        rate = Fraction(str(self.fps)) if isinstance(self.fps, float) else Fraction(self.fps)
        return NTSC.get(rate, rate)

    @property
    def frames(self) -> int:
        """How many frames it has, one at least."""
        return max(1, round(Fraction(str(self.seconds)) * self.frames_per_second))

    @model_validator(mode="after")
    def _is_a_film(self) -> VideoOptions:
        count = self.keyframes if isinstance(self.keyframes, int) else len(self.keyframes)
        if not 1 <= count <= 10_000:
            raise ValueError(f"{count} keyframes, where 1 to 10,000 are possible")
        if self.frames > 10**7:
            raise ValueError(f"{self.frames:,} frames, where at most 10,000,000 are possible")
        values = self.truncation if isinstance(self.truncation, tuple) else (self.truncation,)
        if not values or not all(0 <= value <= 4 for value in values):
            raise ValueError("truncation is from 0 to 4, and an array of it holds one value or more")
        names = [file_name("", output) for output in self.outputs]
        if twice := next((name for name in names if names.count(name) > 1), None):
            error = ValueError(f"two outputs would have the name NAME{twice}")
            error.add_note('Give one of them a label: { format = "mp4", crf = 28, label = "small" }.')
            raise error
        if not isinstance(self.keyframes, int) and self.grid != (1, 1):
            raise ValueError("a grid draws its keyframes: `keyframes` must be a number")
        return self


NTSC = {Fraction(str(round(rate / 1.001, places))): Fraction(rate * 1000, 1001)
        for rate in (24, 30, 60, 120) for places in (2, 3)}  # fmt: skip
"""Rates that are written with two or three digits, and what they mean."""

_ENDINGS: dict[Format, str] = {
    "mp4": ".mp4",
    "hevc": "-hevc.mp4",
    "av1": "-av1.mp4",
    "webm": ".webm",
    "prores": ".mov",
    "gif": ".gif",
    "apng": ".apng",
    "png": "-png",
    "png-16": "-png16",
}


def as_output(output: Format | OutputOptions) -> OutputOptions:
    """An output that is only a format, with its defaults."""
    return output if isinstance(output, OutputOptions) else OutputOptions(format=output)


def file_name(film: str, output: Format | OutputOptions) -> str:
    """The name of the file, or of the folder of PNG files, that an output of a film is kept under."""
    whole = as_output(output)
    return film + (f"-{whole.label}" if whole.label else "") + _ENDINGS[whole.format]
