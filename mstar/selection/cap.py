"""Keep no more than k responses of each prompt."""

from __future__ import annotations

from collections.abc import Sequence

from mstar.selection.selector import candidates, drop
from mstar.types import Group


class Cap:
    """Keeps the first k responses of each prompt that are still there (ReST-EM, 2312.06585: 10 a problem).

    Responses are drawn alike, so the first k are as good a draw as any, and a smaller cap keeps a part of what a larger
    one keeps; ``RandomK`` draws instead.

    Args:
        k: Responses kept a prompt, at most.
    """

    def __init__(self, k: int = 10) -> None:
        if k < 1:
            raise ValueError(f"Cap.k is {k}; give 1 or more.")
        self.k = k

    def select(self, groups: Sequence[Group], seed: int) -> list[Group]:
        """Drop what comes behind the first k of each group."""
        reason = f"beyond the cap of {self.k}"
        return [drop(group, {r.index: reason for r in candidates(group)[self.k :]}) for group in groups]
