"""What responses are like, right or wrong."""

from __future__ import annotations

from statistics import fmean

from mstar.metrics.group_mean import GroupMean
from mstar.types import Group


class NoAnswer(GroupMean):
    """Share of responses in which no answer was found: the extraction-failure rate."""

    higher_is_better = False

    def value_of(self, group: Group) -> float:
        """The group's share."""
        return fmean(rollout.answer is None for rollout in group)


class Truncated(GroupMean):
    """Share of responses that reached ``max_new_tokens``."""

    higher_is_better = False

    def value_of(self, group: Group) -> float:
        """The group's share."""
        return fmean(rollout.finish == "length" for rollout in group)


class Unscorable(GroupMean):
    """Share of responses that could not be judged; they count as not correct."""

    higher_is_better = False

    def value_of(self, group: Group) -> float:
        """The group's share."""
        return fmean(rollout.verdict == "unscorable" for rollout in group)


class Tokens(GroupMean):
    """Tokens a response."""

    higher_is_better = False
    is_share = False

    def value_of(self, group: Group) -> float:
        """The group's mean."""
        return fmean(len(rollout.tokens) for rollout in group)
