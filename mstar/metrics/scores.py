"""The metrics of a row of a report."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from mstar.metrics.circular import Circular
from mstar.metrics.group_mean import GroupMetric, Measured
from mstar.metrics.responses import NoAnswer, Tokens, Truncated, Unscorable
from mstar.metrics.right import MajorityVote, PassAtK, RewardPassAtK
from mstar.types import Group


class Scores(nn.Module):
    """Metrics by name, told of the same groups.

    Args:
        metrics: The metrics.
    """

    def __init__(self, metrics: dict[str, GroupMetric]) -> None:
        super().__init__()
        self.metrics = nn.ModuleDict(metrics)

    @classmethod
    def of_greedy(cls, rotated: bool = False) -> Scores:
        """What one response a prompt is measured by; ``rotated`` if some prompts repeat others."""
        circular: dict[str, GroupMetric] = {"circular": Circular()} if rotated else {}
        return cls({"accuracy": PassAtK(1), **circular, **_responses()})

    @classmethod
    def of_sampled(cls, ks: Sequence[int], by: str | None, num_responses: int) -> Scores:
        """What several responses a prompt are measured by; k above their number are left out."""
        usable = [k for k in ks if k <= num_responses]
        metrics: dict[str, GroupMetric] = {f"pass@{k}": PassAtK(k) for k in usable}
        metrics["majority_vote"] = MajorityVote()
        if by is not None:
            metrics |= {f"reward_pass@{k}": RewardPassAtK(k, by) for k in usable}
            metrics["weighted_vote"] = MajorityVote(by)
        return cls({**metrics, **_responses()})

    def update(self, groups: Sequence[Group]) -> None:
        """Add this rank's groups."""
        for metric in self._all().values():
            metric.update(groups)

    def measured(self) -> dict[str, Measured]:
        """All of them over all ranks. Every rank must call this."""
        return {name: metric.measured() for name, metric in self._all().items()}

    def _all(self) -> dict[str, GroupMetric]:
        return {name: metric for name, metric in self.metrics.items() if isinstance(metric, GroupMetric)}


def _responses() -> dict[str, GroupMetric]:
    return {"no_answer": NoAnswer(), "truncated": Truncated(), "unscorable": Unscorable(), "tokens": Tokens()}
