"""Pseudo-labels by weighted vote: they judge, and are forgotten."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mstar.rewards import OutcomeReward, VotedOutcome
from mstar.rewards.reward import with_reward
from mstar.types import Group
from tests.rewards.test_rewards import Named, group


def weighed(texts: list[str], weights: list[float], answer: str | None = None) -> Group:
    made = group(*texts, answer=answer)
    rollouts = (with_reward(r, "process", w) for r, w in zip(made, weights, strict=True))
    return replace(made, rollouts=tuple(rollouts))


TEXTS = ["Answer: 4", "Answer: 5", "Answer: 5.0", "no idea"]


@pytest.mark.parametrize(
    ("by", "weights", "verdicts"),
    [
        ("process", [0.9, 0.2, 0.2, 0.9], ["correct", "wrong", "wrong", "wrong"]),
        ("process", [0.3, 0.2, 0.2, 0.9], ["wrong", "correct", "correct", "wrong"]),
        (None, [0.9, 0.2, 0.2, 0.9], ["wrong", "correct", "correct", "wrong"]),
    ],
)
def test_unlabelled_responses_are_held_to_the_weighted_vote(
    by: str | None, weights: list[float], verdicts: list[str]
) -> None:
    (scored,) = VotedOutcome(by).score([weighed(TEXTS, weights)])
    assert [r.verdict for r in scored] == verdicts
    assert [r.rewards["outcome"] for r in scored] == [float(v == "correct") for v in verdicts]
    assert [r.answer for r in scored] == ["4", "5", "5.0", None]
    assert scored.prompt.answer is None  # the pseudo-label is not kept


def test_labelled_responses_are_judged_as_ever() -> None:
    labelled, unlabelled = weighed(TEXTS, [0.1, 0.9, 0.9, 0.1], "4"), weighed(TEXTS, [0.1, 0.9, 0.9, 0.1])
    scored = VotedOutcome().score([unlabelled, labelled, unlabelled])
    assert scored[1] == OutcomeReward().score([labelled])[0]
    assert [g.rollouts[0].verdict for g in scored] == ["wrong", "correct", "wrong"]


def test_where_nobody_answers_all_are_wrong() -> None:
    (scored,) = VotedOutcome().score([weighed(["no idea", "hm"], [0.9, 0.9])])
    assert [(r.verdict, r.why, r.rewards["outcome"]) for r in scored] == [("wrong", "no answer", 0.0)] * 2


def test_weights_that_are_missing_are_asked_for() -> None:
    with pytest.raises(ValueError, match=r"by is 'process', but the reward gives \['style'\]"):
        VotedOutcome().score(Named("style", 1.0, 1.0).score([group("Answer: 4", "Answer: 5", answer=None)]))


def test_references_that_cannot_be_read_still_stop_the_run() -> None:
    unreadable = weighed(["Answer: 4"], [0.5], "  ")
    with pytest.raises(RuntimeError, match="cannot be judged"):
        VotedOutcome().score([unreadable])
