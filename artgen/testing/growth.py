"""Leading networks through the sizes that a run would show them at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from artgen.rng import drawing
from artgen.testing.runs import CPU
from artgen.testing.verdicts import largest
from artgen.training import Network, Size


def device_of(network: Network) -> torch.device:
    """Where its parameters are."""
    return next((parameter.device for parameter in network.parameters()), CPU)


def begin(network: Network, size: Size) -> None:
    """Begin a phase as a run does: what is drawn follows the seed."""
    with drawing(0, "phase"):
        network.begin(size)


def stages(network: Network, sizes: Sequence[Size]) -> Iterator[Size]:
    """Lead a fresh network to its largest size; one that grows, through all its steps, at two shares of a fade."""
    for size in steps(sizes) if network.grows else [largest(sizes)]:
        begin(network, size)
        for share in (0.5, 1.0):
            network.fade(share)
            yield size


def steps(sizes: Sequence[Size]) -> list[Size]:
    """The largest size and the smaller ones of its shape, in the order in which a network grows."""
    last = largest(sizes)
    alike = [size for size in sizes if size.height * last.width == size.width * last.height]
    return sorted(alike, key=lambda size: size.height)


def phases(sizes: Sequence[Size], *, grows: bool) -> str:
    """The data and phases of a tiny run: at the largest size; for what grows, at the one before it first."""
    *_, last = steps(sizes)
    schedule = steps(sizes)[-2:] if grows else [last]
    text = f"[data.kit-pictures]\nresolution = [{last.width}, {last.height}]\n"
    for index, size in enumerate(schedule):
        text += f"[[phase]]\nimages = {32 // len(schedule)}\nbatch = 4\nresolution = [{size.width}, {size.height}]\n"
        text += "fade = 0.5\n" if index else ""
    return text
