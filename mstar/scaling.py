"""What more responses a prompt are worth at test time: best-of-n, majority and weighted votes (paper, Figure 2a)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

from mstar.dynamics import reward_pass_at_k
from mstar.types import Group
from mstar.votes import vote_accuracy


def blocks_of(groups: Sequence[Group], k: int) -> list[Group]:
    """Groups cut into as many groups of k rollouts as they hold whole ones; what is left over is not used.

    Raises:
        ValueError: If a group has fewer than k.
    """
    if short := [group for group in groups if len(group) < k]:
        raise ValueError(f"Blocks of {k} need as many responses a prompt; {short[0].name!r} has {len(short[0])}.")
    return [
        replace(group, rollouts=group.rollouts[start : start + k])
        for group in groups
        for start in range(0, len(group) - k + 1, k)
    ]


def scaling(groups: Sequence[Group], ks: Sequence[int], by: str | None = None) -> dict[str, float]:
    """Accuracy of what is answered with k responses a prompt, by metric name.

    ``best_of@k`` is the response a reward ranks first, ``majority_vote@k`` and ``weighted_vote@k`` are the answers that
    `vote` elects. Each is the mean over all blocks of k, so that small k are measured on every response; the paper's
    figure does not say how its subsets were drawn.

    Args:
        groups: Sampled, of one size; k above the smallest are left out.
        ks: Responses a prompt.
        by: Name of a reward that does not know the answer; ``None`` leaves out what it ranks or weighs.
    """
    usable = [k for k in ks if k <= min(len(group) for group in groups)]
    found: dict[str, float] = {}
    for k in usable:
        blocks = _per_prompt(groups, k)
        found[f"majority_vote@{k}"] = fmean(vote_accuracy(part) for part in blocks)
        if by is not None:
            found[f"weighted_vote@{k}"] = fmean(vote_accuracy(part, by) for part in blocks)
            found[f"best_of@{k}"] = fmean(reward_pass_at_k(part, 1, by) for part in blocks)
    return found


def _per_prompt(groups: Sequence[Group], k: int) -> list[list[Group]]:
    """A prompt's blocks together: a prompt counts once, however many responses it has."""
    return [blocks_of([group], k) for group in groups]
