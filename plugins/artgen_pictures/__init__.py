"""Pictures to be repainted, single files, folders, films and latent walks, and the styles that they take."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

from artgen import Component, DataOptions, FilePath, Options, hookimpl

ARTGEN_API = 1

BUILTIN_CONTENTS = ("builtin:landscape",)
BUILTIN_STYLES = ("builtin:swirls", "builtin:waves", "builtin:mosaic")
"""What the program paints itself. The first takes the place of what is not named."""
BUILTIN_MASKS = ("builtin:upper", "builtin:lower")
"""Masks for any content: its halves, which fade into each other and together are all of it."""


def _or_one_of(builtin: tuple[str, ...], default: str) -> WrapValidator:
    """Lets the names of built-in pictures pass beside paths; one of them stands for what is not named."""

    def named(value: Any, path: ValidatorFunctionWrapHandler) -> Any:
        if not isinstance(value, str) or (value and not value.startswith("builtin:")):
            return path(value)
        if value and value not in builtin:
            error = ValueError(f"{value!r} is no picture that the program paints")
            error.add_note(f"Write {' or '.join(map(repr, builtin))}, or the path of a picture.")
            raise error
        return value or default

    return WrapValidator(named)


def _as_tables(value: Any) -> Any:
    """A path, or an array of paths and tables -> tables."""
    given = [value] if isinstance(value, str) else value
    if not isinstance(given, list | tuple):
        return value
    if not given:
        error = ValueError("an empty array names no style")
        error.add_note(f'Write the path of a picture, or "{BUILTIN_STYLES[0]}".')
        raise error
    return tuple({"path": one} if isinstance(one, str) else one for one in given)


def _named(run: str) -> str:
    if not run:
        error = ValueError("no run is named whose generator makes the frames")
        error.add_note("Name its folder: --data runs/NAME.")
        raise error
    return run


class StyleOptions(Options):
    """One picture whose hand is wanted."""

    path: Annotated[FilePath, _or_one_of(BUILTIN_STYLES, BUILTIN_STYLES[0])]
    """The picture file; or one that the program paints: "builtin:swirls", "builtin:waves" or "builtin:mosaic"."""
    weight: float = Field(1.0, gt=0, le=1000)
    """Its share among the styles of one region."""
    where: Annotated[FilePath, _or_one_of(BUILTIN_MASKS, "")] = ""
    """A grey picture, white where on the content this style is wanted; or "builtin:upper" or "builtin:lower", halves
    that fade into each other. Default: everywhere."""
    part: FilePath = ""
    """A grey picture, white where the part of the style is that is meant. Default: all of it."""


Content = Annotated[FilePath, _or_one_of(BUILTIN_CONTENTS, BUILTIN_CONTENTS[0])]


class RepaintingOptions(DataOptions):
    """What pictures and films have in common."""

    content: Content = BUILTIN_CONTENTS[0]
    """What is repainted."""
    resolution: int | tuple[int, int] = 512
    """The longer side of what is made in pixels, or a box [width, height] that it is fitted into. The shape stays."""
    style: Annotated[
        tuple[StyleOptions, ...],
        BeforeValidator(_as_tables, json_schema_input_type=str | tuple[str | StyleOptions, ...]),
    ] = Field(BUILTIN_STYLES[0], validate_default=True)
    """Whose hand is wanted: the path of a picture, an array of such, or of tables with `path`, `weight`, and masks:
    `where` on the content, and which `part` of the style."""
    start: FilePath = ""
    """A picture to begin with, in place of what the generator begins with; it is drawn to the shape of the contents."""
    style_scale: float = Field(1.0, ge=0.1, le=4)
    """The longer side of the styles over that of the content: small gives fine strokes, large gives broad ones."""
    colours: Literal["free", "style", "content", "luminance"] = "free"
    """Where colours come from. "free": from the losses. "style": the content is recoloured like the style first.
    "content": each style is recoloured like the content. "luminance": all is painted in grey, then gets the colours of
    the content, pixel by pixel (Gatys et al. 2017, section 5)."""
    matching: Literal["symmetric", "cholesky", "pca"] = "symmetric"
    """How one picture is recoloured like another: which of the linear maps that give it mean and covariance of the
    other's colours."""

    @model_validator(mode="after")
    def _all_is_repainted_as_it_is(self) -> RepaintingOptions:
        for name in ("mirror", "jitter_px", "held_out"):
            if getattr(self, name):
                error = ValueError(f"{name} has no meaning for pictures that are repainted: there is nothing to learn")
                error.add_note(f"Take {name} away.")
                raise error
        return self


class PicturesOptions(RepaintingOptions):
    """A picture, or a folder of pictures of one shape, each repainted by itself."""

    content: Content = BUILTIN_CONTENTS[0]
    """The picture file, or a folder; "builtin:landscape" is one that the program paints."""


class FilmOptions(RepaintingOptions):
    """The frames of a film, which are repainted together."""

    content: Content = BUILTIN_CONTENTS[0]
    """The film file, or a folder of its frames in the order of their names; "builtin:landscape" is a flight of 24
    frames over a picture that the program paints, which ends where it began."""
    first_frame: int = Field(0, ge=0)
    """How many frames are left out at the beginning."""
    frames: int = Field(0, ge=0, le=100_000)
    """How many frames are taken, at most; 0: all."""
    frames_per_second: float = Field(0.0, ge=0, le=1000)
    """How fast it plays; 0: as the file says, 25 for a folder, 12 for the built-in film."""
    loops: bool = False
    """The first frame follows the last."""


class WalkOptions(RepaintingOptions):
    """The frames of a walk through the latent space of a GAN, which are repainted together and loop."""

    content: Annotated[FilePath, AfterValidator(_named)] = Field("", validate_default=True)
    """The run folder of the GAN; its newest checkpoint makes the frames. It must be named: by `--data`, or here."""
    route: str = "spline"
    """The path on which the keyframes, which are drawn at random, are connected: "spline" goes through them without a
    jolt, "slerp" the shortest way, with a turn at each; "noise-loop" wanders past them, and so on: any path that a
    `[videos.NAME]` can name."""
    keyframes: int = Field(6, ge=2, le=10_000)
    """How many there are. The more of them in a walk of so many frames, the faster pictures change."""
    frames: int = Field(72, ge=1, le=100_000)
    """How many frames the walk is divided into."""
    seed: int = Field(0, ge=0)
    """One seed, the same walk."""
    frames_per_second: float = Field(24.0, gt=0, le=1000)
    """How fast it plays."""


@hookimpl
def artgen_datasets() -> list[Component]:
    """The data sets of this plugin."""
    return [
        Component(
            kind="data",
            name="pictures",
            summary="Pictures to be repainted, and the styles that they take",
            options=PicturesOptions,
            factory="artgen_pictures.contents:pictures",
        ),
        Component(
            kind="data",
            name="film",
            summary="The frames of a film to be repainted, and the styles that they take",
            options=FilmOptions,
            factory="artgen_pictures.contents:film",
        ),
        Component(
            kind="data",
            name="walk",
            summary="The frames of a walk through a GAN's latent space, which loops, and the styles that they take",
            options=WalkOptions,
            factory="artgen_pictures.contents:walk",
        ),
    ]
