"""Contenders that take turns: A B A B ..., so that a machine whose speed drifts treats them alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch

Step = Callable[[int], None]


class Rounds(NamedTuple):
    """The median rate of each contender, and the median over the rounds of the first one's over the second's."""

    images_a_second: dict[str, float]
    ratio: float


def compared(steps: Mapping[str, Step], batch: int, rounds: int, seconds: float, device: torch.device) -> Rounds:
    """Let two contenders take steps, a stretch of seconds each, round by round; the first round warms up."""
    rates: dict[str, list[float]] = {name: [] for name in steps}
    at = dict.fromkeys(steps, 0)
    for _ in range(rounds + 1):
        for name, step in steps.items():
            begun, first = time.perf_counter(), at[name]
            while time.perf_counter() - begun < seconds:
                step(at[name])
                at[name] += 1
                if at[name] % 20 == 0:
                    _wait(device)
            _wait(device)
            rates[name].append((at[name] - first) * batch / (time.perf_counter() - begun))
    ours, other = (rate[1:] for rate in rates.values())
    medians = {name: round(statistics.median(rate[1:]), 2) for name, rate in rates.items()}
    return Rounds(medians, round(statistics.median(a / b for a, b in zip(ours, other, strict=True)), 4))


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
