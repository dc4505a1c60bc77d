"""The balance score by threshold: as the plain formula has it, at every threshold."""

from __future__ import annotations

from random import Random

import pytest

from mstar.dynamics import balance_score
from mstar.selection import AboveThreshold, BalancedThreshold, drop
from mstar.selection.balance import balance_curve, best_threshold
from mstar.temperature import ArgmaxBalance
from mstar.types import Group
from tests.groups import left, make_group

TAUS = (-1.0, 0.0, 0.25, 0.3, 0.5, 0.99, 1.0, 1.5)


def some_groups(seed: int) -> list[Group]:
    draw = Random(seed)
    return [
        make_group(
            f"p{i}",
            "".join(draw.choices("+-n", k=6)),
            [draw.choice((0.0, 0.25, 0.5, 0.99, 1.2)) for _ in range(6)],
            texts=draw.choices("abc", k=6),
        )
        for i in range(9)
    ]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("target", [1, 2, 8])
def test_the_curve_is_the_score_of_the_groups_cut_at_each_threshold(seed: int, target: int) -> None:
    groups = [drop(group, {0: "gone"}) for group in some_groups(seed)]
    curve = balance_curve(groups, "process", target, TAUS)
    plain = [balance_score(AboveThreshold(tau, "process").select(groups, 0), target) for tau in TAUS]
    assert curve.tolist() == pytest.approx(plain)
    tau, score = best_threshold(groups, "process", target, TAUS)
    assert score == pytest.approx(max(plain)) and TAUS.index(tau) == curve.argmax()


def test_the_selector_cuts_where_the_score_is_highest() -> None:
    groups = [make_group("a", "++--", (0.9, 0.8, 0.5, 0.1)), make_group("b", "+---", (0.7, 0.4, 0.3, 0.2))]
    kept = BalancedThreshold("process", target=1, thresholds=(0.0, 0.45, 0.6, 0.85)).select(groups, 0)
    assert [left(group) for group in kept] == [[0, 1], [0]]
    assert "process is not above 0.6" in kept[0].rollouts[2].why


def test_the_rule_takes_the_temperature_that_its_best_threshold_suits() -> None:
    cold = [make_group(marks="+---", rewards=(0.9, 0.8, 0.8, 0.8))]  # cut above 0.8: one right one
    warm = [make_group(marks="++--", rewards=(0.9, 0.8, 0.1, 0.1))]  # cut above 0.1: two right ones
    choice = ArgmaxBalance("process", target=2, thresholds=(0.0, 0.5, 0.85)).choose({0.5: cold, 1.0: warm})
    assert choice.temperature == 1.0 and choice.scores == {0.5: 0.5, 1.0: 1.0}
    assert choice.reason.endswith("threshold 0.5")
