"""The order of showing: which picture stands at which position, and its way to the device.

The place in the data is one integer, the number of pictures shown so far. What stands there is a function of (seed,
position): batch sizes, ranks and restarts change nothing, and there is no state to save.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from artgen.data.dataset import Dataset, Neighbour, Pictures, Repainting
from artgen.data.pixels import to_float, to_uint8
from artgen.errors import DataError
from artgen.rng import numpy_generator, permutation
from artgen.training import Batch, Film, Size, Source, Style

# The share of free GPU memory that the data set may take; the rest is for training.
_RESIDENT_SHARE = 0.6
# Pictures moved or converted at a time.
_CHUNK = 1024
# Pictures whose sources are computed at a time.
_DERIVED = 64

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class _Shown:
    """Which pictures stand at some positions, and how they are shown there."""

    picture: Indices
    mirrored: NDArray[np.bool_]
    cut: Indices
    """(n, 2): top and left of the part that is cut out of each enlarged picture."""

    def at(self, places: Indices | NDArray[np.bool_]) -> _Shown:
        """Those at these places of them."""
        return _Shown(self.picture[places], self.mirrored[places], self.cut[places])


class Feed:
    """Batches of a data set for any position.

    Args:
        dataset: Prepared pictures.
        seed: Of the run; the order and the mirroring follow from it.
        device: Where batches are wanted. On CUDA the whole data set moves there if it takes less than 60 % of what is
            free; otherwise pictures are gathered by the CPU.
        mirror: Show each picture as it is or mirrored, by a coin for each position; pairs are mirrored together.
        jitter_px: Enlarge the shorter side of each picture by so many pixels, and show a part of the old size. Its
            place is drawn for each position, one for both sides of a pair (Isola et al. 2017, section 6.2).
        derive: Computes from pictures, as they are shown, what they are to be made from, if these are no pairs.
        held_out: Share of the pictures that no batch ever holds; at least one, if it is not 0.
    """

    def __init__(
        self,
        dataset: Dataset,
        seed: int,
        device: torch.device | str,
        mirror: bool = False,
        jitter_px: int = 0,
        derive: Source | None = None,
        held_out: float = 0.0,
    ) -> None:
        self.dataset, self.seed, self.device, self.mirror = dataset, seed, torch.device(device), mirror
        if not len(dataset):
            raise DataError("the data set holds no pictures")
        self._enlarged = _enlarged(Size(*dataset.real.shape[1:3]), jitter_px)
        self._epoch = lru_cache(maxsize=2)(self._draw_epoch)  # a batch may reach into the next epoch
        self._repainted = lru_cache(maxsize=1)(self._whole_batch)  # the same object for every step of a phase
        fixed = self._ordered() if dataset.repainting else permutation(seed, "fixed", 0, len(dataset))
        held_out_count = max(1, round(held_out * len(dataset))) if held_out else 0
        if held_out_count == len(dataset):
            raise DataError(
                f"held_out = {held_out:g} of {len(dataset)} picture(s) leaves none to learn from",
                remedy="Hold fewer out, or give more pictures.",
            )
        self._held_out, self._training = fixed[:held_out_count], fixed[held_out_count:]
        self._learnt = np.sort(self._training)
        self._real: Pictures | Tensor = dataset.real
        self._source: Pictures | Tensor | None = dataset.source
        self._derive = derive if derive is None else derive.to(self.device).eval().requires_grad_(False)
        self._move_to_gpu()

    @property
    def paired(self) -> bool:
        """Whether there are sources."""
        return self._source is not None or self._derive is not None

    def batch(self, images: int, count: int, size: Size, rank: int = 0, world: int = 1) -> Batch:
        """The pictures at positions `images` to `images + count`, or the share of one process of them.

        Args:
            images: Pictures shown before.
            count: Size of the batch over all processes.
            size: Wanted size, at most that of the data set.
            rank: Which process this is, of `world`; each takes a contiguous share.
            world: How many processes there are.

        Returns:
            Pictures (n, 3, H, W) float32 in [-1, 1] on the device, in channels_last memory. Pictures that are repainted
            all come in every batch, in their order, with styles and neighbours of the same scale.
        """
        if self.dataset.repainting is not None:
            return self._repainted(size)
        first, end = images + count * rank // world, images + count * (rank + 1) // world
        epochs, places = np.divmod(np.arange(first, end), len(self._learnt))
        pieces = [self._epoch(int(epoch)).at(places[epochs == epoch]) for epoch in np.unique(epochs)]
        pieces = pieces or [self._epoch(0).at(places)]  # of more processes than pictures, some have none
        shown = _Shown(
            np.concatenate([piece.picture for piece in pieces]),
            np.concatenate([piece.mirrored for piece in pieces]),
            np.concatenate([piece.cut for piece in pieces]),
        )
        real = self._pictures(self._real, shown.picture, size, shown)
        if self._derive is not None:
            return Batch(real, _derived(self._derive, real))
        if self._source is None:
            return Batch(real)
        return Batch(real, self._pictures(self._source, shown.picture, size, shown, self.dataset.source_is_labels))

    def _whole_batch(self, size: Size) -> Batch:
        """All pictures that are to be repainted, and how."""
        repainting = self.dataset.repainting
        assert repainting is not None
        scale = size.height / self.dataset.real.shape[1]
        styles = tuple(
            Style(
                self._scaled(style.picture, scale),
                style.weight,
                None if style.where is None else self._mask(style.where, size),
                None if style.part is None else self._mask(style.part, _times(style.picture.shape, scale)),
            )
            for style in repainting.styles
        )
        real = self._pictures(self._real, self._ordered(), size)
        start = None if repainting.start is None else _shrink(self._pixels(repainting.start), size)
        return Batch(real, styles=styles, film=self._film(repainting, size), start=start)

    def _ordered(self) -> Indices:
        return np.arange(len(self.dataset))

    def _film(self, repainting: Repainting, size: Size) -> Film | None:
        if repainting.frames_per_second is None:
            return None

        def finished(neighbour: Neighbour | None) -> tuple[Tensor, Tensor] | None:
            if neighbour is None:
                return None
            content, made = (self._pixels(picture) for picture in (neighbour.content, neighbour.made))
            return _shrink(content, size), _shrink(made, size)

        return Film(repainting.loops, finished(repainting.before), finished(repainting.after))

    def _scaled(self, picture: NDArray[np.uint8], scale: float) -> Tensor:
        """A picture (h, w, 3) uint8 that is as much smaller as the phase's are, (1, 3, h', w') in [-1, 1]."""
        return _shrink(self._pixels(picture), _times(picture.shape, scale))

    def _pixels(self, picture: NDArray[np.uint8]) -> Tensor:
        pixels = torch.from_numpy(np.array(picture)).to(self.device).permute(2, 0, 1)[None]
        return to_float(pixels).contiguous(memory_format=torch.channels_last)

    def _mask(self, mask: NDArray[np.uint8], size: Size) -> Tensor:
        """A mask (h, w) uint8 -> (1, 1, H, W) in 0..1."""
        shares = torch.from_numpy(np.array(mask)).to(self.device)[None, None].float().div_(255)
        return _shrink(shares, size)

    def reals(self, count: int, size: Size, *, training: bool = False) -> Tensor:
        """The first `count` pictures, or all, of a fixed shuffled order, (n, 3, H, W) uint8 on the device.

        These are held-out ones, where there are any; with `training` such as batches hold.
        """
        chosen = self._chosen(count, training)
        # In pieces: as floats, all pictures of a large data set would not fit into memory at once.
        pieces = (chosen[first : first + _CHUNK] for first in range(0, len(chosen), _CHUNK))
        return torch.cat([to_uint8(self._pictures(self._real, piece, size)) for piece in pieces])

    def all_real(self, size: Size) -> Tensor:
        """Every picture that batches hold, as `reals` gives them."""
        return self.reals(len(self._training), size, training=True)

    def sources(self, count: int, size: Size, *, training: bool = False) -> Tensor | None:
        """What `reals` of the same count are to be made from, (n, 3, H, W) in [-1, 1]; None if these are no pairs."""
        chosen = self._chosen(count, training)
        if self._derive is not None:
            return _derived(self._derive, self._pictures(self._real, chosen, size))
        if self._source is None:
            return None
        return self._pictures(self._source, chosen, size, labels=self.dataset.source_is_labels)

    def _chosen(self, count: int, training: bool) -> Indices:
        return (self._training if training or not len(self._held_out) else self._held_out)[:count]

    def _draw_epoch(self, epoch: int) -> _Shown:
        """Which picture stands at each place of an epoch, and how it is shown there."""
        count = len(self._learnt)
        order = self._learnt[permutation(self.seed, "order", epoch, count)]
        mirrored, cut = np.zeros(count, np.bool_), np.zeros((count, 2), np.int64)
        if self.mirror:
            mirrored = numpy_generator(self.seed, "mirror", epoch).random(count) < 0.5
        if self._enlarged is not None:
            height, width = self.dataset.real.shape[1:3]
            spare = (self._enlarged.height - height + 1, self._enlarged.width - width + 1)
            cut = numpy_generator(self.seed, "jitter", epoch).integers(0, spare, (count, 2))
        return _Shown(order, mirrored, cut)

    def _pictures(
        self,
        pictures: Pictures | Tensor,
        indices: Indices,
        size: Size,
        shown: _Shown | None = None,
        labels: bool = False,
    ) -> Tensor:
        """Gather, mirror, convert, cut and shrink: (n, 3, H, W) float in [-1, 1] on the device."""
        if isinstance(pictures, Tensor):
            gathered = pictures[torch.from_numpy(indices).to(self.device)]
        else:
            # NumPy gathers five times as fast as torch here; only bytes travel to the device.
            gathered = torch.from_numpy(pictures[indices]).to(self.device)
        nchw = gathered.permute(0, 3, 1, 2)  # (n, H, W, 3) -> (n, 3, H, W), a channels_last view
        if shown is not None and shown.mirrored.any():
            tossed = torch.from_numpy(shown.mirrored).to(self.device)[:, None, None, None]
            nchw = torch.where(tossed, nchw.flip(3), nchw)
        floats = to_float(nchw)
        if shown is not None and self._enlarged is not None:
            top, left = torch.from_numpy(shown.cut).to(self.device).unbind(1)
            floats = _cut(floats, self._enlarged, top, left, labels)
        return _shrink(floats, size, labels).contiguous(memory_format=torch.channels_last)

    def _move_to_gpu(self) -> None:
        if self.device.type != "cuda":
            return
        arrays = [array for array in (self.dataset.real, self.dataset.source) if array is not None]
        free_bytes, _ = torch.cuda.mem_get_info(self.device)
        if sum(array.nbytes for array in arrays) < _RESIDENT_SHARE * free_bytes:
            self._real = _on(self.device, self.dataset.real)
            self._source = None if self.dataset.source is None else _on(self.device, self.dataset.source)


