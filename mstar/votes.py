"""What a prompt's responses agree on: votes for the answer, and how many answers there are."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from mstar.answers.verify import canonical
from mstar.selection.selector import named_reward
from mstar.types import Group


def vote(group: Group, by: str | None = None) -> str | None:
    """The answer with most votes, weighted by a reward if ``by`` names one; ties to the answer seen first.

    Weighted, it is argmax_a Σ 1(â_i = a) · R_p(ŷ_i) (the paper's pseudo-label, section 7; it does not state when two
    answers are equal: here when they are `canonical`). The first who gave an answer speaks for all who did; ``None`` if
    no response states one.

    Raises:
        ValueError: If a response with an answer lacks the reward.
    """
    votes: dict[str, float] = {}
    spoken: dict[str, str] = {}
    for rollout in group:
        if rollout.answer is not None:
            answer = canonical(rollout.answer, group.prompt)
            spoken.setdefault(answer, rollout.answer)
            votes[answer] = votes.get(answer, 0.0) + (1.0 if by is None else named_reward(rollout, by, "by"))
    return spoken[max(votes, key=lambda answer: votes[answer])] if votes else None


def vote_accuracy(groups: Sequence[Group], by: str | None = None) -> float:
    """Share of prompts whose voted answer belongs to a correct response."""
    voted = ((group, vote(group, by)) for group in groups)
    return fmean(any(r.correct and r.answer == answer for r in group) for group, answer in voted)


def unique_answers(groups: Sequence[Group]) -> float:
    """Different stated answers a prompt, as `canonical`."""
    return fmean(len({canonical(r.answer, g.prompt) for r in g if r.answer is not None}) for g in groups)
