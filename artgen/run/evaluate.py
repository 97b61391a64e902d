"""Figures of quality for a batch of made pictures."""

from __future__ import annotations

from torch import Tensor

from artgen.metrics import Metric
from artgen.recipe import Recipe
from artgen.rng import drawing
from artgen.run.making import make
from artgen.training import Features


def evaluate(
    recipe: Recipe, fake: Tensor, real: Tensor, features: Features | None
) -> tuple[dict[str, float], dict[str, Tensor]]:
    """Measure every metric of the recipe.

    Args:
        recipe: Names the metrics; its seed drives their draws.
        fake: Made pictures (N, 3, H, W) uint8.
        real: Real pictures (M, 3, H, W) uint8.
        features: The recipe's feature network, if it has one.

    Returns:
        `{"<metric's label>/<figure>": value}` and sheets by name.
    """
    figures: dict[str, float] = {}
    sheets: dict[str, Tensor] = {}
    for chosen in recipe.metrics:
        metric: Metric = make(chosen.component, chosen.options)
        with drawing(recipe.seed, f"metric {chosen.label}"):
            measured = metric.measure(fake, real, features)
        figures |= {f"{chosen.label}/{name}": value for name, value in measured.values.items()}
        sheets |= measured.sheets
    return figures, sheets
