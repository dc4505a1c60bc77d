"""Who may train: selectors, applied one after the other."""

from mstar.selection.above_threshold import AboveThreshold
from mstar.selection.balanced_threshold import BalancedThreshold
from mstar.selection.cap import Cap
from mstar.selection.dedup import Dedup
from mstar.selection.keep_all import KeepAll
from mstar.selection.keep_correct import KeepCorrect
from mstar.selection.keep_origin import KeepOrigin
from mstar.selection.random_k import RandomK
from mstar.selection.selector import Selector, candidates, drop, select_all
from mstar.selection.target_size import TargetSize
from mstar.selection.top_by_reward import TopByReward
from mstar.selection.varied_groups import VariedGroups

__all__ = [
    "AboveThreshold",
    "BalancedThreshold",
    "Cap",
    "Dedup",
    "KeepAll",
    "KeepCorrect",
    "KeepOrigin",
    "RandomK",
    "Selector",
    "TargetSize",
    "TopByReward",
    "VariedGroups",
    "candidates",
    "drop",
    "select_all",
]
