"""Memory: what a device has, what was used of it, and the least that training will use."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from artgen.errors import ArtgenError, ResourceError
from artgen.recipe import Recipe
from artgen.run.making import make
from artgen.training import Phase, Size

if sys.platform != "win32":
    import resource

_GROUPS, _OWN_GROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
_NOT_ON_META = (ArtgenError, NotImplementedError, RuntimeError, TypeError, ValueError)


def there_bytes(device: torch.device) -> int | None:
    """How much memory this process can have on a device; None where that cannot be known.

    On a CUDA device what is free, and what this process holds already. On a CPU what the machine has or a control group
    allows, shared evenly by the processes that `torchrun` started on it.
    """
    if device.type == "cuda":
        free_bytes, _ = torch.cuda.mem_get_info(device)
        return int(free_bytes + torch.cuda.memory_reserved(device))
    if device.type != "cpu":
        return None
    machine_bytes = _machine_bytes()
    return machine_bytes and machine_bytes // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def forget_peak(device: torch.device) -> None:
    """Begin to measure anew, where the device allows it."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    elif device.type == "cpu":
        with suppress(OSError):  # only Linux has it
            Path("/proc/self/clear_refs").write_text("5")


def peak_bytes(device: torch.device) -> int | None:
    """The most memory that this process held at once, since `forget_peak` where that works; None if it is not told.

    On a CUDA device what torch has taken of it; on a CPU what is resident of the whole process, pictures included.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device)
    if device.type != "cpu":
        return None
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * int(next(line.split()[1] for line in lines if line.startswith("VmHWM:")))
    if sys.platform == "win32":
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def least_bytes(recipe: Recipe, phase: Phase, largest: Size, batch: int) -> int:
    """The least memory that a step takes, weighed before anything is allocated.

    A lower bound: weights with their gradients and Adam's moments, the batch, and what a step keeps of it, each output
    of a layer with weights, in bf16. Networks are weighed on torch's device `meta`; one that cannot live there is not.

    Args:
        recipe: Names the networks.
        phase: Its size counts.
        largest: The size that networks are built for.
        batch: How many pictures a step holds at once.
    """
    pictures_bytes = 4 * batch * 3 * phase.size.height * phase.size.width
    with suppress(*_NOT_ON_META), torch.device("meta"):
        return pictures_bytes + _network_bytes(recipe, largest, phase.size, batch)
    return pictures_bytes


def require(needed_bytes: int, there: int | None, place: str) -> None:
    """Refuse what cannot fit.

    Raises:
        ResourceError: With the figures.
    """
    if there is not None and needed_bytes > there:
        raise ResourceError(
            f"training takes more than {gigabytes(needed_bytes)} GB of memory, and there are {gigabytes(there)} GB",
            place=place,
        )


def gigabytes(count: int) -> str:
    """So many bytes, in GB."""
    return f"{count / 1e9:.1f}" if count < 1e11 else f"{count / 1e9:.0f}"


def _network_bytes(recipe: Recipe, built: Size, size: Size, batch: int) -> int:
    """Least memory, in bytes, of networks in training; they are built on torch's default device."""
    kept = 0

    def keep(module: nn.Module, given: object, made: object) -> None:
        nonlocal kept
        kept += made.numel() if isinstance(made, Tensor) else 0

    networks: list[Any] = [
        make(chosen.component, chosen.options, built) for chosen in (recipe.generator, recipe.critic) if chosen
    ]
    weights = [sum(parameter.numel() for parameter in network.parameters()) for network in networks]
    for network in networks:
        network.begin(size)
        for module in network.modules():
            if next(module.parameters(recurse=False), None) is not None:
                module.register_forward_hook(keep)
    generator = networks[0]
    with suppress(*_NOT_ON_META):
        source = torch.empty(batch, 3, *size)
        given = generator.latent.draw(batch, "meta") if generator.takes == "latent" else None
        form = generator(source if generator.takes == "picture" else given)
        for critic in networks[1:]:
            critic(torch.cat([source, form], dim=1) if critic.judges == "pair" else form)
    # Weights, gradients and two moments of each network; the average of the generator.
    return int(4 * (4 * sum(weights) + weights[0]) + 2 * kept)


def _machine_bytes() -> int | None:
    limits = list(_group_limits())
    with suppress(AttributeError, ValueError, OSError):  # not told on every system
        limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return min(limits, default=None)


def _group_limits() -> Iterator[int]:
    """What the control groups of this process, and those around them, allow (containers, systemd, batch systems)."""
    try:
        lines = _OWN_GROUPS.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        match line.split(":", 2):
            case [_, "", group]:
                mount, name = _GROUPS, "memory.max"
            case [_, controllers, group] if "memory" in controllers.split(","):  # version 1
                mount, name = _GROUPS / "memory", "memory.limit_in_bytes"
            case _:
                continue
        innermost = mount / group.lstrip("/")
        for folder in (innermost, *innermost.parents):
            with suppress(OSError, ValueError):  # "max" is no limit; in a container the outer groups are not to be seen
                yield int((folder / name).read_text())
