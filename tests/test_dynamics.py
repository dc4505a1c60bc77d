from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from math import nan, sqrt
from statistics import NormalDist, fmean

import pytest

from mstar.dynamics import (
    balance_score,
    best,
    by_kind,
    greedy_accuracy,
    mean_pass_at_k,
    pass_at_k,
    reward_pass_at_k,
    summarize,
    wilson_interval,
)
from mstar.selection import drop
from mstar.types import Group, Prompt, Rollout
from mstar.votes import unique_answers, vote, vote_accuracy
from tests.groups import make_group


@pytest.mark.parametrize("n", range(1, 8))
def test_pass_at_k_is_the_mean_over_all_ways_to_draw_k(n: int) -> None:
    for c in range(n + 1):
        responses = [True] * c + [False] * (n - c)
        for k in range(1, n + 1):
            assert pass_at_k(n, c, k) == pytest.approx(fmean(any(drawn) for drawn in combinations(responses, k)))


@pytest.mark.parametrize(("n", "c", "k", "expected"), [(16, 2, 1, 0.125), (16, 2, 2, 0.241667), (16, 2, 8, 0.766667)])
def test_pass_at_k_gives_the_known_values(n: int, c: int, k: int, expected: float) -> None:
    assert pass_at_k(n, c, k) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("k", [0, 5])
def test_k_must_be_one_of_the_responses(k: int) -> None:
    with pytest.raises(ValueError, match=r"needs? at least"):
        pass_at_k(4, 1, k)
    with pytest.raises(ValueError, match="need at least"):
        best(make_group(marks="++++", rewards=(1, 1, 1, 1)), k, "process")


def test_only_correct_counts_as_correct() -> None:
    assert mean_pass_at_k([make_group(marks="+-nu?"), make_group(marks="nu?--")], 1) == pytest.approx(0.1)


def test_greedy_accuracy_is_of_one_response_a_prompt() -> None:
    assert greedy_accuracy([make_group(marks=mark) for mark in "+-n+"]) == 0.5
    with pytest.raises(ValueError, match="one response a prompt"):
        greedy_accuracy([make_group(marks="++")])


@pytest.mark.parametrize(
    ("marks", "rewards", "k", "solved"),
    [
        ("-+--", (0.9, 0.8, 0.1, 0.1), 1, False),
        ("-+--", (0.9, 0.8, 0.1, 0.1), 2, True),
        ("nn-+", (0.9, 0.8, 0.1, 0.7), 2, False),
        ("-+--", (0.5, 0.5, 0.5, 0.5), 1, False),
        ("+---", (0.5, 0.5, 0.5, 0.5), 1, True),
    ],
)
def test_reward_pass_ranks_all_responses_without_looking_at_answers(
    marks: str, rewards: tuple[float, ...], k: int, solved: bool
) -> None:
    assert reward_pass_at_k([make_group(marks=marks, rewards=rewards)], k, "process") == solved


def test_reward_pass_with_all_responses_is_pass_at_n() -> None:
    groups = [make_group(marks=marks, rewards=(0.3, 0.2, 0.9)) for marks in ("--+", "---", "+n-")]
    assert reward_pass_at_k(groups, 3, "process") == mean_pass_at_k(groups, 3)


def test_ranking_needs_a_reward_that_is_a_number() -> None:
    with pytest.raises(ValueError, match=r"'outcome', but the reward gives \['process'\]"):
        best(make_group(marks="+", rewards=(1.0,)), 1, "outcome")
    with pytest.raises(ValueError, match="is not a number"):
        best(make_group(marks="++", rewards=(1.0, nan)), 1, "process")


def voters(answers: list[str | None], weights: list[float], right: str = "7", **meta: object) -> Group:
    rollouts = (
        Rollout("p", i, "", (), rewards={"process": w}, answer=a, verdict="correct" if a == right else "wrong")
        for i, (a, w) in enumerate(zip(answers, weights, strict=True))
    )
    return Group(Prompt("p", "?", meta=meta), tuple(rollouts))


