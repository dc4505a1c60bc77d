"""How often a policy is right: alone, among k, among the k that a reward prefers, by vote."""

from __future__ import annotations

from mstar.dynamics import mean_pass_at_k, reward_pass_at_k
from mstar.metrics.group_mean import GroupMean
from mstar.types import Group
from mstar.votes import vote_accuracy


class PassAtK(GroupMean):
    """Chance of a right answer among k responses, unbiased (`pass_at_k`); of greedy responses k = 1 is the accuracy.

    Args:
        k: Responses; groups must have as many.
    """

    def __init__(self, k: int = 1) -> None:
        super().__init__()
        self.k = k

    def value_of(self, group: Group) -> float:
        """The group's chance."""
        return mean_pass_at_k([group], self.k)


class RewardPassAtK(GroupMean):
    """Share of prompts with a right answer among the k responses that a reward prefers (`reward_pass_at_k`).

    Args:
        k: Responses; groups must have as many.
        by: Name of the reward. It must not know the answer.
    """

    def __init__(self, k: int, by: str) -> None:
        super().__init__()
        self.k = k
        self.by = by

    def value_of(self, group: Group) -> float:
        """1 if one of the k is right."""
        return reward_pass_at_k([group], self.k, self.by)


class MajorityVote(GroupMean):
    """Share of prompts whose voted answer is right (`vote`).

    Args:
        by: Reward that weighs a vote; ``None`` weighs all 1.
    """

    def __init__(self, by: str | None = None) -> None:
        super().__init__()
        self.by = by

    def value_of(self, group: Group) -> float:
        """1 if the vote is right."""
        return vote_accuracy([group], self.by)
