"""Keep no more than a number of responses in all."""

from __future__ import annotations

from collections.abc import Sequence

from mstar.seeds import stable_seed
from mstar.selection.selector import candidates, drop
from mstar.types import Group


class TargetSize:
    """Caps the training set: responses are taken in rounds, one a prompt each, until the target is met.

    B-STaR (2412.17256) raises a cap per query until its target size is met; taking rounds gives the same sizes without
    a search, and exactly the target. Which prompts take part in the last round is drawn; within a prompt the lower
    index goes first. With fewer candidates than the target, all stay.

    Args:
        num: Responses kept in all, at most.
    """

    def __init__(self, num: int) -> None:
        if num < 1:
            raise ValueError(f"TargetSize.num is {num}; give 1 or more.")
        self.num = num

    def select(self, groups: Sequence[Group], seed: int) -> list[Group]:
        """Drop what lies beyond the target."""
        turns = [
            (turn, stable_seed(seed, "target size", r.prompt_id), r.prompt_id, r.index)
            for group in groups
            for turn, r in enumerate(candidates(group))
        ]
        beyond = {(prompt, index) for _, _, prompt, index in sorted(turns)[self.num :]}
        reason = f"beyond the target of {self.num}"
        return [drop(g, {r.index: reason for r in g if (r.prompt_id, r.index) in beyond}) for g in groups]
