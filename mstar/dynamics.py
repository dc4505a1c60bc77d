"""Pure measures of a policy's responses: exploration, exploitation and what is left to learn (paper, section 8)."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb, sqrt
from statistics import fmean

from mstar.types import Group, Rollout


def pass_at_k(n: int, c: int, k: int) -> float:
    """Chance that k of n responses, c of them correct, contain a correct one: 1 - C(n-c, k) / C(n, k).

    Raises:
        ValueError: If k is not in 1..n.

    >>> [round(pass_at_k(16, 2, k), 6) for k in (1, 2, 8)]
    [0.125, 0.241667, 0.766667]
    """
    if not 1 <= k <= n:
        raise ValueError(f"pass@{k} needs at least {k} responses a prompt, but there are {n}.")
    return 1 - comb(n - c, k) / comb(n, k)


def mean_pass_at_k(groups: Sequence[Group], k: int) -> float:
    """Unbiased pass@k averaged over prompts."""
    return fmean(pass_at_k(len(group), sum(r.correct for r in group), k) for group in groups)


def best(group: Group, k: int, by: str) -> list[Rollout]:
    """The k responses of highest reward, ties to the lower index.

    Raises:
        ValueError: If the reward was not given; the message lists those that were.
    """
    missing = next((r for r in group if by not in r.rewards), None)
    if missing is not None:
        raise ValueError(f"No reward is called {by!r}; there are {sorted(missing.rewards)}: use one of these for 'by'.")
    return sorted(group, key=lambda r: (-r.rewards[by], r.index))[:k]


def reward_pass_at_k(groups: Sequence[Group], k: int, by: str) -> float:
    """Share of prompts with a correct one among the k best by reward over all responses, without an answer filter.

    ``by`` must not know the answer: with the outcome reward in it, this would be pass@n.
    """
    return fmean(any(r.correct for r in best(group, k, by)) for group in groups)


def unique_answers(groups: Sequence[Group]) -> float:
    """Different stated answers a prompt."""
    return fmean(len({r.answer for r in group if r.answer is not None}) for group in groups)


def vote(group: Group, by: str | None = None) -> str | None:
    """The answer with most votes, weighted by a reward if ``by`` names one; ties to the answer seen first.

    Weighted, it is argmax_a Σ 1(â_i = a) · R_p(ŷ_i) (paper, section 7).
    """
    votes: dict[str, float] = {}
    for rollout in group:
        if rollout.answer is not None:
            votes[rollout.answer] = votes.get(rollout.answer, 0.0) + (1.0 if by is None else rollout.rewards[by])
    return max(votes, key=lambda answer: votes[answer]) if votes else None


def vote_accuracy(groups: Sequence[Group], by: str | None = None) -> float:
    """Share of prompts whose voted answer belongs to a correct response."""
    voted = ((group, vote(group, by)) for group in groups)
    return fmean(any(r.correct and r.answer == answer for r in group) for group, answer in voted)


def by_kind(groups: Sequence[Group]) -> dict[str, list[Group]]:
    """Groups by the kind of their prompt, kinds in alphabetical order."""
    kinds = sorted({group.prompt.kind for group in groups})
    return {kind: [group for group in groups if group.prompt.kind == kind] for kind in kinds}


def wilson_interval(successes: int, n: int) -> tuple[float, float]:
    """95 % Wilson score interval of a share.

    >>> [round(bound, 4) for bound in wilson_interval(50, 100)]
    [0.4038, 0.5962]
    """
    z = 1.959963984540054
    share, spread = successes / n, z * z / n
    centre = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * sqrt(share * (1 - share) / n + spread / (4 * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def summarize(groups: Sequence[Group], ks: Sequence[int], by: str | None = None) -> dict[str, float]:
    """All measures of sampled groups, by metric name.

    Args:
        groups: At least one; k above the size of the smallest group are left out.
        ks: The k of pass@k and reward-pass@k.
        by: Reward that ranks for reward-pass@k and weighs the vote; ``None`` leaves these out.
    """
    smallest = min(len(group) for group in groups)
    usable = [k for k in ks if k <= smallest]
    rollouts = [rollout for group in groups for rollout in group]
    measures = {f"pass@{k}": mean_pass_at_k(groups, k) for k in usable}
    if by is not None:
        measures |= {f"reward_pass@{k}": reward_pass_at_k(groups, k, by) for k in usable}
        measures["weighted_vote"] = vote_accuracy(groups, by)
    return {
        **measures,
        "majority_vote": vote_accuracy(groups),
        "unique_answers": unique_answers(groups),
        "length": fmean(len(r.tokens) for r in rollouts),
        "truncated": fmean(r.finish == "length" for r in rollouts),
        "no_answer": fmean(r.answer is None for r in rollouts),
    }
