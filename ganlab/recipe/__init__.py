"""Recipes: TOML in, one frozen and checked `Recipe` out."""

from ganlab.recipe.digest import differences, digest, flat
from ganlab.recipe.load import LoadedRecipe, checked_recipe, load_recipe, name_of, plain_recipe
from ganlab.recipe.schema import Recipe

__all__ = [
    "LoadedRecipe",
    "Recipe",
    "checked_recipe",
    "differences",
    "digest",
    "flat",
    "load_recipe",
    "name_of",
    "plain_recipe",
]
