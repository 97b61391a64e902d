"""What a recipe needs, in figures and in words. `artgen.run.trial` measures it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from artgen.run.memory import gigabytes
from artgen.training import Phase


@dataclass(frozen=True)
class PhaseNeed:
    """What a phase needs.

    Args:
        phase: With the pieces that its batch is taken in.
        images: How many pictures are still to be shown in it.
        step_images: How many one step shows, of all processes.
        step_seconds: How long one step takes.
        memory_bytes: The most that one process holds at once; None where that cannot be measured.
    """

    phase: Phase
    images: int
    step_images: int
    step_seconds: float
    memory_bytes: int | None

    @property
    def images_per_second(self) -> float:
        return self.step_images / self.step_seconds

    @property
    def seconds(self) -> float:
        """For what is left of the phase."""
        return self.images / self.images_per_second

    def figures(self) -> dict[str, Any]:
        """As JSON values."""
        phase = self.phase
        named = {"phase": phase.index + 1, "width": phase.size.width, "height": phase.size.height}
        measured = {key: getattr(self, key) for key in ("step_seconds", "images_per_second", "seconds", "memory_bytes")}
        return named | {"batch": phase.batch, "pieces": phase.pieces, "images": self.images} | measured

    def __str__(self) -> str:
        pieces = f" in {self.phase.pieces} pieces" if self.phase.pieces > 1 else ""
        memory = "?" if self.memory_bytes is None else gigabytes(self.memory_bytes)
        return (
            f"phase {self.phase.index + 1}, {self.phase.size} px, batch {self.phase.batch}{pieces}: {memory} GB, "
            f"{self.step_seconds:.3g} s a step, {_rate(self.images_per_second)} images a second, {_time(self.seconds)}"
        )


@dataclass(frozen=True)
class Needs:
    """What is left of a run needs.

    Args:
        device: Where it trains.
        there_bytes: How much memory one process can have there; None where that cannot be known.
        pieces: In how many pieces the batch of each phase is taken, also of phases that are over.
        phases: Those that are not over.
        compiled: Whether networks are compiled: the recipe asks for it, and it did not fail.
    """

    device: str
    there_bytes: int | None
    pieces: tuple[int, ...]
    phases: tuple[PhaseNeed, ...]
    compiled: bool = False

    @property
    def seconds(self) -> float:
        return sum(phase.seconds for phase in self.phases)

    @property
    def memory_bytes(self) -> int | None:
        """Of the phase that needs most."""
        known = [phase.memory_bytes for phase in self.phases if phase.memory_bytes is not None]
        return max(known, default=None)

    def figures(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "device": self.device,
            "seconds": self.seconds,
            "memory_bytes": self.memory_bytes,
            "memory_there_bytes": self.there_bytes,
            "phases": [phase.figures() for phase in self.phases],
        }

    def __str__(self) -> str:
        memory, there = self.memory_bytes, self.there_bytes
        held = "" if memory is None or there is None else f"{gigabytes(memory)} of {gigabytes(there)} GB memory and "
        rate = sum(phase.images for phase in self.phases) / max(self.seconds, 1e-9)
        unknown = "" if held else "; how much memory cannot be measured there"
        unknown += "; compiling takes minutes more" * self.compiled
        return f"needs about {held}{_time(self.seconds)} on {self.device} ({_rate(rate)} images a second){unknown}"


def _time(seconds: float) -> str:
    for unit, length in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 1.5 * length:
            count = seconds / length
            return f"{count:.0f} {unit}" if count >= 10 or unit == "min" else f"{count:.1f} {unit}"
    return f"{max(1, seconds):.0f} s"


def _rate(images_per_second: float) -> str:
    return f"{images_per_second:,.0f}" if images_per_second >= 10 else f"{images_per_second:.2g}"
