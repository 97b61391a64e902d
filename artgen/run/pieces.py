"""A step whose batch does not fit into memory: it is taken in pieces, and one update has the gradient of all of them.

A piece is a rank that takes its turn: it has the pictures and the draws which that rank of so many processes would have
had. A trainer may update several networks within a step, each through the one before, so the pieces go through its step
once for each update, and only the update that is due moves weights. Whatever remembers something remembers it once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from artgen.run.build import Job
from artgen.run.update import Turn
from artgen.training import Augmentation

Scalars = dict[str, Tensor]


def take_turns(job: Job, pieces: int, share: Callable[[int], Scalars]) -> Scalars:
    """Take one step of a job in pieces.

    Args:
        job: Its update is told whose turn it is.
        pieces: How many, 2 or more.
        share: Takes the trainer's step on the piece of this number.

    Returns:
        The scalars of the first turns, their mean over the pieces. What belongs to a later update is seen there before
        the first one moved anything; only norms of gradients are those of the update itself.
    """
    remembered: list[Tensor] = []
    scalars: list[Scalars] = []
    turn = job.update.turn = Turn(pieces)
    try:
        while turn.due == 0 or turn.due < turn.calls:
            with _hearing(job.augment) as heard:
                for turn.piece in range(pieces):
                    turn.calls = 0
                    told = share(turn.piece)
                    if turn.due == 0:
                        scalars.append(told)
                    if turn.due == turn.piece == 0:
                        remembered = [buffer.clone() for buffer in _buffers(job)]
                    else:  # a checkpoint holds the buffers of the first rank, so those of the others are forgotten
                        for buffer, value in zip(_buffers(job), remembered, strict=True):
                            buffer.copy_(value)
            if turn.due == 0 and heard:
                calls = len(heard) // pieces
                for call in range(calls):
                    job.augment.observe(torch.cat(heard[call::calls]))
                remembered = [buffer.clone() for buffer in _buffers(job)]
            turn.due += 1
    finally:
        job.update.turn = None
    return {name: torch.stack([told[name] for told in scalars]).mean(dim=0) for name in scalars[0]}


def _buffers(job: Job) -> list[Tensor]:
    """What networks remember beside their weights; the average copies its own from the generator."""
    return [buffer for name, network in job.networks.items() if name != "average" for buffer in network.buffers()]


@contextmanager
def _hearing(augment: Augmentation) -> Iterator[list[Tensor]]:
    """Keep what an augmentation should observe, so that it learns from the whole batch, once a step."""
    heard: list[Tensor] = []
    vars(augment)["observe"] = heard.append  # before the method, for this object only
    try:
        yield heard
    finally:
        del vars(augment)["observe"]
