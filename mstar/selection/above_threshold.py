"""Keep responses whose reward is high enough."""

from __future__ import annotations

from collections.abc import Sequence

from mstar.selection.selector import candidates, drop, named_reward
from mstar.types import Group, Rollout


class AboveThreshold:
    """Keeps responses with a reward above α (paper, Table 2, row "> α"; its α is not stated).

    Args:
        alpha: Threshold, in the reward's own units.
        by: Name of the reward.
    """

    def __init__(self, alpha: float = 0.5, by: str = "product") -> None:
        self.alpha = alpha
        self.by = by

    def select(self, groups: Sequence[Group], seed: int) -> list[Group]:
        """Drop responses at or below the threshold."""
        return [
            drop(group, {r.index: f"{self.by} is not above {self.alpha}" for r in candidates(group) if self._low(r)})
            for group in groups
        ]

    def _low(self, rollout: Rollout) -> bool:
        return named_reward(rollout, self.by, "AboveThreshold.by") <= self.alpha
