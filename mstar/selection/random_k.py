"""Keep k responses of each prompt at random."""

from __future__ import annotations

from collections.abc import Sequence

from mstar.seeds import stable_seed
from mstar.selection.selector import candidates, drop
from mstar.types import Group


class RandomK:
    """Keeps k responses drawn without regard to reward: Table 2's control for the process reward, and a cap.

    The draw depends on (seed, prompt id, index) alone, not on what else is selected.

    Args:
        k: Responses kept a prompt.
    """

    def __init__(self, k: int = 2) -> None:
        if k < 1:
            raise ValueError(f"RandomK.k is {k}; give 1 or more.")
        self.k = k

    def select(self, groups: Sequence[Group], seed: int) -> list[Group]:
        """Drop all but k random responses of each group."""
        return [drop(group, dict.fromkeys(self._others(group, seed), "not drawn")) for group in groups]

    def _others(self, group: Group, seed: int) -> list[int]:
        order = sorted(candidates(group), key=lambda r: stable_seed(seed, "random k", r.prompt_id, r.index))
        return [rollout.index for rollout in order[self.k :]]
