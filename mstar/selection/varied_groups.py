"""Keep groups that can teach a policy gradient something."""

from __future__ import annotations

from collections.abc import Sequence

from mstar.selection.selector import candidates, drop, named_reward
from mstar.types import Group


class VariedGroups:
    """Drops groups whose rewards are all the same: their advantages are zero (dynamic sampling of DAPO, 2503.14476).

    DAPO samples further prompts until its batch is full again; here the iteration is smaller. Rewards of responses that
    are dropped already do not count.

    Args:
        by: Name of the reward.
    """

    def __init__(self, by: str = "outcome") -> None:
        self.by = by

    def select(self, groups: Sequence[Group], seed: int) -> list[Group]:
        """Drop every rollout of a group without variance."""
        return [drop(group, self._reasons(group)) for group in groups]

    def _reasons(self, group: Group) -> dict[int, str]:
        left = candidates(group)
        rewards = {named_reward(rollout, self.by, "VariedGroups.by") for rollout in left}
        return {} if len(rewards) > 1 else {r.index: f"all {self.by} rewards of the group are equal" for r in left}
