"""Which device, which precision: asked once, at the start of a run, and written down."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Literal, cast

import torch
from torch import nn

from artgen.errors import RecipeError, ResourceError

Precision = Literal["fp32", "bf16"]

_EXHAUSTED = ("allocate memory", "out of memory", "ALLOC_FAILED", "Storage size calculation overflowed")
"""What torch says, in a plain RuntimeError, when a CPU, MPS, cuDNN or an absurd shape has used memory up."""


def choose_device(name: str) -> torch.device:
    """Turn `auto`, `cpu`, `cuda` or `mps` into a device that is there.

    Raises:
        RecipeError: The device was asked for by name and is not there.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, is_there in there.items() if is_there))
    if not there.get(name):
        raise RecipeError(f"this machine has no {name} device that torch can use", remedy="Try --device auto.")
    return torch.device(name, int(os.environ.get("LOCAL_RANK", "0"))) if name == "cuda" else torch.device(name)


def choose_precision(asked: str, device: torch.device) -> Precision:
    """Turn `auto` into the precision that pays on this device: bf16 where its hardware multiplies in it.

    It never depends on a timing, so that the same command on the same machine is the same run.
    """
    if asked == "fp32" or asked == "bf16":
        return asked  # type: ignore[return-value]  # narrowed by hand: mypy does not narrow str to Literal here
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    return "bf16" if device.type == "cpu" and _cpu_flags() & {"avx512_bf16", "amx_bf16", "bf16"} else "fp32"


def _cpu_flags() -> set[str]:
    """What this CPU can do, as Linux tells it (`bf16` is ARM's name); nothing elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return set()
    return {flag for line in lines if line.lower().startswith(("flags", "features")) for flag in line.split()}


def mixed(device: torch.device, precision: Precision) -> AbstractContextManager[Any]:
    """The autocast context of a precision; bf16 has the exponents of fp32, so no loss scaling is needed."""
    return torch.autocast(device.type, torch.bfloat16) if precision == "bf16" else nullcontext()


def to_device(module: nn.Module, device: torch.device) -> None:
    """Move a network, in the memory format that convolutions are fastest in."""
    module.to(device)
    if device.type != "mps":
        cast(Any, module).to(memory_format=torch.channels_last)  # a form that some versions of the stubs lack


@contextmanager
def one_core_each(device: torch.device) -> Iterator[None]:
    """On a CPU: networks are computed by one thread, and so do not round otherwise where there are more cores."""
    before = torch.get_num_threads()
    try:
        if device.type == "cpu":
            torch.set_num_threads(1)
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def exhaustion(place: str, remedy: str) -> Iterator[None]:
    """Turn the ways in which memory runs out within the body into one ResourceError."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, (MemoryError, torch.OutOfMemoryError)) and not any(
            sign in str(error) for sign in _EXHAUSTED
        ):
            raise
        said = str(error).partition("\n")[0] or "no more can be had"
        raise ResourceError(f"out of memory: {said}", place=place, remedy=remedy) from error


def describe_device(device: torch.device) -> dict[str, str | int]:
    """What a run record and a bug report should know."""
    described: dict[str, str | int] = {
        "device": device.type,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "threads": torch.get_num_threads(),
    }
    if device.type == "cuda":
        described["gpu"] = torch.cuda.get_device_name(device)
        described["gpu_memory_bytes"] = torch.cuda.get_device_properties(device).total_memory
    return described