@pytest.mark.parametrize(
    ("answers", "weights", "majority", "weighted"),
    [
        (["7", "3", "3"], [0.9, 0.1, 0.1], "3", "7"),
        (["7", "3", "3"], [0.2, 0.1, 0.1], "3", "7"),
        (["3", "7"], [0.5, 0.5], "3", "3"),
        (["3", "7", "7.0"], [0.5, 0.1, 0.2], "7", "3"),
        ([None, None, "7"], [0.9, 0.9, 0.1], "7", "7"),
        ([None, None], [0.9, 0.9], None, None),
    ],
)
def test_votes_count_equal_answers_by_number_or_weight(
    answers: list[str | None], weights: list[float], majority: str | None, weighted: str | None
) -> None:
    group = voters(answers, weights)
    assert (vote(group), vote(group, "process")) == (majority, weighted)
    assert vote_accuracy([group]) == (majority == "7")
    assert vote_accuracy([group], "process") == (weighted == "7")


def test_votes_for_a_choice_are_pooled_however_it_is_named() -> None:
    group = voters(["x", "x", "(B)", "B", "y"], [1.0] * 5, right="(B)", choices=["x", "y", "z"])
    assert vote(group) == "(B)"
    assert unique_answers([group]) == 2


def test_unique_answers_leaves_out_the_silent() -> None:
    assert unique_answers([make_group(marks="++-n"), make_group(marks="nnnn")]) == 1


def test_balance_score_wants_many_different_and_only_correct_ones() -> None:
    assert balance_score([make_group(marks="++++")], target=4) == 1
    assert balance_score([make_group(marks="++++")], target=2) == 1
    assert balance_score([make_group(marks="++++")], target=8) == 0.5
    assert balance_score([make_group(marks="++--")], target=2) == 0.5
    assert balance_score([make_group(marks="++", texts=["a", "a"])], target=1) == 0.5
    assert balance_score([drop(make_group(marks="+-"), {1: ""})], target=1) == 1
    assert balance_score([drop(make_group(marks="+-"), {0: "", 1: ""}), make_group(marks="+")], target=1) == 1
    assert balance_score([drop(make_group(marks="-"), {0: ""})]) == 0


@pytest.mark.parametrize(("successes", "n"), [(0, 10), (1, 10), (5, 10), (10, 10), (48, 250), (592, 1000)])
def test_wilson_bounds_are_the_shares_that_just_explain_the_count(successes: int, n: int) -> None:
    z = NormalDist().inv_cdf(0.975)
    share = successes / n
    low, high = wilson_interval(successes, n)
    assert 0 <= low <= share <= high <= 1
    for bound in (low, high):  # the interval's definition: the score statistic is z at both ends
        assert abs(share - bound) == pytest.approx(z * sqrt(bound * (1 - bound) / n), abs=1e-12)


def test_an_interval_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one prompt"):
        wilson_interval(0, 0)


def test_groups_are_sorted_by_kind() -> None:
    groups = [make_group(name, kind=kind) for name, kind in [("a", "VQA"), ("b", "FQA"), ("c", "VQA")]]
    assert {kind: [g.prompt.id for g in part] for kind, part in by_kind(groups).items()} == {
        "FQA": ["b"],
        "VQA": ["a", "c"],
    }
    assert list(by_kind(groups)) == ["FQA", "VQA"]


def test_summary_names_every_measure() -> None:
    groups = [make_group("a", "+-n-", (0.1, 0.9, 0.5, 0.5)), make_group("b", "++--", (0.9, 0.1, 0.5, 0.5))]
    assert summarize(groups, (1, 2, 8), "process") == {
        "pass@1": 0.375,
        "pass@2": pytest.approx((1 / 2 + 5 / 6) / 2),
        "reward_pass@1": 0.5,
        "reward_pass@2": 0.5,
        "majority_vote": 1.0,
        "weighted_vote": 0.5,
        "unique_answers": 3.0,
        "length": 2.5,
        "truncated": 0.0,
        "no_answer": 0.125,
    }


def test_summary_without_a_reward_leaves_its_measures_out() -> None:
    assert not {"reward_pass@1", "weighted_vote"} & set(summarize([make_group(marks="+-")], (1,)))


def test_summary_leaves_out_what_refiners_added() -> None:
    own = make_group(marks="-n")
    hinted = replace(own, rollouts=(*own.rollouts, *(replace(r, origin="rationalize") for r in make_group(marks="++"))))
    assert summarize([hinted], (1, 2)) == summarize([own], (1, 2))
