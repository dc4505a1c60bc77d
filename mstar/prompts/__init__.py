"""Where prompts come from and which of them an iteration walks."""

from mstar.prompts.dataset import DatasetPrompts
from mstar.prompts.listed import ListedPrompts
from mstar.prompts.ordered_walk import OrderedWalk
from mstar.prompts.pool import PromptPool
from mstar.prompts.subset import Subset
from mstar.prompts.unsolved import Unsolved

__all__ = ["DatasetPrompts", "ListedPrompts", "OrderedWalk", "PromptPool", "Subset", "Unsolved"]
