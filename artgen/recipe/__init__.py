"""Recipes: TOML -> checked, complete `Recipe`. Pure data; imports no torch and runs no code of a recipe's choosing."""

from artgen.recipe.bundled import bundled_recipes
from artgen.recipe.check import UnusablePluginError
from artgen.recipe.load import DEVICES, films_from_tables, find_recipe, load_films, load_recipe
from artgen.recipe.model import Chosen, Device, Films, PhaseOptions, Recipe, RunOptions

__all__ = [
    "DEVICES",
    "Chosen",
    "Device",
    "Films",
    "PhaseOptions",
    "Recipe",
    "RunOptions",
    "UnusablePluginError",
    "bundled_recipes",
    "films_from_tables",
    "find_recipe",
    "load_films",
    "load_recipe",
]
