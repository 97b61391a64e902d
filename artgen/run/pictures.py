"""From a generator to pictures: what it is given, batches, settled statistics, sheets."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from artgen.data.feed import Feed
from artgen.data.images import Picture
from artgen.data.pixels import enlarged, grid, to_uint8
from artgen.device import Precision, mixed
from artgen.rng import drawing
from artgen.run.average import settled
from artgen.training import Generator, LatentSpace, Size

_BATCH = 64
_SETTLING_BATCHES = 10


def given_for(
    generator: Generator,
    count: int,
    seed: int,
    purpose: str,
    device: torch.device,
    feed: Feed | None,
    size: Size,
    *,
    training: bool = False,
) -> Tensor | None:
    """What to hand a generator for `count` pictures: latents, a function of (seed, purpose), source pictures or None.

    Latents are drawn on the CPU, so that one seed means one picture on every device. Sources are those of `feed.reals`,
    one by one; with `training` not of held-out pictures.
    """
    if generator.takes == "latent":
        assert generator.latent is not None
        return torch.cat([_one_latent(generator.latent, seed, purpose, index) for index in range(count)]).to(device)
    if generator.takes == "picture":
        assert feed is not None
        return feed.sources(count, size, training=training)
    return None


def _one_latent(latent: LatentSpace, seed: int, purpose: str, index: int) -> Tensor:
    """The latent of one picture; what torch draws for several at once depends on how many there are."""
    with drawing(seed, purpose, index):
        return latent.draw(1)


def settle(
    generator: Generator, seed: int, device: torch.device, precision: Precision, feed: Feed | None, size: Size
) -> Generator:
    """A copy of an averaged generator whose batch-norm statistics are its own, over 10 batches of 64 latents.

    One that takes pictures has them over a batch of 64 of these, which has as many values as anybody could want.
    """

    def batches() -> Iterator[Tensor | None]:
        for i in range(1 if generator.takes == "picture" else _SETTLING_BATCHES):
            yield given_for(generator, _BATCH, seed, f"settling {i}", device, feed, size, training=True)

    with torch.no_grad(), mixed(device, precision), drawing(seed, "settling"):
        return settled(generator, batches())


def make_pictures(generator: Generator, given: Tensor | None, device: torch.device, precision: Precision) -> Tensor:
    """Pictures (N, 3, H, W) uint8 on the device, made in batches of 64, the last one filled up.

    A network rounds otherwise in batches of another size; so a picture is the same in whatever company it is made.
    """
    with torch.no_grad(), mixed(device, precision):
        if given is None:
            return to_uint8(generator.sample(None))
        count = len(given)
        filled = given[torch.arange(-(-count // _BATCH) * _BATCH, device=given.device) % count]
        return torch.cat([to_uint8(generator.sample(batch)) for batch in torch.split(filled, _BATCH)])[:count]


def sheet(made: Tensor, sources: Feed | None, shown: Size) -> Picture:
    """Lay made pictures (N, 3, H, W) uint8 out on one sheet, each enlarged to the size at which it is `shown`.

    With the feed whose first N sources they are made from, each stands between its source and the true picture.
    """
    if sources is None:
        return grid(enlarged(made, shown))
    size = Size(*made.shape[2:])
    source = sources.sources(len(made), size)
    assert source is not None  # the run was built
    rows = torch.stack([to_uint8(source), made, sources.reals(len(made), size)], dim=1)  # (N, 3 of a row, 3, H, W)
    columns = 3 * max(1, round(math.sqrt(3 * len(made)) / 3))
    return grid(enlarged(rows.flatten(0, 1), shown), columns)
