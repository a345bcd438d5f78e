"""Recipes: TOML in, one frozen and checked `Recipe` out."""

from ganlab.recipe.digest import differences, digest, flat
from ganlab.recipe.load import LoadedRecipe, load_recipe, plain_recipe
from ganlab.recipe.schema import Recipe

__all__ = ["LoadedRecipe", "Recipe", "differences", "digest", "flat", "load_recipe", "plain_recipe"]
