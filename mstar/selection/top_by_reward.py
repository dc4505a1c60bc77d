"""Keep the k best responses of each prompt."""

from __future__ import annotations

from collections.abc import Sequence

from mstar.selection.selector import candidates, drop, named_reward
from mstar.types import Group


class TopByReward:
    """Keeps the k responses of highest reward among those still there; fewer if there are fewer (paper, Table 2).

    Behind ``KeepCorrect`` with a process reward this is M-STaR's PRM re-rank, k = 2. Ties go to the lower index.

    Args:
        k: Responses kept a prompt.
        by: Name of the reward. Behind ``KeepCorrect`` ``process`` and ``product`` rank alike.
    """

    def __init__(self, k: int = 2, by: str = "product") -> None:
        if k < 1:
            raise ValueError(f"TopByReward.k is {k}; give 1 or more.")
        self.k = k
        self.by = by

    def select(self, groups: Sequence[Group], seed: int) -> list[Group]:
        """Drop all but the k best of each group."""
        return [drop(group, dict.fromkeys(self._behind(group), f"not among the top {self.k}")) for group in groups]

    def _behind(self, group: Group) -> list[int]:
        reward = {r.index: named_reward(r, self.by, "TopByReward.by") for r in candidates(group)}
        return sorted(reward, key=lambda index: (-reward[index], index))[self.k :]
