"""Keep responses above the reward threshold at which exploration and exploitation are best balanced."""

from __future__ import annotations

from collections.abc import Sequence

from mstar.selection.balance import THRESHOLDS, best_threshold
from mstar.selection.selector import candidates, drop, named_reward
from mstar.types import Group


class BalancedThreshold:
    """Cuts where the balance score of all groups is highest, anew each iteration: B-STaR's selection (2412.17256).

    B-STaR then caps responses a query until a target size is met: ``TargetSize`` behind this one.

    Args:
        by: Name of the reward; B-STaR's is ``outcome + process / 5``, here a ``WeightedSum`` called ``sum``.
        target: n*, responses a prompt that are enough.
        thresholds: Candidates for τ, in the reward's units; ``None``: from -1 to 1 by 0.01.
    """

    def __init__(self, by: str = "sum", target: int = 8, thresholds: Sequence[float] | None = None) -> None:
        self.by = by
        self.target = target
        self.thresholds = THRESHOLDS if thresholds is None else tuple(thresholds)

    def select(self, groups: Sequence[Group], seed: int) -> list[Group]:
        """Drop responses at or below the threshold."""
        tau, _ = best_threshold(groups, self.by, self.target, self.thresholds)
        reason = f"{self.by} is not above {tau:g}, where the balance score is highest"
        return [drop(group, dict.fromkeys(self._low(group, tau), reason)) for group in groups]

    def _low(self, group: Group, tau: float) -> list[int]:
        return [r.index for r in candidates(group) if named_reward(r, self.by, "BalancedThreshold.by") <= tau]
