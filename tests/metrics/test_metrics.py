"""Metrics say what the pure functions say, whatever the batches and ranks."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random

import pytest
import torch

from mstar.dynamics import mean_pass_at_k, reward_pass_at_k, summarize, wilson_interval
from mstar.metrics import (
    Circular,
    GroupMean,
    MajorityVote,
    NoAnswer,
    PassAtK,
    RewardPassAtK,
    Scores,
    Seconds,
    Tokens,
    Truncated,
    Unscorable,
)
from mstar.types import Group
from mstar.votes import vote_accuracy
from tests.groups import make_group

RANDOM = Random(0)
GROUPS = [
    make_group(f"p{i}", "".join(RANDOM.choices("+-nu", k=4)), [RANDOM.random() for _ in range(4)]) for i in range(23)
]
Reference = Callable[[Sequence[Group]], float]
CASES: list[tuple[Callable[[], GroupMean], Reference]] = [
    (lambda: PassAtK(2), lambda groups: mean_pass_at_k(groups, 2)),
    (lambda: RewardPassAtK(2, "process"), lambda groups: reward_pass_at_k(groups, 2, "process")),
    (MajorityVote, vote_accuracy),
    (lambda: MajorityVote("process"), lambda groups: vote_accuracy(groups, "process")),
    (NoAnswer, lambda groups: summarize(groups, (1,))["no_answer"]),
    (Truncated, lambda groups: summarize(groups, (1,))["truncated"]),
    (Tokens, lambda groups: summarize(groups, (1,))["length"]),
    (Unscorable, lambda groups: sum(r.verdict == "unscorable" for g in groups for r in g) / (4 * len(groups))),
]


@pytest.mark.parametrize(("make", "reference"), CASES)
@pytest.mark.parametrize("sizes", [(23,), (1, 22), (0, 7, 16), (5, 5, 5, 5, 3)])
def test_batches_do_not_matter(make: Callable[[], GroupMean], reference: Reference, sizes: Sequence[int]) -> None:
    metric, start = make(), 0
    for size in sizes:
        metric.update(GROUPS[start : start + size])
        start += size
    measured = metric.measured()
    assert (measured.value, measured.n) == (pytest.approx(reference(GROUPS)), 23)


@pytest.mark.parametrize(("make", "reference"), CASES)
def test_ranks_add_up(make: Callable[[], GroupMean], reference: Reference) -> None:
    """What is reduced between ranks, by the functions the states were given; one rank has no prompt."""
    ranks = [make() for _ in range(3)]
    for rank, metric in enumerate(ranks):
        metric.update(GROUPS[rank::2] if rank < 2 else [])
    together = make()
    for name, reduce in together._reductions.items():
        assert callable(reduce)
        setattr(together, name, reduce(torch.stack([getattr(metric, name) for metric in ranks])))
    together._update_count = 1
    assert together.measured().value == pytest.approx(reference(GROUPS))


def test_a_share_has_a_wilson_interval_and_a_length_has_none() -> None:
    metric, tokens = PassAtK(1), Tokens()
    metric.update(GROUPS)
    tokens.update(GROUPS)
    measured = metric.measured()
    assert (measured.low, measured.high) == pytest.approx(wilson_interval(measured.value * 23, 23))
    assert (tokens.measured().low, tokens.measured().high) == (None, None)


def test_nothing_measured_is_not_a_number() -> None:
    metric = PassAtK(1)
    metric.update([])
    measured = metric.measured()
    assert math.isnan(measured.value) and measured.n == 0


def test_a_pass_above_the_number_of_responses_is_left_out() -> None:
    scores = Scores.of_sampled((1, 4, 8), "process", 4)
    scores.update(GROUPS)
    assert scores.measured().keys() == {
        "pass@1", "pass@4", "reward_pass@1", "reward_pass@4", "majority_vote", "weighted_vote", "no_answer",
        "truncated", "unscorable", "tokens",
    }  # fmt: skip
    assert "weighted_vote" not in Scores.of_sampled((1,), None, 4).metrics


def test_seconds_of_ranks_side_by_side_are_the_slowest_ones() -> None:
    ranks = [Seconds(), Seconds()]
    for metric, seconds in zip(ranks, ((1.0, 2.0), (4.0, 0.5)), strict=True):
        for value in seconds:
            metric.update(value)
    reduce = ranks[0]._reductions["seconds"]
    assert callable(reduce)
    assert float(reduce(torch.stack([metric.compute() for metric in ranks]))) == 4.5


def test_a_question_is_right_only_if_all_its_rotations_are() -> None:
    def asked(name: str, repeats: str, mark: str) -> Group:
        group = make_group(name, mark)
        return replace(group, prompt=replace(group.prompt, meta={"repeats": repeats} if repeats else {}))

    groups = [asked("1", "", "+"), asked("1000001", "1", "+"), asked("2", "", "+"), asked("1000002", "2", "-")]
    groups.append(asked("3", "", "n"))
    ranks = [Circular(), Circular(), Circular()]
    ranks[0].update(groups[::2])
    ranks[1].update(groups[1::2])
    ranks[2].update([])
    together = Circular()
    together.questions = [torch.cat(rank.questions) for rank in ranks]
    together.right = [torch.cat(rank.right) for rank in ranks]
    together._update_count = 1
    assert (together.measured().value, together.measured().n) == (pytest.approx(1 / 3), 3)
