"""Labelled prompts, and beside them unlabelled ones from a moment of training on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mstar.prompts.joined import Joined
from mstar.prompts.ordered_walk import OrderedWalk
from mstar.prompts.pool import PromptPool
from mstar.prompts.unlabelled import Unlabelled
from mstar.types import Group, Prompt, PromptSource


class MixIn(PromptPool):
    """Walks labelled prompts in order; unlabelled ones join after a share of training (paper, section 7, Table 3).

    Both are walked as ``OrderedWalk`` walks. Unlabelled prompts carry no answer, so they need a reward that votes for
    one, such as ``VotedOutcome``. The paper states neither the ratio of the two after they are mixed nor the order of
    the unlabelled ones.

    Args:
        source: Labelled prompts.
        unlabelled: Prompts whose answers are hidden, with ids of their own.
        interval: Labelled prompts an iteration, or a share of ``source`` in (0, 1].
        mixin_at: Share of the run, in [0, 1], after which unlabelled prompts join: of ``trainer.max_steps``, which
            count the warm-up, or of ``trainer.max_epochs``. 0 mixes from the start.
        ratio: Unlabelled prompts for each labelled one, > 0.
        oracle: Show the hidden answers: the paper's upper bound.
    """

    def __init__(
        self,
        source: PromptSource,
        unlabelled: PromptSource,
        interval: int | float = 0.25,
        mixin_at: float = 0.0,
        ratio: float = 1.0,
        oracle: bool = False,
    ) -> None:
        if not 0 <= mixin_at <= 1:
            raise ValueError(f"prompts.mixin_at is {mixin_at}; give a share of the run in [0, 1].")
        if ratio <= 0:
            raise ValueError(f"prompts.ratio is {ratio}; give more than 0, or OrderedWalk for labelled prompts alone.")
        hidden = unlabelled if oracle else Unlabelled(unlabelled)
        super().__init__(Joined([source, hidden]))
        self.labelled = OrderedWalk(source, interval)
        self.others = OrderedWalk(hidden, max(1, round(ratio * self.labelled.interval)))
        self.mixin_at = mixin_at

    def prompts(self, iteration: int, progress: float = 0.0) -> list[Prompt]:
        """The interval of labelled prompts and, once they have joined, of unlabelled ones behind it."""
        joined = self.others.prompts(iteration) if progress >= self.mixin_at else []
        return [*self.labelled.prompts(iteration), *joined]

    def update(self, groups: Sequence[Group]) -> None:
        """Learn nothing."""

    def state_dict(self) -> dict[str, Any]:
        """Nothing: the walk follows from iteration and progress."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore nothing."""
