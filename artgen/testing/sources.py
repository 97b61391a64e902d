"""What a source promises."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from artgen.components import Kind
from artgen.rng import drawing
from artgen.testing.suite import ComponentContract
from artgen.testing.verdicts import close, copied, gpu, moved, require, require_finite, require_no_reads, same
from artgen.testing.watch import HostReads
from artgen.training import Source

COUNT = 4


class SourceContract(ComponentContract):
    """What a source promises (`artgen.training.Source`)."""

    kind: ClassVar[Kind] = "source"
    sizes: Sequence[tuple[int, int]] = ((16, 16), (32, 32), (16, 24))
    """(height, width) in pixels of the pictures."""

    def at_work(self) -> Source:
        """The source, as a run has it."""
        source: Source = self.make()
        return source.eval().requires_grad_(False)

    def pictures(self, size: tuple[int, int] | None = None) -> Tensor:
        """Pictures of random patches, the same each time."""
        with drawing(0, "pictures"):
            return interpolate(torch.rand(COUNT, 3, 4, 4) * 2 - 1, size or self.sizes[0], mode="nearest")

    def test_sources_have_the_form_of_pictures(self) -> None:
        """Pictures of every size give sources of their shape and type, in [-1, 1], and are left alone."""
        source = self.at_work()
        for size in self.sizes:
            pictures = self.pictures(size)
            made = source(pictures)
            require(
                made.shape == pictures.shape and made.dtype == pictures.dtype,
                f"Pictures {tuple(pictures.shape)} {pictures.dtype} give {tuple(made.shape)} {made.dtype}: keep shape "
                "and type; of what is grey give three equal channels.",
            )
            require_finite("A source", made)
            require(made.abs().max() <= 1, f"Values up to {made.abs().max():.4g}: keep to [-1, 1], as pictures do.")
            require(
                torch.equal(pictures, self.pictures(size)),
                "It changes the pictures that it is given, which are to be learnt: no operation in place.",
            )

    def test_a_picture_has_one_source(self) -> None:
        """It is the same each time, whatever the seed; made anew too, and no state moves."""
        source, pictures = self.at_work(), self.pictures()
        before = copied(source.state_dict())
        torch.manual_seed(1)
        first = source(pictures)
        torch.manual_seed(2)
        require(
            same(first, source(pictures)) and same(first, self.at_work()(pictures)),
            "One picture has two sources: it must draw nothing, and keep nothing between two calls.",
        )
        names = moved(before, source.state_dict())
        require(not names, f"A call changes {names}: a source keeps no state.")

    def test_each_picture_by_itself(self) -> None:
        """A picture's source does not depend on the rest of the batch, and is its own."""
        source, pictures = self.at_work(), self.pictures()
        together = source(pictures)
        require(
            close(together[:1], source(pictures[:1]), 1e-3),
            "The source of a picture depends on the rest of the batch: no statistics over the batch.",
        )
        require(
            not close(together[:1], together[1:2]), "Two pictures have one source: nothing could be learnt from it."
        )

    def test_nothing_comes_of_nothing(self) -> None:
        """An empty batch stays an empty batch."""
        nothing = self.pictures()[:0]
        made = self.at_work()(nothing)
        require(made.shape == nothing.shape, f"An empty batch comes back as {tuple(made.shape)}.")

    def test_nothing_waits_for_the_host(self) -> None:
        """A call reads no value on the host."""
        source, pictures = self.at_work(), self.pictures()
        with HostReads() as reads:
            source(pictures)
        require_no_reads(reads)

    def test_devices_agree(self) -> None:
        """CPU and GPU give the same to rounding."""
        device, source, pictures = gpu(), self.at_work(), self.pictures()
        on_cpu, on_gpu = source(pictures), source.to(device)(pictures.to(device))
        require(close(on_cpu, on_gpu.cpu(), 1e-2), "CPU and GPU give other sources: look for tensors made on the CPU.")
