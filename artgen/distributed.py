"""Several processes, one model: `torchrun` starts them, one flat all-reduce a step keeps their weights equal.

No DistributedDataParallel: its hooks break on a phase that penalises only the critic's gradient, and on second
derivatives (NVlabs' StyleGAN3 left it for the same reason).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor
from torch import distributed as dist

from artgen.errors import ArtgenError

_alone = False


def world_size() -> int:
    """How many processes train together."""
    return dist.get_world_size() if not _alone and dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Which of them this is, from 0; the first one owns the run folder."""
    return dist.get_rank() if world_size() > 1 else 0


@contextmanager
def process_group(device: torch.device) -> Iterator[None]:
    """Join the group that `torchrun` announces in the environment; do nothing where it does not."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield
        return
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


@contextmanager
def alone() -> Iterator[None]:
    """Let this process work for itself: within the body it neither hears of the others nor waits for them."""
    global _alone
    before, _alone = _alone, True
    try:
        yield
    finally:
        _alone = before


def mean_over_ranks_(tensor: Tensor) -> Tensor:
    """Replace a tensor, in place, by its mean over all processes."""
    if world_size() > 1:
        dist.all_reduce(tensor)
        tensor /= world_size()
    return tensor


def mean_gradients_(gradients: Sequence[Tensor]) -> None:
    """Replace gradients, in place, by their mean over all processes, in one all-reduce."""
    if world_size() == 1 or not gradients:
        return
    flat = mean_over_ranks_(torch.cat([gradient.reshape(-1) for gradient in gradients]))
    parts = torch.split(flat, [gradient.numel() for gradient in gradients])
    for gradient, part in zip(gradients, parts, strict=True):
        gradient.copy_(part.view_as(gradient))


def any_rank(flag: bool) -> bool:
    """Whether the flag is set in any process."""
    if world_size() == 1:
        return flag
    device = "cuda" if dist.get_backend() == "nccl" else "cpu"
    votes = torch.tensor(float(flag), device=device)
    dist.all_reduce(votes)
    return bool(votes > 0)


def wait_for_all() -> None:
    """Wait until every process has come this far."""
    if world_size() == 1:
        return
    try:
        dist.barrier()
    except RuntimeError as error:
        raise ArtgenError("another process has failed", remedy="Its own message says why.") from error
