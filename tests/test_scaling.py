"""Figure 2a: accuracy by responses a prompt, each k measured on every response."""

from __future__ import annotations

from statistics import fmean

import pytest

from mstar.scaling import blocks_of, scaling
from mstar.types import Group, Prompt, Rollout


def group(answers: str, weights: list[float]) -> Group:
    rollouts = (
        Rollout("p", i, "", (), rewards={"process": w}, answer=a, verdict="correct" if a == "7" else "wrong")
        for i, (a, w) in enumerate(zip(answers, weights, strict=True))
    )
    return Group(Prompt("p", "?"), tuple(rollouts))


GROUPS = [group("7337", [0.1, 0.9, 0.2, 0.8]), group("3377", [0.1, 0.2, 0.9, 0.4])]


def test_one_response_is_right_as_often_as_responses_are() -> None:
    found = scaling(GROUPS, (1,), "process")
    assert found == dict.fromkeys(("majority_vote@1", "weighted_vote@1", "best_of@1"), 0.5)


def test_more_responses_are_voted_on_and_ranked() -> None:
    found = scaling(GROUPS, (2, 4, 8), "process")
    assert found["best_of@2"] == fmean([fmean([0, 1]), fmean([0, 1])])
    assert found["weighted_vote@2"] == 0.5 and found["majority_vote@2"] == fmean([fmean([1, 0]), fmean([0, 1])])
    assert (found["best_of@4"], found["weighted_vote@4"], found["majority_vote@4"]) == (0.5, 0.5, 0.5)
    assert not any(name.endswith("@8") for name in found)


def test_without_a_reward_only_the_majority_votes() -> None:
    assert scaling(GROUPS, (1, 2)).keys() == {"majority_vote@1", "majority_vote@2"}


def test_blocks_use_whole_ones_only() -> None:
    assert [[r.index for r in block] for block in blocks_of([GROUPS[0]], 3)] == [[0, 1, 2]]
    with pytest.raises(ValueError, match="'p' has 4"):
        blocks_of(GROUPS, 5)
