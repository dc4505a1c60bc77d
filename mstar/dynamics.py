"""Pure measures of a policy's responses: exploration, exploitation and what is left to learn (paper, section 8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import comb, sqrt
from statistics import fmean

from mstar.selection.selector import named_reward
from mstar.types import Group, Rollout
from mstar.votes import unique_answers, vote_accuracy


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


def greedy_accuracy(groups: Sequence[Group]) -> float:
    """Share of prompts whose one response is correct.

    Raises:
        ValueError: If a group has not exactly one rollout.
    """
    if any(len(group) != 1 for group in groups):
        raise ValueError("Greedy accuracy needs one response a prompt; for several, give mean_pass_at_k(groups, 1).")
    return fmean(group.rollouts[0].correct for group in groups)


def mean_pass_at_k(groups: Sequence[Group], k: int) -> float:
    """Unbiased pass@k averaged over prompts."""
    return fmean(pass_at_k(len(group), sum(r.correct for r in group), k) for group in groups)


def best(group: Group, k: int, by: str) -> list[Rollout]:
    """The k responses of highest reward, ties to the lower index.

    Raises:
        ValueError: If k is not in 1..n, or the reward was not given; the message lists those that were.
    """
    if not 1 <= k <= len(group):
        raise ValueError(f"The best {k} need at least {k} responses a prompt, but {group.name!r} has {len(group)}.")
    return sorted(group, key=lambda r: (-named_reward(r, by, "by"), r.index))[:k]


def reward_pass_at_k(groups: Sequence[Group], k: int, by: str) -> float:
    """Share of prompts with a correct one among the k best by reward over all responses, without an answer filter.

    The paper's section 8: how well the reward exploits what the policy explores. k = 1 is best-of-n (its Figure 2a).
    ``by`` must not know the answer: with the outcome reward in it, this would be pass@n.
    """
    return fmean(any(r.correct for r in best(group, k, by)) for group in groups)


def balance_score(groups: Sequence[Group], target: int = 8) -> float:
    """B-STaR's balance of exploration and exploitation: min(n'/n*, 1) · n'/n, averaged over prompts with a selection.

    n are a prompt's responses that no selector dropped, n' the different correct ones among them (2412.17256; its code
    has n* = 8). A prompt of which everything is dropped does not count; 0 if that is all of them.

    Args:
        groups: Selected groups; before selection nothing is dropped.
        target: n*, responses a prompt that are enough.
    """
    left = [chosen for group in groups if (chosen := [r for r in group if r.kept is not False])]
    right = [len({r.text for r in chosen if r.correct}) for chosen in left]
    return fmean(min(n / target, 1) * n / len(chosen) for n, chosen in zip(right, left, strict=True)) if left else 0.0


def by_kind(groups: Sequence[Group]) -> dict[str, list[Group]]:
    """Groups by the kind of their prompt, kinds in alphabetical order."""
    kinds = sorted({group.prompt.kind for group in groups})
    return {kind: [group for group in groups if group.prompt.kind == kind] for kind in kinds}


def wilson_interval(successes: float, n: int) -> tuple[float, float]:
    """95 % Wilson score interval of a share.

    Also of a mean of n values in [0, 1], such as pass@k, given their sum: values between 0 and 1 scatter less than
    zeros and ones of the same mean, so the interval is then too wide rather than too narrow.

    Raises:
        ValueError: If there is nothing to take a share of.

    >>> [round(bound, 4) for bound in wilson_interval(50, 100)]
    [0.4038, 0.5962]
    """
    if n < 1:
        raise ValueError(f"An interval needs at least one prompt, but there are {n}.")
    z = 1.959963984540054
    share, spread = successes / n, z * z / n
    centre = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * sqrt(share * (1 - share) / n + spread / (4 * n))
    return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))  # rounding must not lose the ends


def sampled_by_policy(groups: Sequence[Group]) -> list[Group]:
    """Groups without the rollouts that refiners added; groups of nothing else are left out."""
    own = (replace(group, rollouts=tuple(r for r in group if r.origin == "policy")) for group in groups)
    return [group for group in own if len(group)]


def summarize(groups: Sequence[Group], ks: Sequence[int], by: str | None = None) -> dict[str, float]:
    """All measures of sampled groups, by metric name.

    Rollouts that a refiner added do not count: hinted or chosen by failure, they do not show what the policy can do.

    Args:
        groups: At least one; k above the size of the smallest group are left out.
        ks: The k of pass@k and reward-pass@k.
        by: Reward that ranks for reward-pass@k and weighs the vote; ``None`` leaves these out.
    """
    groups = sampled_by_policy(groups)
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


def answering(
    greedy: Sequence[Group], sampled: Sequence[Group], ks: Sequence[int], by: str | None = None
) -> dict[str, float]:
    """Accuracy and form of greedy responses and, if any were sampled, all that `summarize` says of those.

    ``pass@k-greedy`` is pass@k minus greedy accuracy: what there is left to learn from sampling (paper, section 8.1).

    Args:
        greedy: One response a prompt.
        sampled: Several responses to the same prompts; may be empty.
        ks: The k of pass@k and reward-pass@k.
        by: Reward that ranks; ``None`` leaves out what it ranks.
    """
    responses = [group.rollouts[0] for group in greedy]
    measures = {
        "accuracy": greedy_accuracy(greedy),
        "greedy_length": fmean(len(r.tokens) for r in responses),
        "greedy_truncated": fmean(r.finish == "length" for r in responses),
        "greedy_no_answer": fmean(r.answer is None for r in responses),
    }
    if sampled:
        found = summarize(sampled, ks, by)
        gaps = {f"{k}-greedy": v - measures["accuracy"] for k, v in found.items() if k.startswith("pass@")}
        measures |= found | gaps
    return measures
