"""A trained generator of pictures from pictures, on files of any size, and on films frame by frame.

To a network that was trained at 64 px, a face of 1000 px is another thing. So a picture is shrunk to the size of
training, translated, and the result enlarged again. Colours need no more: where the generator keeps lightness, that of
the full size is put back (as in DeOldify), and nothing is blurred.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from kornia.color import lab_to_rgb, rgb_to_lab
from torch import Tensor
from torch.nn.functional import interpolate

from artgen import files
from artgen.data.dataset import Progress
from artgen.data.images import Picture, encode_png, read_with_alpha, resize, shown, with_alpha
from artgen.data.pixels import to_float, to_uint8
from artgen.device import exhaustion, mixed
from artgen.errors import DataError, RecipeError, ResourceError
from artgen.film import FilmWriter, probe, read_frames
from artgen.rng import drawing
from artgen.run.build import build_source
from artgen.run.checkpoint import MANIFEST
from artgen.run.opening import OpenRun
from artgen.run.tasks import Task, digest_of, is_made, write_picture
from artgen.training import Generator

WHOLE_PIXELS = 2048 * 2048
"""A picture that has more pixels while it is translated is taken in tiles; one that has fewer, if memory runs out."""
TILE_PX = 1024
"""Side of a tile, rounded up to the generator's multiple."""
OVERLAP_PX = 256
"""So far do neighbours overlap, rounded up likewise. The outer quarter of it, of each, is context that is thrown away:
where a network looks no farther than that, 64 px, nothing differs from the whole picture. Over the half in the middle
one tile fades into the other, so a network that does look farther shows no seam."""

_STRIP_PIXELS = 1 << 20  # of a large picture, converted to Lab at once

log = logging.getLogger(__name__)


class Translator:
    """A trained run as a function from pictures to pictures.

    Args:
        run: Its generator takes pictures.
        side_px: The shorter side that a picture has while it is translated; 0 for its own size. As in training, unless
            given.
        as_is: Pictures are sources already. Otherwise sources are derived from them, if the recipe derives any.
        seed: Of a generator that draws also when it makes pictures: what it draws follows from this and a file's name.

    Raises:
        RecipeError: The generator takes no pictures.
    """

    def __init__(self, run: OpenRun, *, side_px: int | None = None, as_is: bool = False, seed: int = 0) -> None:
        if run.average.takes != "picture":
            made_from = "latents" if run.average.takes == "latent" else "nothing but a blank canvas"
            raise RecipeError(
                f"this run makes pictures from {made_from}, not from other pictures "
                f"(its generator is `{run.recipe.generator.label}`)",
                place=str(run.folder.path),
                remedy="`artgen sample` makes some.",
            )
        self.run, self.seed = run, seed
        self.side_px = min(run.size) if side_px is None else side_px
        self.generator = _ready(run)
        derive = None if as_is else build_source(run.recipe)
        self.derive = derive if derive is None else derive.to(run.device).eval().requires_grad_(False)
        self.labels = derive is None and run.recipe.data.options.source_is_labels
        manifest = files.read(run.checkpoint / MANIFEST, 1 << 25)
        settled = self.generator is not run.average
        self._request = f"{hashlib.sha256(manifest).hexdigest()} {settled} {self.side_px} {as_is} {seed}"

    def is_done(self, task: Task) -> bool:
        """Whether its output is there already, made from the same file in the same way.

        Raises:
            RecipeError: Something else is there.
            DataError: Something is there, but the input cannot be read.
        """
        return is_made(task, self._note)

    def translate_file(self, task: Task, progress: Progress) -> None:
        """Read a picture or a film, translate it and write it: a picture as PNG, with the alpha that it had.

        Raises:
            DataError: It cannot be read, or does not fit into memory; `cause` says why.
            ResourceError: The output cannot be written.
        """
        if task.is_film:
            self._translate_film(task, progress)
            return
        with _fitting(task):
            picture, alpha = read_with_alpha(task.input, labels=self.labels)
            made = self.translate(picture, task.input.name)
        write_picture(task, encode_png(made if alpha is None else with_alpha(made, alpha), self._note(task)))

    def _translate_film(self, task: Task, progress: Progress) -> None:
        """Frame by frame: no more than one of them is in memory."""
        about, note = probe(task.input), self._note(task)
        with files.disk_trouble(task.output, "the film cannot be written"):
            files.make_folder(task.output.parent)
        with (
            progress(task.input.name, about.frames) as advance,
            FilmWriter(task.output, (about.height, about.width), about.frames_per_second, note=note) as film,
        ):
            for frame in read_frames(task.input):
                with _fitting(task):
                    made = self.translate(frame, task.input.name)
                film.add(made)
                advance(1)

    @torch.no_grad()
    def translate(self, picture: Picture, name: str = "") -> Picture:
        """Make a picture (H, W, 3) uint8 from a picture of the same shape.

        Args:
            picture: An ordinary picture where sources are derived, otherwise a source.
            name: What a generator draws, if it does, follows from it.
        """
        height, width = picture.shape[:2]
        share = self.side_px / min(height, width) if self.side_px else 1.0
        size = max(1, round(height * share)), max(1, round(width * share))
        made = self._made(self._source(resize(picture, size, labels=self.labels)), name)
        if size == (height, width):
            return _array(made)
        if self.generator.keeps_lightness:
            return _in_full_lightness(made, self._source(picture))
        return resize(_array(made), (height, width))

    def _source(self, picture: Picture) -> Tensor:
        """What a picture is to be made from, (1, 3, H, W)."""
        pixels = to_float(torch.from_numpy(np.array(picture)).to(self.run.device).permute(2, 0, 1)[None])
        source: Tensor = pixels if self.derive is None else self.derive(pixels)
        return source

    def _made(self, source: Tensor, name: str) -> Tensor:
        """Make a picture of its source, both (1, 3, H, W): at once, or in tiles where it is too large for that."""
        (rows, top), (columns, left) = (_reflected(side, self.generator.multiple) for side in source.shape[2:])
        height, width = source.shape[2:]
        padded = source[:, :, rows.to(source.device)][..., columns.to(source.device)]
        made = self._at_once(padded, name) if padded.shape[2] * padded.shape[3] <= WHOLE_PIXELS else None
        if made is None:
            made = self._in_tiles(padded, name)
        return made[..., top : top + height, left : left + width]

    def _at_once(self, source: Tensor, name: str) -> Tensor | None:
        try:
            with exhaustion(name, ""):
                return self._sample(source, name)
        except ResourceError:
            return None

    def _in_tiles(self, source: Tensor, name: str) -> Tensor:
        """Make overlapping parts, and fade each into its neighbours."""
        tiles_down, tiles_across = (_tiles(side, self.generator.multiple) for side in source.shape[2:])
        total, weights = torch.zeros(source.shape), torch.zeros(source.shape[2:])
        for down, (rows, weight_down) in enumerate(tiles_down):
            for across, (columns, weight_across) in enumerate(tiles_across):
                tile = self._sample(source[..., rows, columns], name, down * len(tiles_across) + across)
                weight = weight_down[:, None] * weight_across
                total[..., rows, columns] += weight * tile.cpu()
                weights[rows, columns] += weight
        return total.div_(weights).to(source.device)

    def _sample(self, source: Tensor, name: str, tile: int = 0) -> Tensor:
        given = source.contiguous(memory_format=torch.channels_last)
        with mixed(self.run.device, self.run.precision), drawing(self.seed, f"translation of {name}", tile):
            return self.generator.sample(given)

    def _note(self, task: Task) -> str:
        """What a translation is kept with: a digest of all that it follows from."""
        followed = f"{self._request} {digest_of(task.input)} {task.input.name}"
        return hashlib.sha256(followed.encode(errors="surrogateescape")).hexdigest()


