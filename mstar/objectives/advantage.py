"""How much better a response is than its siblings."""

from __future__ import annotations

from statistics import fmean, pstdev

from mstar.types import Group


class GroupAdvantage:
    """Reward minus the group's mean, over its standard deviation (GRPO); without the division it is Dr. GRPO's.

    Args:
        by: Name of the reward.
        std_norm: Divide by the group's (population) standard deviation.
        epsilon: Added to the standard deviation.

    >>> from mstar.types import Prompt, Rollout
    >>> rollouts = tuple(Rollout("p", i, "", (), rewards={"outcome": r}) for i, r in enumerate((1.0, 0.0)))
    >>> GroupAdvantage(std_norm=False)(Group(Prompt("p", "?"), rollouts))
    [0.5, -0.5]
    """

    def __init__(self, by: str = "outcome", std_norm: bool = True, epsilon: float = 1e-6) -> None:
        self.by = by
        self.std_norm = std_norm
        self.epsilon = epsilon

    def __call__(self, group: Group) -> list[float]:
        """One advantage a rollout, in the group's order."""
        rewards = [rollout.rewards[self.by] for rollout in group]
        mean = fmean(rewards)
        scale = pstdev(rewards) + self.epsilon if self.std_norm else 1.0
        return [(reward - mean) / scale for reward in rewards]
