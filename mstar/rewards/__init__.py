"""Reward models: callbacks for their lifecycle, plain objects with ``score`` for their work."""

from mstar.rewards.combine import Product, RouteByKind, WeightedSum
from mstar.rewards.gate import Gate
from mstar.rewards.outcome import OutcomeReward
from mstar.rewards.process import ProcessReward
from mstar.rewards.reward import RewardModel
from mstar.rewards.voted import VotedOutcome

__all__ = [
    "Gate",
    "OutcomeReward",
    "ProcessReward",
    "Product",
    "RewardModel",
    "RouteByKind",
    "VotedOutcome",
    "WeightedSum",
]
