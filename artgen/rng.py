"""Randomness: every draw is a function of (seed, purpose, index), so nothing needs to be saved to resume a run."""

from __future__ import annotations

import functools
import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def derived_seed(seed: int, purpose: str, index: int) -> int:
    """A 63-bit seed for one purpose and index; different arguments give unrelated streams."""
    digest = hashlib.blake2b(f"{seed}/{purpose}/{index}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def numpy_generator(seed: int, purpose: str, index: int) -> np.random.Generator:
    """A NumPy generator (Philox) for one purpose and index."""
    return np.random.Generator(np.random.Philox(derived_seed(seed, purpose, index)))


def permutation(seed: int, purpose: str, index: int, count: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """A shuffled order of `count` things, for one epoch say."""
    return numpy_generator(seed, purpose, index).permutation(count)


def seed_everything(seed: int, purpose: str, index: int) -> None:
    """Set the global generators of torch (all devices), NumPy and Python for one step.

    The loop calls this before each step: whatever a trainer, a dropout layer or a stranger's plugin draws in that step,
    from whichever global generator, then depends on nothing but (seed, purpose, index).
    """
    number = derived_seed(seed, purpose, index)
    _seed_torch(number)
    np.random.seed(number & 0xFFFFFFFF)  # noqa: NPY002  # plugins may draw from NumPy's global generator
    random.seed(number)


@contextmanager
def drawing(seed: int, purpose: str, index: int = 0) -> Iterator[None]:
    """Draw from torch's global generators as a function of (seed, purpose, index), then leave them as they were."""
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]
    with torch.random.fork_rng(devices):
        _seed_torch(derived_seed(seed, purpose, index))
        yield


def _seed_torch(number: int) -> None:
    """As `torch.manual_seed`, which formats the stack for each kind of device that is not there: 0.2 ms a step."""
    torch.default_generator.manual_seed(number)
    if _has_accelerator():
        torch.manual_seed(number)


@functools.cache
def _has_accelerator() -> bool:
    return torch.accelerator.is_available()
