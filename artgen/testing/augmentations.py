"""What an augmentation promises."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from artgen.components import Kind
from artgen.device import mixed
from artgen.rng import drawing
from artgen.run.state import pack
from artgen.testing.gradients import fault_of_gradient, fault_of_second_gradient
from artgen.testing.runs import CPU, around
from artgen.testing.suite import ComponentContract
from artgen.testing.verdicts import close, copied, gpu, levels_of, require, require_finite, require_no_reads, same
from artgen.testing.watch import HostReads
from artgen.training import Augmentation

COUNT = 4


class AugmentationContract(ComponentContract):
    """What an augmentation promises (`artgen.training.Augmentation`).

    It is looked at after it has observed a critic that overfits, so that an adaptive one is at work.
    """

    kind: ClassVar[Kind] = "augment"
    sizes: Sequence[tuple[int, int]] = ((16, 16), (32, 32), (16, 24))
    """(height, width) in pixels of the pictures."""
    recipe: str = ""
    """Tables that take the place of the kit's own (`artgen.testing.runs.AROUND`) around the component in a tiny run."""

    def at_work(self) -> Augmentation:
        """The augmentation, when a critic has been sure of 64 batches of real pictures."""
        augment: Augmentation = self.make()
        for _ in range(64):
            augment.observe(torch.full((COUNT,), 5.0))
        return augment

    def pictures(self, size: tuple[int, int]) -> Tensor:
        """The same pictures each time."""
        with drawing(0, "pictures"):
            return torch.rand(COUNT, 3, *size) * 2 - 1

    def drawn(self, augment: Augmentation, count: int = COUNT, seed: int = 0) -> Any:
        """A draw that follows from the seed."""
        with drawing(seed, "draw"):
            return augment.draw(count, CPU)

    def test_shape_is_kept(self) -> None:
        """Pictures of every size come back in their shape and type, finite, and the ones given are left alone."""
        augment = self.at_work()
        for size in self.sizes:
            pictures = self.pictures(size)
            before = pictures.clone()
            changed = augment.apply_draw(pictures, self.drawn(augment))
            require(
                changed.shape == pictures.shape and changed.dtype == pictures.dtype,
                f"Pictures {tuple(pictures.shape)} {pictures.dtype} come back as {tuple(changed.shape)} "
                f"{changed.dtype}: keep shape and type.",
            )
            require_finite("An augmented picture", changed)
            require(torch.equal(before, pictures), "It changes the pictures that it is given: no operation in place.")

    def test_one_draw_serves_all_levels(self) -> None:
        """Both levels of a pyramid are changed alike, and a draw that is handed over is the one that is applied."""
        augment, pictures = self.at_work(), self.pictures(self.sizes[0])
        with drawing(0, "draw"):
            first, second = levels_of(augment((pictures, pictures.clone())))
        require(
            torch.equal(first, second),
            "Two equal levels of a pyramid come back different: draw once, in `draw`, and let `apply_draw` draw "
            "nothing.",
        )
        drawn = self.drawn(augment)
        require(
            same(augment(pictures, drawn), augment.apply_draw(pictures, drawn)),
            "`forward(pictures, drawn)` is not `apply_draw(pictures, drawn)`: use the draw that is handed over.",
        )

    def test_a_draw_can_be_applied_again(self) -> None:
        """One draw does the same each time, for any size: it holds numbers for pictures, not for pixels."""
        augment = self.at_work()
        drawn = self.drawn(augment)
        for size in self.sizes:
            pictures = self.pictures(size)
            require(
                same(augment.apply_draw(pictures, drawn), augment.apply_draw(pictures, drawn)),
                "One draw, applied twice, gives different pictures: `apply_draw` must draw nothing and keep nothing.",
            )

    def test_draws_follow_the_seed(self) -> None:
        """One seed gives one draw, another seed another; unless nothing is drawn at all."""
        augment, pictures = self.at_work(), self.pictures(self.sizes[0])
        first, again, other = (augment.apply_draw(pictures, self.drawn(augment, seed=seed)) for seed in (1, 1, 2))
        require(
            same(first, again),
            "One seed gives two draws: draw from torch's global generator, not from one of your own, NumPy's or "
            "Python's.",
        )
        require(
            not same(first, other) or same(first, pictures),
            "Two seeds give one draw: draw in `draw`, each time anew, from torch's global generator.",
        )

    def test_nothing_comes_of_nothing(self) -> None:
        """An empty batch stays an empty batch."""
        augment, pictures = self.at_work(), self.pictures(self.sizes[0])[:0]
        changed = augment.apply_draw(pictures, self.drawn(augment, 0))
        require(changed.shape == pictures.shape, f"An empty batch comes back as {tuple(changed.shape)}.")

    def test_it_can_be_differentiated_twice(self) -> None:
        """A generator learns through it, and penalties differentiate that again: right in float64."""
        augment, pictures = self.at_work(), self.pictures(self.sizes[0])[:2].double()
        drawn = self.drawn(augment, 2)

        def applied(x: Tensor) -> Tensor:
            return augment.apply_draw(x, drawn)

        fault = fault_of_gradient(applied, [pictures], fast=True) or fault_of_second_gradient(applied, [pictures])
        require(
            not fault,
            f"Its gradient by the pictures is wrong: {fault}\nLook for `detach`, rounding, operations in place, and "
            "functions that have no double backward.",
        )

    def test_state_round_trip(self) -> None:
        """The state of one that has observed, loaded into a fresh one, changes pictures alike."""
        used, fresh, pictures = self.at_work(), self.make(), self.pictures(self.sizes[0])
        pack(used.state_dict(), "augment")  # raises where a checkpoint could not hold it
        fresh.load_state_dict(copied(used.state_dict()))
        answers = []
        for augment in (used, fresh):
            augment.observe(torch.full((COUNT,), 5.0))
            answers.append(augment.apply_draw(pictures, self.drawn(augment)))
        require(
            same(*answers),
            "A fresh one that has loaded `state_dict()` changes pictures otherwise: keep what `observe` learns in "
            "persistent buffers.",
        )

    def test_bf16(self) -> None:
        """Under autocast, pictures in bf16 come back finite, in their type."""
        augment, pictures = self.at_work(), self.pictures(self.sizes[0]).bfloat16()
        with mixed(CPU, "bf16"):
            changed = augment.apply_draw(pictures, self.drawn(augment))
        require(changed.dtype == pictures.dtype, f"Pictures in bf16 come back as {changed.dtype}: keep the type.")
        require_finite("Under bf16 an augmented picture", changed)

    def test_nothing_waits_for_the_host(self) -> None:
        """Neither a draw nor its application nor `observe` reads a value on the host."""
        augment, pictures = self.at_work(), self.pictures(self.sizes[0])
        logits = torch.randn(COUNT)
        with HostReads() as reads:
            augment(pictures)
            augment.observe(logits)
        require_no_reads(reads)

    def test_devices_agree(self) -> None:
        """CPU and GPU do the same with one draw, to rounding."""
        device, augment, pictures = gpu(), self.at_work(), self.pictures(self.sizes[0])
        drawn = self.drawn(augment)
        on_cpu = augment.apply_draw(pictures, drawn)
        on_gpu = augment.to(device).apply_draw(pictures.to(device), _on(drawn, device))
        require(close(on_cpu, on_gpu.cpu(), 1e-2), "CPU and GPU change pictures differently by one draw.")

    def test_stopped_run_ends_in_the_same_bytes(self, tmp_path: Path) -> None:
        """A tiny run with it, stopped and continued, saves the same last checkpoint as a straight one."""
        self.require_exact_resume(around("augment", self.component, self.options, self.recipe), tmp_path, 3)


def _on(drawn: Any, device: torch.device) -> Any:
    """A draw, of whatever containers, on another device."""
    if isinstance(drawn, dict):
        return {key: _on(value, device) for key, value in drawn.items()}
    if isinstance(drawn, (list, tuple)):
        return type(drawn)(_on(value, device) for value in drawn)
    return drawn.to(device) if isinstance(drawn, Tensor) else drawn
