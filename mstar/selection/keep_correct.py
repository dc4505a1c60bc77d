"""Keep the responses whose answer is right: rejection fine-tuning's filter."""

from __future__ import annotations

from collections.abc import Sequence

from mstar.selection.selector import candidates, drop
from mstar.types import Group, Rollout


class KeepCorrect:
    """Drops wrong, unscorable and unjudged responses: the factor 1(a* = â) in the paper's reward operator H.

    Alone it is the paper's row "-" of Table 2, which does not state whether duplicates or a cap were applied: here all
    correct responses stay.
    """

    def select(self, groups: Sequence[Group], seed: int) -> list[Group]:
        """Drop what the outcome reward did not find correct."""
        return [drop(group, {r.index: _reason(r) for r in candidates(group) if not r.correct}) for group in groups]


def _reason(rollout: Rollout) -> str:
    if rollout.verdict == "wrong":
        return "no answer" if rollout.answer is None else "wrong answer"
    return f"unscorable: {rollout.why}" if rollout.verdict == "unscorable" else "not judged"
