"""What a feature network promises."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

from artgen.components import Kind
from artgen.device import mixed
from artgen.errors import ArtgenError
from artgen.rng import drawing
from artgen.testing.runs import CPU
from artgen.testing.suite import ComponentContract
from artgen.testing.verdicts import close, copied, gpu, moved, require, require_finite, require_no_reads, same
from artgen.testing.watch import HostReads
from artgen.training import Features

COUNT = 3
LARGEST_TILED_PX = 768
"""A network that looks so far that its tiles can only be compared in larger pictures is not tried."""


class FeaturesContract(ComponentContract):
    """What a feature network promises (`artgen.training.Features`)."""

    kind: ClassVar[Kind] = "features"
    sizes: Sequence[tuple[int, int]] = ((32, 32), (64, 64), (32, 48))
    """(height, width) in pixels. It takes each of them, or refuses it with an ArtgenError that says what to do."""

    def frozen(self) -> Features:
        """The network, frozen as a run freezes it."""
        features: Features = self.make()
        return features.eval().requires_grad_(False)

    def pictures(self, size: tuple[int, int]) -> Tensor:
        """The same pictures each time."""
        with drawing(0, "pictures"):
            return torch.rand(COUNT, 3, *size) * 2 - 1

    def test_activations_run_from_shallow_to_deep(self) -> None:
        """A tuple of finite activations (N, C, h, w), each no larger than the one before it, at several sizes."""
        features, refusals = self.frozen(), []
        for size in self.sizes:
            try:
                activations = features(self.pictures(size))
            except ArtgenError as error:
                require(error.remedy, f"It refuses {size} without saying what to do: give the error a `remedy`.")
                refusals.append(str(error))
                continue
            require(
                isinstance(activations, tuple) and all(x.dim() == 4 and len(x) == COUNT for x in activations),
                "`forward` gives no tuple of activations (N, C, h, w).",
            )
            require_finite("An activation", *activations)
            heights = [x.shape[2] for x in activations]
            require(
                heights == sorted(heights, reverse=True),
                f"The heights of the activations are {heights}: order them from shallow to deep.",
            )
        require(
            len(refusals) < len(self.sizes), "It refuses every size in `sizes`: set others.\n" + "\n".join(refusals)
        )

    def test_embedding_is_one_vector_a_picture(self) -> None:
        """`embed` gives (N, C), finite: another vector for another picture, whatever else is in the batch."""
        features, pictures = self.frozen(), self.pictures(self.size())
        vectors = features.embed(pictures)
        require(
            vectors.dim() == 2 and len(vectors) == COUNT,
            f"`embed` gives {tuple(vectors.shape)} for {COUNT} pictures: give one vector each, (N, C).",
        )
        require_finite("An embedding", vectors)
        require(not close(vectors[0], vectors[1]), "`embed` gives one vector for two pictures: it sees nothing.")
        require(
            close(vectors[:1], features.embed(pictures[:1])),
            "`embed` of a picture depends on the rest of the batch: no statistics over the batch in a frozen network.",
        )

    def test_layers_have_names(self) -> None:
        """If it names its layers: each activation has a name, those for style and content are among them, and each
        position of a layer begins in the picture, so many pixels after the one before it as `strides` tells."""
        features, pictures = self.frozen(), self.pictures(self.size())
        layers, strides = features.layers, features.strides
        require(
            layers or not (strides or features.style_layers or features.content_layers),
            "It tells of layers without naming them: set `layers`.",
        )
        require(len(set(layers)) == len(layers), f"Two of its layers have one name: {', '.join(layers)}.")
        unknown = {*features.style_layers, *features.content_layers} - {*layers}
        require(not unknown, f"`style_layers` or `content_layers` name {', '.join(sorted(unknown))}, not in `layers`.")
        activations = features(pictures)
        require(
            not layers or len(layers) == len(activations),
            f"It names {len(layers)} layers, and `forward` gives {len(activations)} activations.",
        )
        require(
            not strides or len(strides) == len(layers), f"It tells {len(strides)} strides for {len(layers)} layers."
        )
        for layer, stride, activation in zip(layers, strides, activations, strict=False):
            require(
                all((n - 1) * stride < px for n, px in zip(activation.shape[2:], pictures.shape[2:], strict=True)),
                f"Layer {layer} has {tuple(activation.shape[2:])} positions for {tuple(pictures.shape[2:])} px: they "
                f"cannot lie {stride} px apart.",
            )

    def test_a_tile_sees_what_the_whole_sees(self) -> None:
        """If it tells `strides`: cut with `reach_px` around it, each tile of a picture has the activations that the
        whole picture has there, also at the picture's borders."""
        features = self.frozen()
        if not features.strides:
            pytest.skip("it tells no strides, so nothing is taken in tiles")
        reach, step = features.reach_px, max(features.strides)
        margin = -(-reach // step) * step  # tiles begin at multiples of the largest stride
        # Along each side: a tile at the beginning, one that is cut on both sides, a large and a narrow one at the end.
        borders = (0, margin + step, margin + 2 * step, 2 * margin + 2 * step, 2 * margin + 2 * step + 3)
        if borders[-1] > LARGEST_TILED_PX:
            pytest.skip(f"it looks {reach} px far, and pictures large enough to see that are slow")
        with drawing(0, "pictures"):
            picture = torch.rand(1, 3, borders[-1], borders[-1]) * 2 - 1
        whole = features(picture)
        for (top, bottom), (left, right) in itertools.product(itertools.pairwise(borders), repeat=2):
            above, before = max(top - margin, 0), max(left - margin, 0)
            tile = features(picture[:, :, above : bottom + reach, before : right + reach])
            require(
                len(tile) == len(whole),
                f"A tile of {bottom - top}x{right - left} px with {reach} px around it has {len(tile)} layers, and the "
                f"whole picture {len(whole)}: tell a larger `reach_px`, or no `strides`.",
            )
            for layer, stride, seen, there in zip(features.layers, features.strides, tile, whole, strict=False):
                own = positions(seen, stride, (top - above, bottom - above), (left - before, right - before))
                require(
                    close(own, positions(there, stride, (top, bottom), (left, right))),
                    f"Pixels {top} to {bottom} from above and {left} to {right} from the left, of a picture of "
                    f"{borders[-1]} px, with {reach} px around them, have other activations in layer {layer} than in "
                    "the whole picture: tell the right `strides` and `reach_px`, or no `strides`.",
                )

    def test_it_is_frozen(self) -> None:
        """In eval mode it answers the same each time, and no state moves; two makings are equal."""
        features, pictures = self.frozen(), self.pictures(self.size())
        before = copied(features.state_dict())
        torch.manual_seed(1)
        first = features(pictures)
        torch.manual_seed(2)
        require(same(first, features(pictures)), "Two calls with the same pictures differ: it must draw nothing.")
        names = moved(before, features.state_dict())
        require(not names, f"A call changes {names}: a feature network keeps no state.")
        require(
            not moved(before, self.frozen().state_dict()),
            "Made twice with one seed it has two sets of weights: read them from a file, or draw them from torch's "
            "global generator when the factory is called.",
        )

    def test_gradients_reach_the_pictures(self) -> None:
        """A loss on features teaches a generator: every activation passes a finite gradient to the pictures."""
        features, pictures = self.frozen(), self.pictures(self.size()).requires_grad_()
        for depth, activation in enumerate(features(pictures)):
            gradient: Any = None
            if activation.requires_grad:
                (gradient,) = torch.autograd.grad(activation.square().sum(), pictures, retain_graph=True)
            require(
                gradient is not None,
                f"No gradient leads from activation {depth} to the pictures: freeze by `requires_grad_(False)`, which "
                "artgen does, and not by `no_grad` or `detach`.",
            )
            require_finite(f"The gradient of activation {depth}", gradient)

    def test_bf16(self) -> None:
        """Under autocast, activations are finite."""
        with mixed(CPU, "bf16"):
            require_finite("Under bf16 an activation", *self.frozen()(self.pictures(self.size())))

    def test_nothing_waits_for_the_host(self) -> None:
        """A call reads no value on the host."""
        features, pictures = self.frozen(), self.pictures(self.size())
        with HostReads() as reads:
            features(pictures)
        require_no_reads(reads)

    def test_devices_agree(self) -> None:
        """CPU and GPU give the same to rounding."""
        device, features, pictures = gpu(), self.frozen(), self.pictures(self.size())
        on_cpu, on_gpu = features(pictures), features.to(device)(pictures.to(device))
        require(
            all(close(x, y.cpu(), 1e-2) for x, y in zip(on_cpu, on_gpu, strict=True)),
            "CPU and GPU answer differently: look for tensors made on the CPU.",
        )

    def size(self) -> tuple[int, int]:
        """The largest of the sizes."""
        return max(self.sizes, key=lambda size: size[0] * size[1])


def positions(activation: Tensor, stride: int, rows_px: tuple[int, int], columns_px: tuple[int, int]) -> Tensor:
    """Those positions of an activation whose squares begin within a stretch of pixels from above and from the left."""
    rows, columns = (slice(*(-(-end // stride) for end in ends)) for ends in (rows_px, columns_px))
    return activation[:, :, rows, columns]
