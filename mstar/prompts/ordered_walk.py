"""Walk the prompts in order, an interval an iteration."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Any

from mstar.prompts.pool import PromptPool
from mstar.prompts.unusable import read_prompts
from mstar.types import Group, Prompt, PromptSource


class OrderedWalk(PromptPool):
    """The paper's walk: fixed intervals in order, the last of a pass is shorter, then the next pass begins.

    The paper writes 25 %, "45K"; the lengths of its iterations fit 45,000 of 169,360 prompts, every fourth iteration
    short (mstar-paper, section 2, inferred). 0.25 gives four equal ones; say 45000 for its walk.

    Args:
        source: All prompts, in the order to be walked.
        interval: Prompts an iteration (an integer >= 1), or a share of the source in (0, 1]; ``1`` is one prompt,
            ``1.0`` all of them.
    """

    def __init__(self, source: PromptSource, interval: int | float = 0.25) -> None:
        super().__init__(source)
        self.interval = length_of(interval, len(source))

    def prompts(self, iteration: int, progress: float = 0.0) -> list[Prompt]:
        """The iteration's interval."""
        begin = start_of(iteration, self.interval, len(self.source))
        return read_prompts(self.source, range(begin, min(begin + self.interval, len(self.source))))

    def update(self, groups: Sequence[Group]) -> None:
        """Learn nothing."""

    def state_dict(self) -> dict[str, Any]:
        """Nothing: the walk follows from the iteration."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore nothing."""


def length_of(interval: int | float, total: int) -> int:
    """Prompts an iteration; a share is rounded up, so that 0.25 is walked in four iterations, never five.

    Raises:
        ValueError: If the interval is neither a positive count nor a share in (0, 1], or there are no prompts.

    >>> length_of(0.25, 1000), length_of(0.25, 10), length_of(45_000, 169_360)
    (250, 3, 45000)
    """
    if total < 1:
        raise ValueError("prompts.source is empty; give one with prompts.")
    if isinstance(interval, float) and 0 < interval <= 1:
        return max(1, ceil(round(interval * total, 6)))  # 0.07 * 100 is a little more than 7
    if interval >= 1 and interval == int(interval):
        return min(int(interval), total)
    raise ValueError(f"prompts.interval is {interval}; give a number of prompts, or a share in (0, 1].")


def start_of(iteration: int, interval: int, total: int) -> int:
    """Where an iteration's interval begins.

    >>> [start_of(iteration, 4, 10) for iteration in range(4)]
    [0, 4, 8, 0]
    """
    return iteration % -(-total // interval) * interval
