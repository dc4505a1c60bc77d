"""Recipes: a method of several stages, each an ordinary command in a folder of its own."""

from mstar.recipe.plan import Recipe, RecipeError, Stage, read_recipe
from mstar.recipe.runner import run_recipe
from mstar.recipe.stage import StageError

__all__ = ["Recipe", "RecipeError", "Stage", "StageError", "read_recipe", "run_recipe"]
