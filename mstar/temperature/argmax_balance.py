"""B-STaR's rule: the temperature at which exploration and exploitation are best balanced, under its best threshold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mstar.selection.balance import THRESHOLDS, best_threshold
from mstar.temperature.rule import Choice, highest
from mstar.types import Group


class ArgmaxBalance:
    """Argmax of the balance score, each temperature under the threshold τ that suits it best (B-STaR, 2412.17256).

    B-STaR takes temperature and threshold together on held-out queries, then the threshold anew on the whole
    iteration: that is ``BalancedThreshold`` among the selectors. Its code has 64 responses a query, n* = 8, and τ from
    -1 to 1 by 0.01 on ``outcome + process / 5`` (``WeightedSum``); its size target on held-out queries is left out.

    Args:
        by: Name of the reward that the threshold cuts.
        target: n*, responses a prompt that are enough.
        thresholds: Candidates for τ, in the reward's units; ``None``: from -1 to 1 by 0.01.
    """

    def __init__(self, by: str = "sum", target: int = 8, thresholds: Sequence[float] | None = None) -> None:
        self.by = by
        self.target = target
        self.thresholds = THRESHOLDS if thresholds is None else tuple(thresholds)

    def choose(self, measured: Mapping[float, Sequence[Group]]) -> Choice:
        """Take the candidate with the highest balance score."""
        found = {t: best_threshold(groups, self.by, self.target, self.thresholds) for t, groups in measured.items()}
        choice = highest({t: score for t, (_, score) in found.items()}, "balance score")
        tau, _ = found[choice.temperature]
        return Choice(choice.temperature, choice.scores, f"{choice.reason}, threshold {tau:g}")
