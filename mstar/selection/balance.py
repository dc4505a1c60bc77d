"""B-STaR's balance score as a function of the reward threshold, and the threshold at which it is highest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mstar.selection.selector import candidates, named_reward
from mstar.types import Group

THRESHOLDS = tuple(round(-1 + 0.01 * i, 2) for i in range(201))
"""B-STaR's τ: -1 to 1 by 0.01 (2412.17256, its code)."""


def balance_curve(groups: Sequence[Group], by: str, target: int, thresholds: Sequence[float]) -> NDArray[np.float64]:
    """Balance scores ``(len(thresholds),)`` if only responses with a reward above each threshold were kept.

    The same as ``dynamics.balance_score`` of the groups cut at that threshold; see there for the formula.

    Args:
        groups: Scored; what selectors have dropped does not count.
        by: Name of the reward.
        target: n*, responses a prompt that are enough.
        thresholds: τ, in the reward's units.
    """
    taus = np.asarray(thresholds, dtype=np.float64)
    total, num = np.zeros(len(taus)), np.zeros(len(taus))
    for group in groups:
        rewards = {r.index: named_reward(r, by, "by") for r in candidates(group)}
        best: dict[str, float] = {}  # a text counts once, as long as its best copy stays
        for r in candidates(group):
            if r.correct:
                best[r.text] = max(best.get(r.text, -np.inf), rewards[r.index])
        kept, right = _above(list(rewards.values()), taus), _above(list(best.values()), taus)
        total += np.minimum(right / target, 1) * right / np.maximum(kept, 1)
        num += kept > 0
    curve: NDArray[np.float64] = total / np.maximum(num, 1)
    return curve


def best_threshold(
    groups: Sequence[Group], by: str, target: int, thresholds: Sequence[float] = THRESHOLDS
) -> tuple[float, float]:
    """The threshold of highest balance score, of equal ones the lowest, and that score."""
    curve = balance_curve(groups, by, target, thresholds)
    place = int(curve.argmax())
    return float(thresholds[place]), float(curve[place])


def _above(values: Sequence[float], taus: NDArray[np.float64]) -> NDArray[np.int64]:
    """How many of the values are above each threshold."""
    return len(values) - np.searchsorted(np.sort(np.asarray(values, dtype=np.float64)), taus, side="right")