@contextmanager
def _fitting(task: Task) -> Iterator[None]:
    """What does not fit into memory becomes a fault of the file: others may be smaller."""
    try:
        with exhaustion(shown(task.input), "Translate it at a smaller size with --side."):
            yield
    except ResourceError as error:
        raise DataError(error.cause, place=error.place, remedy=error.remedy) from error


def _ready(run: OpenRun) -> Generator:
    """The generator as `artgen sample` has it, or, where that takes pictures that are not here, as it was saved."""
    try:
        return run.generator
    except DataError as error:
        log.warning(
            "%s: %s. So batch norm keeps the statistics of the last training steps; colours may come out a little "
            "otherwise than in previews.",
            error.place,
            error.cause.partition("\n")[0],
        )
        return run.average


def _reflected(side_px: int, multiple: int) -> tuple[Tensor, int]:
    """Which of its pixels stand along a side that is lengthened to a multiple by reflection, and where it begins."""
    spare_px = -side_px % multiple
    before_px = spare_px // 2
    places = np.pad(np.arange(side_px), (before_px, spare_px - before_px), mode="reflect")
    return torch.from_numpy(places), before_px


def _tiles(side_px: int, multiple: int) -> list[tuple[slice, Tensor]]:
    """Overlapping parts of a side, which is such a multiple, and the weight of each of their pixels."""
    overlap_px = -(-OVERLAP_PX // multiple) * multiple
    tile_px = min(side_px, max(-(-TILE_PX // multiple) * multiple, 2 * overlap_px))
    context_px = overlap_px / 4
    rise = ((torch.arange(tile_px) + 0.5 - context_px) / (overlap_px - 2 * context_px)).clamp(0, 1)
    tiles = []
    for start in [*range(0, side_px - tile_px, tile_px - overlap_px), side_px - tile_px]:
        weight = torch.ones(tile_px)
        if start > 0:
            weight *= rise
        if start + tile_px < side_px:
            weight *= rise.flip(0)
        tiles.append((slice(start, start + tile_px), weight))
    return tiles


def _array(made: Tensor) -> Picture:
    """A picture (1, 3, H, W) in [-1, 1] as (H, W, 3) uint8."""
    return np.asarray(to_uint8(made[0]).permute(1, 2, 0).contiguous().cpu().numpy())


def _in_full_lightness(made: Tensor, source: Tensor) -> Picture:
    """The colours (a and b of CIE Lab) of a picture (1, 3, h, w), in the lightness of its source (1, 3, H, W)."""
    chroma = rgb_to_lab((made + 1) / 2)[:, 1:]
    height, width = source.shape[2:]
    chroma = interpolate(chroma, size=(height, width), mode="bilinear", antialias=True)
    full = np.empty((height, width, 3), np.uint8)
    rows = max(1, _STRIP_PIXELS // width)
    for top in range(0, height, rows):
        strip = slice(top, top + rows)
        lightness = rgb_to_lab((source[:, :, strip] + 1) / 2)[:, :1]
        full[strip] = _array(lab_to_rgb(torch.cat([lightness, chroma[:, :, strip]], dim=1)) * 2 - 1)
    return full