@torch.no_grad()
def _derived(derive: Source, pictures: Tensor) -> Tensor:
    """What pictures are to be made from, (n, 3, H, W), in channels_last memory."""
    made = [derive(piece) for piece in torch.split(pictures, _DERIVED)]
    return torch.cat(made).contiguous(memory_format=torch.channels_last)


def _on(device: torch.device, pictures: Pictures) -> Tensor:
    moved = torch.empty(pictures.shape, dtype=torch.uint8, device=device)
    for first in range(0, len(pictures), _CHUNK):
        # A copy, because torch does not take arrays that are mapped read-only.
        moved[first : first + _CHUNK] = torch.from_numpy(np.array(pictures[first : first + _CHUNK])).to(device)
    return moved


def _enlarged(size: Size, jitter_px: int) -> Size | None:
    """The size that pictures are enlarged to before a part is cut out; None if all of them is shown."""
    if not jitter_px:
        return None
    share = 1 + jitter_px / min(size)
    return Size(round(size.height * share), round(size.width * share))


def _cut(pictures: Tensor, enlarged: Size, top: Tensor, left: Tensor, labels: bool) -> Tensor:
    """Enlarge pictures (n, 3, H, W), and cut of each the part (H, W) that begins at its own `top` and `left`, (n,)."""
    height, width = pictures.shape[2:]
    if labels:
        larger = interpolate(pictures, size=tuple(enlarged), mode="nearest-exact")
    else:
        larger = interpolate(pictures, size=tuple(enlarged), mode="bicubic").clamp(-1, 1)
    windows = larger.unfold(2, height, 1).unfold(3, width, 1)  # (n, 3, tops, lefts, H, W), no copy
    return windows[torch.arange(len(pictures), device=pictures.device), :, top, left]


def _times(shape: tuple[int, ...], scale: float) -> Size:
    """The size of a picture of this shape, (h, w) or more, that is scaled; no side under 1 px."""
    return Size(*(max(1, round(side * scale)) for side in shape[:2]))


def _shrink(pictures: Tensor, size: Size, labels: bool = False) -> Tensor:
    """To a smaller size by area: the mean over whole pixels where the factor is an integer. Labels by nearest."""
    height, width = pictures.shape[2:]
    if (height, width) == (size.height, size.width):
        return pictures
    if size.height > height or size.width > width:
        raise DataError(
            f"a phase asks for {size} px, and the pictures are prepared at {Size(height, width)} px",
            remedy="Set `resolution` of the data table to the largest size of the phases.",
        )
    if labels:
        return interpolate(pictures, size=tuple(size), mode="nearest-exact")
    if height % size.height or width % size.width:  # by area, neighbours would share pixels unevenly
        return interpolate(pictures, size=tuple(size), mode="bilinear", antialias=True)
    return interpolate(pictures, size=tuple(size), mode="area")
