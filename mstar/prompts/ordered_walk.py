"""Walk the prompts in order, an interval an iteration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mstar.prompts.pool import PromptPool
from mstar.types import Group, Prompt, PromptSource


class OrderedWalk(PromptPool):
    """The paper's walk: fixed intervals in order, the last of a pass is shorter, then the next pass begins.

    The paper writes 25 % and walks 45,000 of 169K queries, so that every fourth iteration is short (section 2).

    Args:
        source: All prompts.
        interval: Prompts an iteration (an integer), or a share of the source in (0, 1].
    """

    def __init__(self, source: PromptSource, interval: int | float = 0.25) -> None:
        super().__init__(source)
        self.interval = length_of(interval, len(source))

    def prompts(self, iteration: int) -> list[Prompt]:
        """The iteration's interval."""
        begin = iteration % -(-len(self.source) // self.interval) * self.interval
        return [self.source[i] for i in range(begin, min(begin + self.interval, len(self.source)))]

    def update(self, groups: Sequence[Group]) -> None:
        """Learn nothing."""

    def state_dict(self) -> dict[str, Any]:
        """Nothing: the walk follows from the iteration."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore nothing."""


def length_of(interval: int | float, total: int) -> int:
    """Prompts an iteration.

    Raises:
        ValueError: If the interval is neither a positive count nor a share in (0, 1].

    >>> length_of(0.25, 1000), length_of(45_000, 169_360)
    (250, 45000)
    """
    if isinstance(interval, float) and 0 < interval <= 1:
        return max(1, round(interval * total))
    if interval >= 1 and interval == int(interval):
        return min(int(interval), total)
    raise ValueError(f"prompts.interval is {interval}; give a number of prompts, or a share in (0, 1].")
