"""A reward that counts only where another allows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mstar.rewards.combine import Combined
from mstar.rewards.reward import RewardModel, with_reward
from mstar.types import Group, Rollout


class Gate(Combined):
    """Gives the reward ``value`` where the reward ``key`` reaches a threshold, else ``closed``.

    With a format check as ``key``, form is a condition and cannot be traded against being right; with the outcome as
    ``key`` and a process reward as ``value``, steps are rewarded only on the way to a right answer. A product would
    scale by the key where it is graded; a gate opens or does not.

    Args:
        of: The parts, scored in order.
        key: Name of the reward that opens the gate.
        value: Name of the reward behind it.
        threshold: What ``key`` must reach, in its own units.
        closed: The reward where it does not.
        name: Name of the gated reward.
    """

    def __init__(
        self,
        of: Sequence[RewardModel],
        key: str,
        value: str,
        threshold: float = 1.0,
        closed: float = 0.0,
        name: str = "gate",
    ) -> None:
        self.of = tuple(of)
        self.key = key
        self.value = value
        self.threshold = threshold
        self.closed = closed
        self.name = name

    @property
    def parts(self) -> Sequence[RewardModel]:
        """What gives the key and the value."""
        return self.of

    def score(self, groups: Sequence[Group]) -> list[Group]:
        """Add the parts' rewards and the gated one.

        Raises:
            ValueError: If no part gives ``key`` or ``value``.
        """
        scored = list(groups)
        for part in self.of:
            scored = part.score(scored)
        return [replace(group, rollouts=tuple(self._gated(rollout) for rollout in group)) for group in scored]

    def _gated(self, rollout: Rollout) -> Rollout:
        if missing := {self.key, self.value} - rollout.rewards.keys():
            raise ValueError(
                f"reward.key and reward.value name {sorted(missing)}, but the parts give "
                f"{sorted(rollout.rewards)}: use these."
            )
        opened = rollout.rewards[self.key] >= self.threshold
        return with_reward(rollout, self.name, rollout.rewards[self.value] if opened else self.closed)
