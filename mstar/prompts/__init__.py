"""Where prompts come from and which of them an iteration walks."""

from mstar.prompts.answered import Answered
from mstar.prompts.dataset import DatasetPrompts
from mstar.prompts.joined import Joined
from mstar.prompts.listed import ListedPrompts
from mstar.prompts.mix_in import MixIn
from mstar.prompts.ordered_walk import OrderedWalk
from mstar.prompts.pool import PromptPool
from mstar.prompts.shuffled import Shuffled
from mstar.prompts.split import Split
from mstar.prompts.subset import Subset
from mstar.prompts.unlabelled import Unlabelled
from mstar.prompts.unsolved import Unsolved

__all__ = [
    "Answered",
    "DatasetPrompts",
    "Joined",
    "ListedPrompts",
    "MixIn",
    "OrderedWalk",
    "PromptPool",
    "Shuffled",
    "Split",
    "Subset",
    "Unlabelled",
    "Unsolved",
]
