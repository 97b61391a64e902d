"""Figures of quality for a batch of made pictures."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from artgen.data.feed import Feed
from artgen.data.pixels import to_uint8
from artgen.errors import RecipeError
from artgen.metrics import Measured
from artgen.recipe import Recipe
from artgen.rng import drawing
from artgen.run.making import make
from artgen.training import Features, Generator, Size


@dataclass(frozen=True)
class Pairs:
    """What made pictures should be and what they are made from, one by one: (N, 3, H, W) uint8 each."""

    real: Tensor
    source: Tensor


def pairs_for(recipe: Recipe, generator: Generator, feed: Feed, count: int, size: Size) -> Pairs | None:
    """The pairs of the first `count` pictures that a generator makes from the feed's sources.

    `feed.sources`, from which it makes them, and `feed.reals` have one fixed order: the i-th made picture should be the
    i-th real one. Of pictures that are repainted these are the contents, for there are no other true ones. None, if it
    takes no pictures or if no metric of the recipe asks.
    """
    if feed.dataset.repainting is not None:
        contents = feed.reals(count, size)
        return Pairs(contents, contents)
    if generator.takes != "picture" or not any(chosen.component.needs_pairs for chosen in recipe.metrics):
        return None
    sources = feed.sources(count, size)
    assert sources is not None  # the run was built
    return Pairs(feed.reals(count, size), to_uint8(sources))


def evaluate(
    recipe: Recipe, fake: Tensor, real: Tensor, features: Features | None, pairs: Pairs | None
) -> tuple[dict[str, float], dict[str, Tensor]]:
    """Measure every metric of the recipe.

    Args:
        recipe: Names the metrics; its seed drives their draws.
        fake: Made pictures (N, 3, H, W) uint8.
        real: Real pictures (M, 3, H, W) uint8.
        features: The recipe's feature network, if it has one.
        pairs: What the first of the made pictures should be, and are made from.

    Returns:
        `{"<metric's label>/<figure>": value}` and sheets by name.

    Raises:
        RecipeError: A metric needs pairs, and there are none.
    """
    figures: dict[str, float] = {}
    sheets: dict[str, Tensor] = {}
    for chosen in recipe.metrics:
        metric = make(chosen.component, chosen.options)
        with drawing(recipe.seed, f"metric {chosen.label}"):
            if not chosen.component.needs_pairs:
                measured: Measured = metric.measure(fake, real, features)
            elif pairs is not None:
                count = min(len(fake), len(pairs.real))
                measured = metric.measure(fake[:count], pairs.real[:count], features, pairs.source[:count])
            else:
                raise RecipeError(
                    "it compares each made picture with the one that it should be, and this generator has no such one",
                    place=f"{recipe.name}: metrics.{chosen.label}",
                    remedy="Take it out, or choose a generator that takes pictures.",
                )
        figures |= {f"{chosen.label}/{name}": value for name, value in measured.values.items()}
        sheets |= measured.sheets
    return figures, sheets
