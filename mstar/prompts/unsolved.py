"""Walk only the prompts that no response has solved yet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mstar.prompts.ordered_walk import length_of
from mstar.prompts.pool import PromptPool
from mstar.types import Group, Prompt, PromptSource


class Unsolved(PromptPool):
    """The first unsolved prompts, in order: MathSE's shrinking D_remain. Solved ones do not come back.

    Args:
        source: All prompts.
        interval: Prompts an iteration (an integer), or a share of the source in (0, 1].
    """

    def __init__(self, source: PromptSource, interval: int | float = 0.25) -> None:
        super().__init__(source)
        self.interval = length_of(interval, len(source))
        self.solved: set[str] = set()

    def prompts(self, iteration: int) -> list[Prompt]:
        """The next unsolved prompts.

        Raises:
            RuntimeError: If every prompt is solved.
        """
        left = [i for name, i in self._positions.items() if name not in self.solved][: self.interval]
        if not left:
            raise RuntimeError(f"All {len(self.source):,} prompts are solved before iteration {iteration}: stop here.")
        return [self.source[i] for i in left]

    def update(self, groups: Sequence[Group]) -> None:
        """Remember the prompts with a correct response."""
        self.solved |= {group.prompt.id for group in groups if any(rollout.correct for rollout in group)}

    def state_dict(self) -> dict[str, Any]:
        """Ids of solved prompts."""
        return {"solved": sorted(self.solved)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the solved prompts."""
        self.solved = set(state["solved"])
