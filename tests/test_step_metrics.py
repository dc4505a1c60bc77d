"""Measures of step rewards: as counted by hand, and blind to what only tells prompts apart."""

from __future__ import annotations

from itertools import product
from random import Random

import pytest

from mstar.step_metrics import ScoredResponse, accuracy, auc, calibration_error, measure_by_kind, measure_steps


@pytest.mark.parametrize("seed", range(5))
def test_auc_counts_pairs(seed: int) -> None:
    draw = Random(seed)
    scores, right = [draw.choice((0.1, 0.5, 0.9)) for _ in range(30)], [draw.random() < 0.5 for _ in range(30)]
    pairs = [
        (a > b) + 0.5 * (a == b)
        for (a, yes), (b, no) in product(zip(scores, right, strict=True), repeat=2)
        if yes and not no
    ]
    assert auc(scores, right) == pytest.approx(sum(pairs) / len(pairs))


def test_calibration_error_is_how_far_bins_are_off_weighed_by_their_size() -> None:
    scores, right = [0.95] * 4 + [0.05] * 6, [True, True, True, False] + [True] + [False] * 5
    assert calibration_error(scores, right) == pytest.approx(0.4 * (0.95 - 0.75) + 0.6 * (1 / 6 - 0.05), abs=1e-6)


@pytest.mark.parametrize(("threshold", "share"), [(0.5, 0.75), (0.3, 1.0), (0.95, 0.25)])
def test_accuracy_is_at_a_threshold(threshold: float, share: float) -> None:
    assert accuracy([0.9, 0.6, 0.4, 0.1], [True, True, True, False], threshold) == share


def responses(hard: float, easy: float) -> list[ScoredResponse]:
    """Steps of a hard prompt, mostly wrong, all at one score; of an easy one, mostly right, all at another."""
    return [
        ScoredResponse("hard", "sum", (hard, hard), (False, False)),
        ScoredResponse("hard", "sum", (hard, hard), (True, True)),
        ScoredResponse("hard", "sum", (hard,), (False,)),
        ScoredResponse("easy", "prod", (easy, easy), (True, True)),
        ScoredResponse("easy", "prod", (easy,), (False,)),
        ScoredResponse("easy", "prod", (easy,), (True,)),
        ScoredResponse("easy", "prod", (), ()),
    ]


def test_knowing_hard_questions_is_no_merit_within_a_prompt() -> None:
    measures = measure_steps(responses(0.1, 0.9))
    assert measures["auc"] > 0.5
    assert measures["auc_within_prompt"] == measures["ranking_auc"] == 0.5


def test_responses_are_ranked_by_their_worst_step() -> None:
    sound = ScoredResponse("p", "", (0.6, 0.7), (True, True))
    lucky_start = ScoredResponse("p", "", (0.99, 0.1), (True, False))
    assert measure_steps([sound, lucky_start])["ranking_auc"] == 1.0
    assert measure_steps([lucky_start]).keys() == {"accuracy", "calibration_error", "auc", "auc_within_prompt"}


def test_kinds_are_measured_apart_and_what_cannot_be_is_left_out() -> None:
    found = measure_by_kind([*responses(0.1, 0.9), ScoredResponse("x", "range", (0.7,), (True,))])
    assert found["sum/accuracy"] == pytest.approx(3 / 5) and found["prod/accuracy"] == pytest.approx(3 / 4)
    assert "range/accuracy" in found and "range/auc" not in found
    assert measure_by_kind([]) == {}
