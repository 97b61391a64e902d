"""How pictures are looked at: their activations, and what losses measure in them, at once or piece by piece.

What does not fit into memory at once is taken in pieces: pictures one after the other, and larger ones in tiles. A tile
is looked at with as much around it as its activations see, so these are the ones of the whole picture; what losses
measure in tiles adds up; and its graph is thrown away and made again when the gradient comes back through it
(checkpointing, Chen et al. 2016). So the gradient is exact, in two passes over all pieces, and memory is that of one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate
from torch.utils.checkpoint import checkpoint

from artgen import RecipeError
from artgen.training import (
    Augmentation,
    Batch,
    Features,
    Losses,
    Measured,
    Outputs,
    Region,
    Style,
    Wanted,
)

Activations = Mapping[str, Tensor]


@dataclass(frozen=True)
class Piece:
    """Some pictures of a batch, and of these the part that is looked at, in pixels of the whole."""

    pictures: slice
    rows: slice
    columns: slice


class Look:
    """Looks at pictures through features, for losses.

    Args:
        features: The recipe's; None if its losses look at pixels only.
        augment: Changes what features see, by one draw a step for canvas and contents alike.
        losses: Measure what they want to compare.
    """

    def __init__(self, features: Features | None, augment: Augmentation, losses: Losses) -> None:
        self.features, self.losses = features, losses
        self.augment = None if type(augment) is Augmentation else augment
        counting = [term for term in losses.terms.values() if term.weight]
        terms = [term for term in counting if "made_features" in term.needs.get("generator", ())]
        self.needed = bool(terms)
        self.compares_contents = losses.need("generator", "source_features")
        strides_known = features is not None and bool(features.strides)
        self.splits = not self.needed or (strides_known and all(hasattr(term.loss, "measure") for term in terms))
        """Whether pictures can be taken in pieces."""
        if self.needed and features is not None and not features.layers:
            raise RecipeError(
                "these features do not say what their layers are called",
                place="features",
                remedy="Choose others, such as [features.wavelets]; or ask their author for `layers`.",
            )

    def begin(self, batch: Batch, pieces: int) -> tuple[Wanted, ...]:
        """Look at the styles, and prepare to look at a canvas in so many pieces."""
        self.pieces = pieces
        masks: list[Tensor | None] = []
        places = []
        for style in batch.styles:
            index = next((i for i, mask in enumerate(masks) if _are_one(mask, style.where)), len(masks))
            if index == len(masks):
                masks.append(style.where)
            places.append(index)
        if self.augment is not None and any(mask is not None for mask in masks):
            raise RecipeError(
                "an augmentation would move the pictures under the masks of their styles",
                place="augment",
                remedy="Take the table [augment] out, or the masks.",
            )
        self.masks = masks or [None]
        self.regions = tuple(self._region(mask, batch.real) for mask in self.masks)
        self.source = batch.real
        self.source_features: Activations | None = None
        if self.compares_contents and pieces == 1 and self.augment is None:
            self.source_features = _Noted(self._activations(batch.real))
        return tuple(
            self._wanted(style, place, places, batch) for style, place in zip(batch.styles, places, strict=True)
        )

    def draw(self, batch: Batch) -> None:
        """Draw the augmentation of a step."""
        self.drawn = None if self.augment is None else self.augment.draw(len(batch.real), batch.real.device)

    def at(self, x: Tensor) -> Outputs:
        """What losses want to see of a canvas (N, 3, H, W), with all that they measured in it."""
        outputs = Outputs(
            made=x, source=self.source, target=self.source, features=self.features, regions=self.regions,
            made_features={}, source_features={}, measured={},
        )  # fmt: skip
        if not self.needed:
            return outputs
        seen, source = self._augmented(x), self._augmented(self.source)
        if self.pieces > 1:
            compared = source if self.compares_contents else None
            return replace(outputs, measured=self._in_pieces(seen, compared, self.regions))
        outputs = replace(outputs, made_features=self._activations(seen), source_features=self._of_source(source))
        outputs = replace(outputs, measured=self.losses.measure(outputs))
        if isinstance(self.source_features, _Noted):  # a network has many layers; few are of use again
            self.source_features = {layer: self.source_features[layer] for layer in self.source_features.read}
        return outputs

    def _wanted(self, style: Style, place: int, places: Sequence[int], batch: Batch) -> Wanted:
        """A style, with what the losses measure in it. Its weight is that of its region's share of the canvas."""
        weights = [other.weight for other, at in zip(batch.styles, places, strict=True) if at == place]
        mask = self.masks[place]
        area = 1.0 if mask is None else float(mask.mean())
        measured: dict[object, Measured] = {}
        if self.needed:
            regions = (self._region(style.part, style.picture),)
            measured = self._measured(style.picture, regions)
        shares = {loss: regions[0] for loss, regions in measured.items()}
        return Wanted(style.weight / sum(weights) * area, place, shares, style.picture, style.part)

    def _measured(self, pictures: Tensor, regions: tuple[Region, ...]) -> dict[object, Measured]:
        """What losses measure in pictures (N, 3, H, W) that have no source, at once or in pieces."""
        if self.pieces == 1:
            return self.losses.measure(
                Outputs(made_features=self._activations(pictures), regions=regions, features=self.features)
            )
        return self._in_pieces(pictures, None, regions)

    def _in_pieces(
        self, pictures: Tensor, source: Tensor | None, regions: tuple[Region, ...]
    ) -> dict[object, Measured]:
        """The sum over the tiles of each picture, and the pictures one after the other."""
        assert self.features is not None
        whole = self._layer_sizes(pictures)
        groups: list[tuple[int, dict[object, Measured]]] = []
        count = max(1, round(self.pieces * pictures.shape[2] * pictures.shape[3] / self.source[0, 0].numel()))
        devices = [pictures.device] if pictures.device.type == "cuda" else []
        last: slice | None = None
        pieces = list(pieces_of(pictures.shape, count, max(self.features.strides)))
        for piece in pieces:
            # Every piece has the draws of a look at the whole, and the last one leaves the state that this leaves.
            with nullcontext() if piece is pieces[-1] else torch.random.fork_rng(devices):
                measured = checkpoint(self._measure_piece, pictures, source, regions, piece, whole, use_reentrant=False)
            if piece.pictures == last:
                measured = _added(groups.pop()[1], measured)
            groups.append((piece.pictures.stop - piece.pictures.start, measured))
            last = piece.pictures
        return _joined(groups)

    def _measure_piece(
        self,
        pictures: Tensor,
        source: Tensor | None,
        regions: tuple[Region, ...],
        piece: Piece,
        whole: Mapping[str, tuple[int, int]],
    ) -> dict[object, Measured]:
        """What losses measure in a piece of pictures (N, 3, H, W)."""
        assert self.features is not None
        own, place = {}, {}
        made = self._activations_of_piece(pictures, piece)
        for layer, stride in self._strides(made):
            row, column = piece.rows.start // stride, piece.columns.start // stride
            rows, columns = made[layer].shape[2:]
            own[layer] = (slice(row, row + rows), slice(column, column + columns))
            place[layer] = (row, column, *whole[layer])
        own["pixels"] = (piece.rows, piece.columns)
        cut = tuple(
            None if region is None else {layer: weights[:, :, *own[layer]] for layer, weights in region.items()}
            for region in regions
        )
        sources = None
        if source is not None:
            with torch.no_grad():
                sources = self._activations_of_piece(source, piece)
        return self.losses.measure(
            Outputs(made_features=made, source_features=sources, regions=cut, features=self.features, place=place)
        )

    def _activations_of_piece(self, pictures: Tensor, piece: Piece) -> dict[str, Tensor]:
        """The activations that belong to a piece: those of the whole picture there."""
        assert self.features is not None
        coarsest, reach = max(self.features.strides), self.features.reach_px
        halo = math.ceil(reach / coarsest) * coarsest
        height, width = pictures.shape[2:]
        top, left = max(0, piece.rows.start - halo), max(0, piece.columns.start - halo)
        bottom, right = min(height, piece.rows.stop + halo), min(width, piece.columns.stop + halo)
        around = self._activations(pictures[piece.pictures, :, top:bottom, left:right])
        own = {}
        for layer, stride in self._strides(around):
            rows = _within(piece.rows, top, height, stride)
            columns = _within(piece.columns, left, width, stride)
            own[layer] = around[layer][:, :, rows, columns]
        return own

    def _activations(self, pictures: Tensor) -> dict[str, Tensor]:
        assert self.features is not None  # the recipe was checked: a loss needs them
        activations = self.features(pictures.contiguous(memory_format=torch.channels_last))
        return dict(zip(self.features.layers, activations, strict=False))  # a small picture may lack the coarsest

    def _strides(self, layers: Mapping[str, object]) -> Iterator[tuple[str, int]]:
        """The stride of each layer that is there."""
        assert self.features is not None
        return ((layer, stride) for layer, stride in zip(self.features.layers, self.features.strides, strict=True)
                if layer in layers)  # fmt: skip

    def _of_source(self, source: Tensor) -> Activations | None:
        if not self.compares_contents:
            return None
        if self.source_features is not None:
            return self.source_features
        with torch.no_grad():
            return self._activations(source)

    def _augmented(self, pictures: Tensor) -> Tensor:
        return pictures if self.augment is None else self.augment.apply_draw(pictures, self.drawn)

    @torch.no_grad()
    def _layer_sizes(self, pictures: Tensor) -> dict[str, tuple[int, int]]:
        """Rows and columns of each layer of whole pictures, from the last tile: it ends where the pictures do."""
        assert self.features is not None
        coarsest = max(self.features.strides)
        height, width = pictures.shape[2:]
        top, left = (max(0, (side - 1) // coarsest) * coarsest for side in (height, width))
        corner = self._activations_of_piece(pictures, Piece(slice(0, 1), slice(top, height), slice(left, width)))
        return {
            layer: (top // stride + corner[layer].shape[2], left // stride + corner[layer].shape[3])
            for layer, stride in self._strides(corner)
        }

    def _region(self, mask: Tensor | None, pictures: Tensor) -> Region:
        """How much of each position of each layer belongs to a mask (1, 1, H, W): its mean over a stride's square."""
        if mask is None:
            return None
        weights = {"pixels": mask}
        if self.features is None or not self.needed:
            return weights
        if self.features.strides:
            sizes = self._layer_sizes(pictures)
            for layer, stride in self._strides(sizes):
                rows, columns = sizes[layer]
                weights[layer] = avg_pool2d(mask, stride, ceil_mode=True, count_include_pad=False)[..., :rows, :columns]
            return weights
        with torch.no_grad():
            for layer, activation in self._activations(pictures[:1]).items():
                weights[layer] = interpolate(mask, size=activation.shape[2:], mode="area")
        return weights


class _Noted(dict[str, Tensor]):
    """Remembers which layers somebody has asked for."""

    def __init__(self, activations: Activations) -> None:
        super().__init__(activations)
        self.read: set[str] = set()

    def __getitem__(self, layer: str) -> Tensor:
        self.read.add(layer)
        return super().__getitem__(layer)


def _are_one(mask: Tensor | None, other: Tensor | None) -> bool:
    """Whether two masks mean one region."""
    return mask is other or (mask is not None and other is not None and torch.equal(mask, other))


def pieces_of(shape: Sequence[int], count: int, multiple: int) -> Iterator[Piece]:
    """Cut pictures of a shape (N, 3, H, W) into about so many pieces; tiles begin at a multiple of pixels."""
    pictures, _, height, width = shape
    if count <= pictures:
        group, tile_px = math.ceil(pictures / count), max(height, width)
    else:
        cuts = math.ceil((count / pictures) ** 0.5)
        group, tile_px = 1, math.ceil(max(height, width) / cuts)
    tile_px = math.ceil(tile_px / multiple) * multiple
    for first in range(0, pictures, group):
        for top in range(0, height, tile_px):
            for left in range(0, width, tile_px):
                yield Piece(
                    slice(first, min(pictures, first + group)),
                    slice(top, min(height, top + tile_px)),
                    slice(left, min(width, left + tile_px)),
                )


def _within(own: slice, start: int, side: int, stride: int) -> slice:
    """Which positions of a crop that begins at a pixel belong to a piece; the last piece has all that are left."""
    stop = None if own.stop == side else (own.stop - start) // stride
    return slice((own.start - start) // stride, stop)


def _added(one: Mapping[object, Measured], other: Mapping[object, Measured]) -> dict[object, Measured]:
    """The sum of what was measured in two tiles."""
    return {
        loss: tuple(
            tuple(a + b for a, b in zip(region, its, strict=True))
            for region, its in zip(regions, other[loss], strict=True)
        )
        for loss, regions in one.items()
    }


def _joined(groups: Sequence[tuple[int, Mapping[object, Measured]]]) -> dict[object, Measured]:
    """What was measured in groups of so many pictures, as if in all of them at once."""

    def end_to_end(several: Sequence[Tensor]) -> Tensor:
        counts = (count for count, _ in groups)
        return torch.cat([found.expand(count, *found.shape[1:]) for count, found in zip(counts, several, strict=True)])

    return {
        loss: tuple(
            tuple(end_to_end(several) for several in zip(*regions, strict=True))
            for regions in zip(*(measured[loss] for _, measured in groups), strict=True)
        )
        for loss in groups[0][1]
    }
