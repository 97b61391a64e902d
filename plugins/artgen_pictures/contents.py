"""From files to what is repainted: contents of one shape, their styles, and what they get back at the end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from artgen import DataError
from artgen.data import Dataset, Repainting, Workshop
from artgen.data.cache import key_of
from artgen.data.images import Picture, read_with_alpha, resize, shown
from artgen.data.scan import look_through
from artgen_pictures import FilmOptions, PicturesOptions, RepaintingOptions, WalkOptions
from artgen_pictures.colours import recoloured
from artgen_pictures.finish import Finish
from artgen_pictures.studio import FLIGHT_FRAMES, builtin, flight
from artgen_pictures.styles import is_folder, read_styles

_BUILTIN_SHAPE = 3 / 4  # height over width, where the box leaves the choice
_BUILTIN_RATE, _FOLDER_RATE = Fraction(12), Fraction(25)  # frames per second
_LARGEST_DENOMINATOR = 1001  # 30000/1001 and the like are rates of television
_SHORTEST_PX = 4


class _Content(NamedTuple):
    """A picture (H, W, 3) as large as it is repainted, and how opaque it is, (H, W), if its file says so."""

    name: str
    picture: Picture
    alpha: NDArray[np.uint8] | None = None


def pictures(options: PicturesOptions, workshop: Workshop) -> Dataset:
    """A picture, or a folder of pictures, to be repainted each by itself.

    Raises:
        DataError: A file cannot be read, or the pictures of a folder differ in shape.
    """
    if options.content.startswith("builtin:"):
        painted = builtin(options.content, _builtin_size(options))
        return _dataset(options, [_Content(options.content.removeprefix("builtin:"), painted)])
    files, notes = _files(options.content)
    with workshop.progress("Reading pictures", len(files)) as advance:
        contents = []
        for name, path in files.items():
            contents.append(_read(name, path, options))
            advance(1)
    return _dataset(options, contents, notes=notes)


def film(options: FilmOptions, workshop: Workshop) -> Dataset:
    """The frames of a film, to be repainted together.

    Raises:
        DataError: A file cannot be read, there is no frame where one is wanted, or frames differ in shape.
    """
    first, last = options.first_frame, options.first_frame + options.frames if options.frames else None
    notes: Mapping[str, Any] = {}
    frames: Iterator[_Content]
    if options.content.startswith("builtin:"):
        rate, there = _BUILTIN_RATE, FLIGHT_FRAMES
        flown = flight(options.content, _builtin_size(options))
        frames = (_Content("", frame) for frame in islice(flown, first, last))
    elif is_folder(options.content, "Give a film, or a folder of its frames, as `content`."):
        files, notes = _files(options.content)
        rate, there = _FOLDER_RATE, len(files)
        frames = (_read("", path, options) for path in list(files.values())[first:last])
    else:
        from artgen.film import probe, read_frames

        about = probe(options.content)
        rate, there = about.frames_per_second, about.frames
        size = _fitting(about.height, about.width, options)
        decoded = read_frames(options.content, first, options.frames or None)
        frames = (_Content("", resize(frame, size)) for frame in decoded)
    with workshop.progress("Reading frames", len(range(there)[first:last])) as advance:
        contents = []
        for number, frame in enumerate(frames, first):
            contents.append(frame._replace(name=f"{number:06}"))
            advance(1)
    if not contents:
        raise DataError(
            f"it has {there} frames, and `first_frame` = {first} leaves all of them out",
            place=shown(options.content),
            remedy="Lower `first_frame`.",
        )
    if options.frames_per_second:
        rate = _rate(options.frames_per_second)
    return _dataset(options, contents, rate, options.loops, notes)


def walk(options: WalkOptions, workshop: Workshop) -> Dataset:
    """The frames of a walk through a latent space, to be repainted together; after the last comes the first.

    Raises:
        CheckpointError: It is no run folder, or holds no checkpoint that is whole.
        RecipeError: The run's generator takes no latents.
    """
    from artgen.walk import frames_of

    contents = []
    frames = frames_of(
        options.content,
        workshop,
        keyframes=options.keyframes,
        frames=options.frames,
        seed=options.seed,
        path=options.route,
    )
    with workshop.progress("Making frames", options.frames) as advance:
        for number, frame in enumerate(frames):
            height, width, _ = frame.shape
            contents.append(_Content(f"{number:06}", resize(frame, _fitting(height, width, options))))
            advance(1)
    return _dataset(options, contents, _rate(options.frames_per_second), loops=True)


def _dataset(
    options: RepaintingOptions,
    contents: Sequence[_Content],
    frames_per_second: Fraction | None = None,
    loops: bool = False,
    notes: Mapping[str, Any] | None = None,
) -> Dataset:
    _require_one_shape(contents, options)
    given = np.stack([content.picture for content in contents])
    styles, about_styles = read_styles(options, given.shape[1:3])
    real, styles = recoloured(given, styles, options.colours, options.matching)
    colours, alpha = given if options.colours == "luminance" else None, _alpha(contents)
    repainting = Repainting(
        styles,
        tuple(content.name for content in contents),
        frames_per_second,
        loops,
        finish=None if colours is None and alpha is None else Finish(colours, alpha),
    )
    size = f"{given.shape[2]}x{given.shape[1]}"
    seen: list[Iterable[NDArray[np.uint8] | None]] = [real, *([[] if one is None else one for one in (colours, alpha)])]
    for style in styles:
        seen.append((style.picture, style.where, style.part))
    said = f"{frames_per_second} {loops} {[style.weight for style in styles]}"
    fingerprint = key_of("repainting", said, *map(_digest, seen))
    return Dataset(real, fingerprint, notes={"size": size, **about_styles, **(notes or {})}, repainting=repainting)


def _digest(arrays: Iterable[NDArray[np.uint8] | None]) -> str:
    """What some arrays hash to, with their shapes; one after the other, as a film is large."""
    return key_of(*("" if array is None else key_of(str(array.shape), array.tobytes()) for array in arrays))


def _files(content: str) -> tuple[dict[str, Path], dict[str, Any]]:
    """The picture file, or those of a folder in the order of their names, by name; and what was passed over."""
    path = Path(content)
    if not is_folder(content, "Give a picture, or a folder of pictures, as `content`."):
        return {shown(path.stem): path}, {}
    scan = look_through(content)
    files: dict[str, Path] = {}
    for found in scan.found:
        name = shown(Path(found.name).with_suffix("").as_posix().replace("/", "-"))
        if name in files:
            raise DataError(
                f"what is made of {shown(files[name].name)} and of {shown(found.name)} would have one name, {name}",
                place=shown(path),
                remedy="Rename one of them.",
            )
        files[name] = Path(found.path)
    if not files:
        raise DataError(
            "there are no pictures in this folder",
            place=shown(path),
            remedy="It may hold JPEG, PNG, WebP, GIF, BMP and TIFF files, also in folders below it.",
        )
    skipped = {"skipped": len(scan.passed_over), "skipped_files": dict(scan.passed_over)}
    return files, skipped if scan.passed_over else {}


def _read(name: str, path: Path, options: RepaintingOptions) -> _Content:
    picture, alpha = read_with_alpha(path)
    height, width, _ = picture.shape
    size = _fitting(height, width, options, path)
    return _Content(name, resize(picture, size), None if alpha is None else resize(alpha, size))


def _fitting(height: int, width: int, options: RepaintingOptions, path: Path | None = None) -> tuple[int, int]:
    """The largest (height, width) of a shape within the box that the options give."""
    share = min(options.size[0] / height, options.size[1] / width)
    size = round(height * share), round(width * share)
    if min(size) < _SHORTEST_PX:
        raise DataError(
            f"it has {width}x{height} px and would be made at {size[1]}x{size[0]}",
            place=shown(path or options.content),
            remedy="Raise `resolution`, or cut a part out of it.",
        )
    return size


def _rate(frames_per_second: float) -> Fraction:
    return Fraction(frames_per_second).limit_denominator(_LARGEST_DENOMINATOR)


def _builtin_size(options: RepaintingOptions) -> tuple[int, int]:
    """(height, width): a box is filled, of a side the built-in picture has its own shape."""
    if isinstance(options.resolution, int):
        return round(_BUILTIN_SHAPE * options.resolution), options.resolution
    return options.size


def _require_one_shape(contents: Sequence[_Content], options: RepaintingOptions) -> None:
    first = contents[0]
    for other in contents:
        if other.picture.shape != first.picture.shape:
            (h, w, _), (height, width, _) = first.picture.shape, other.picture.shape
            raise DataError(
                f"{first.name} would be made at {w}x{h} px and {other.name} at {width}x{height}",
                place=shown(options.content),
                remedy="Pictures of one run have one shape: sort them into folders by shape, or run once for each.",
            )


def _alpha(contents: Sequence[_Content]) -> NDArray[np.uint8] | None:
    """How opaque contents are, (N, H, W); None if all of them are, throughout."""
    if all(content.alpha is None or content.alpha.min() == 255 for content in contents):
        return None
    opaque = np.full(contents[0].picture.shape[:2], 255, np.uint8)
    return np.stack([opaque if content.alpha is None else content.alpha for content in contents])
