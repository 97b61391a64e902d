"""The averaged generator: what a run shows, samples and exports."""

from __future__ import annotations

import copy
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from artgen.device import to_device
from artgen.training import Generator, Size


class Average:
    """An exponential moving average of a generator's weights (EMA), with a half-life in images.

    The half-life is ramped at each size, min(half_life, 0.1 x images shown at it), so that early pictures do not drag
    the first noise along, nor a level that is blended in its first colours; differs from StyleGAN2-ADA, whose factor is
    0.05. Parameters are averaged, buffers copied.
    """

    def __init__(self, generator: Generator, half_life_images: int) -> None:
        self.network = copy.deepcopy(generator).eval().requires_grad_(False)
        self.half_life_images = half_life_images
        self._follow(generator)

    def begin(self, generator: Generator, size: Size) -> None:
        """Follow the generator into a phase: parameters may be replaced, and new ones start as the generator's."""
        before = dict(self.network.named_parameters())
        self.network.begin(size)
        to_device(self.network, next(generator.parameters()).device)
        latest = dict(generator.named_parameters())
        for name, parameter in self.network.named_parameters():
            if name not in before:
                parameter.data.copy_(latest[name].data)
        self.network.requires_grad_(False)
        self._follow(generator)

    def _follow(self, generator: Generator) -> None:
        self._averaged: list[Tensor] = list(self.network.parameters())
        self._latest: list[Tensor] = [parameter.detach() for parameter in generator.parameters()]
        self._buffers = list(zip(self.network.buffers(), generator.buffers(), strict=True))

    def update(self, batch_images: int, size_images: int) -> None:
        """Take one step towards the generator, after so many pictures shown at this size."""
        half_life = min(float(self.half_life_images), 0.1 * size_images)
        share_kept = 0.5 ** (batch_images / half_life) if half_life else 0.0
        torch._foreach_lerp_(self._averaged, self._latest, 1 - share_kept)
        for averaged, latest in self._buffers:
            averaged.copy_(latest)


def settled(network: Generator, given: Iterable[Tensor | None]) -> Generator:
    """A copy of an averaged network that is ready to sample: its batch-norm statistics recomputed over `given`.

    Averaged weights with statistics of the latest ones would give pale or noisy pictures. All other layers stay in eval
    mode, as they will be: statistics taken under dropout would be those of another network. Networks without batch norm
    are copied as they are.
    """
    copied = copy.deepcopy(network).eval()
    norms = _norms(copied)
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.train().reset_running_stats()
        norm.momentum = None  # the plain mean over all batches
    for batch in given if norms else ():
        copied(batch)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.eval().momentum = momentum
    return copied


def keeps_statistics(network: nn.Module) -> bool:
    """Whether there is anything for `settled` to recompute."""
    return bool(_norms(network))


def _norms(network: nn.Module) -> list[nn.modules.batchnorm._BatchNorm]:
    norms = (module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm))
    return [norm for norm in norms if norm.track_running_stats]
