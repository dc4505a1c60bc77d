"""Measures with state, right under any number of ranks; the arithmetic is in ``mstar.dynamics`` and ``mstar.votes``."""

from mstar.metrics.circular import Circular
from mstar.metrics.group_mean import GroupMean, GroupMetric, Measured
from mstar.metrics.responses import NoAnswer, Tokens, Truncated, Unscorable
from mstar.metrics.right import MajorityVote, PassAtK, RewardPassAtK
from mstar.metrics.scores import Scores
from mstar.metrics.seconds import Seconds

__all__ = [
    "Circular",
    "GroupMean",
    "GroupMetric",
    "MajorityVote",
    "Measured",
    "NoAnswer",
    "PassAtK",
    "RewardPassAtK",
    "Scores",
    "Seconds",
    "Tokens",
    "Truncated",
    "Unscorable",
]
