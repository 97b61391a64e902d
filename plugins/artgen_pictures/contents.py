"""From files to what is repainted: contents of one shape, their styles, and what they get back at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from artgen import DataError
from artgen.data import Dataset, Repainting, Workshop
from artgen.data.cache import key_of
from artgen.data.images import Picture, read, read_with_alpha, resize, shown
from artgen.data.scan import look_through
from artgen_pictures import FilmOptions, PicturesOptions, RepaintingOptions, WalkOptions
from artgen_pictures.colours import recoloured
from artgen_pictures.finish import Finish
from artgen_pictures.studio import builtin, flight
from artgen_pictures.styles import is_folder, read_styles

_BUILTIN_SHAPE = 3 / 4  # height over width, where the box leaves the choice
_BUILTIN_RATE, _FOLDER_RATE = Fraction(12), Fraction(25)  # frames per second
_LARGEST_DENOMINATOR = 1001  # 30000/1001 and the like are rates of television
_SHORTEST_PX = 4
# Of a film that is repainted in stretches, colours are matched by the same frames, which are spread over all of it.
_LOOKED_AT_FRAMES = 16

T = TypeVar("T")


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
    reel, first = _reel(options), options.first_frame
    contents = []
    with workshop.progress(
        "Reading frames", min(options.frames or reel.frames, max(0, reel.frames - first))
    ) as advance:
        for number, frame in enumerate(reel.read(first, options.frames or None), first):
            contents.append(frame._replace(name=f"{number:06}"))
            advance(1)
    if not contents:
        raise DataError(
            f"it has {reel.frames} frames, and `first_frame` = {first} leaves all of them out",
            place=shown(options.content),
            remedy="Lower `first_frame`.",
        )
    looked_at: list[_Content] = []
    if options.colours != "free" and len(contents) < reel.frames:
        places = np.linspace(0, reel.frames - 1, min(reel.frames, _LOOKED_AT_FRAMES)).round().astype(int)
        looked_at = [frame._replace(name=f"{at:06}") for at in places.tolist() for frame in reel.read(at, 1)]
    rate = reel.frames_per_second
    if options.frames_per_second:
        rate = _rate(options.frames_per_second)
    return _dataset(options, contents, rate, options.loops, reel.notes, looked_at)


class _Reel(NamedTuple):
    """A whole film.

    Args:
        frames: How many there are.
        frames_per_second: How fast it plays.
        read: Gives frames from one on, counted from 0, so many at most, or all; as large as they are repainted.
        notes: What the user should know of it.
    """

    frames: int
    frames_per_second: Fraction
    read: Callable[[int, int | None], Iterator[_Content]]
    notes: Mapping[str, Any]


def _reel(options: FilmOptions) -> _Reel:
    if options.content.startswith("builtin:"):
        flown = [_Content("", frame) for frame in flight(options.content, _builtin_size(options))]
        return _Reel(len(flown), _BUILTIN_RATE, lambda first, most: _stretch(flown, first, most), {})
    if is_folder(options.content, "Give a film, or a folder of its frames, as `content`."):
        files, notes = _files(options.content)
        paths = list(files.values())

        def read_files(first: int, most: int | None) -> Iterator[_Content]:
            return (_read("", path, options) for path in _stretch(paths, first, most))

        return _Reel(len(paths), _FOLDER_RATE, read_files, notes)
    from artgen.film import probe, read_frames

    about = probe(options.content)
    size = _fitting(about.height, about.width, options)

    def read_film(first: int, most: int | None) -> Iterator[_Content]:
        return (_Content("", resize(frame, size)) for frame in read_frames(options.content, first, most))

    return _Reel(about.frames, about.frames_per_second, read_film, {})


def _stretch(items: Sequence[T], first: int, most: int | None) -> Iterator[T]:
    return islice(items, first, None if most is None else first + most)


def walk(options: WalkOptions, workshop: Workshop) -> Dataset:
    """The frames of a walk through a latent space, to be repainted together; after the last comes the first.

    Raises:
        CheckpointError: It is no run folder, or holds no checkpoint that is whole.
        PluginError: No plugin has such a path.
        RecipeError: The run's generator takes no latents, or there is no such walk through them.
    """
    from artgen.walk import frames_of

    contents = []
    frames = frames_of(
        options.content,
        path=options.route,
        workshop=workshop,
        keyframes=options.keyframes,
        seconds=options.frames,
        fps=1,
        seed=options.seed,
        speed="path",
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
    looked_at: Sequence[_Content] = (),
) -> Dataset:
    """The data set of these contents. Where colours are matched, those `looked_at` stand for them, if there are any."""
    _require_one_shape([*contents, *looked_at], options)
    given = np.stack([content.picture for content in contents])
    styles, about_styles = read_styles(options, given.shape[1:3])
    seen = [content.picture for content in looked_at or contents]
    real, styles = recoloured(given, seen, styles, options.colours, options.matching)
    colours, alpha = given if options.colours == "luminance" else None, _alpha(contents)
    repainting = Repainting(
        styles,
        tuple(content.name for content in contents),
        frames_per_second,
        loops,
        start=resize(read(options.start), given.shape[1:3]) if options.start else None,
        finish=None if colours is None and alpha is None else Finish(colours, alpha),
    )
    pixels: list[Iterable[NDArray[np.uint8] | None]] = [real, [] if colours is None else colours]
    pixels += [
        [] if alpha is None else alpha,
        [repainting.start],
        *((style.picture, style.where, style.part) for style in styles),
    ]
    said = f"{frames_per_second} {loops} {[style.weight for style in styles]}"
    fingerprint = key_of("repainting", said, *map(_digest, pixels))
    size = f"{given.shape[2]}x{given.shape[1]}"
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
