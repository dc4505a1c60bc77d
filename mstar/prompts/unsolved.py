"""Walk only the prompts that no response has solved yet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mstar.prompts.ordered_walk import length_of, start_of
from mstar.prompts.pool import PromptPool
from mstar.prompts.unusable import read_prompts
from mstar.types import Group, Prompt, PromptSource


class Unsolved(PromptPool):
    """MathSE's shrinking D_remain: prompts with a correct response do not come back.

    An iteration begins where the ordered walk would, leaves out what is solved, and goes on, round the end, until its
    interval is full. So hard prompts cannot keep the others waiting, and with interval 1.0 it is MathSE's.

    Args:
        source: All prompts, in the order to be walked.
        interval: Prompts an iteration (an integer >= 1), or a share of the source in (0, 1].
    """

    def __init__(self, source: PromptSource, interval: int | float = 0.25) -> None:
        super().__init__(source)
        self.interval = length_of(interval, len(source))
        self.solved: set[str] = set()

    def prompts(self, iteration: int, progress: float = 0.0) -> list[Prompt]:
        """The next unsolved prompts; fewer than the interval if fewer are left.

        Raises:
            RuntimeError: If every prompt is solved.
        """
        begin = start_of(iteration, self.interval, len(self.source))
        left = np.flatnonzero(~self._solved())
        if not len(left):
            raise RuntimeError(
                f"All {len(self.source):,} prompts are solved before iteration {iteration}. Lower trainer.max_epochs "
                f"to {iteration}, or give data.prompts.source more prompts."
            )
        walk = np.roll(left, -int(np.searchsorted(left, begin)))
        return read_prompts(self.source, walk[: self.interval].tolist())

    def _solved(self) -> NDArray[np.bool_]:
        """Whether each prompt is solved."""
        solved = np.zeros(len(self.source), dtype=np.bool_)
        solved[self.index.among(self.solved)] = True
        return solved

    def update(self, groups: Sequence[Group]) -> None:
        """Remember the prompts with a correct response."""
        self.solved |= {group.prompt.id for group in groups if any(rollout.correct for rollout in group)}

    def state_dict(self) -> dict[str, Any]:
        """Ids of solved prompts."""
        return {"solved": sorted(self.solved)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the solved prompts."""
        self.solved = set(state["solved"])
