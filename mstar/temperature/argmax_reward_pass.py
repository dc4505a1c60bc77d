"""M-STaR's rule: the temperature at which the reward model finds a right answer most often."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mstar.dynamics import reward_pass_at_k
from mstar.temperature.rule import Choice, highest
from mstar.types import Group


class ArgmaxRewardPass:
    """Argmax of reward-pass@k (paper, section 8.3; k = 2 because training keeps two).

    Args:
        k: Best responses looked at.
        by: Name of the reward that ranks; one that does not know the answer.
    """

    def __init__(self, k: int = 2, by: str = "process") -> None:
        self.k = k
        self.by = by

    def choose(self, measured: Mapping[float, Sequence[Group]]) -> Choice:
        """Take the candidate with the highest reward-pass@k."""
        scores = {t: reward_pass_at_k(groups, self.k, self.by) for t, groups in measured.items()}
        return highest(scores, f"reward-pass@{self.k}")
