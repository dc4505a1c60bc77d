from __future__ import annotations

from itertools import permutations

import pytest

from mstar.temperature import ArgmaxPass, ArgmaxRewardPass, TemperatureRule
from mstar.types import Group
from tests.groups import make_group

COLD = [make_group(marks="+---", rewards=(0.9, 0.1, 0.1, 0.1))]  # reward-pass@2 1, pass@4 1
HOT = [make_group(marks="++--", rewards=(0.1, 0.2, 0.9, 0.8))]  # reward-pass@2 0, pass@2 higher
LOST = [make_group(marks="----", rewards=(0.1, 0.2, 0.9, 0.8))]


@pytest.mark.parametrize(
    ("rule", "temperature"),
    [(ArgmaxRewardPass(2), 0.3), (ArgmaxPass(2), 0.7), (ArgmaxPass(4), 0.7), (ArgmaxPass(1), 0.7)],
)
def test_the_rule_takes_the_highest_measure(rule: TemperatureRule, temperature: float) -> None:
    assert rule.choose({0.3: COLD, 0.7: HOT, 1.1: LOST}).temperature == temperature


@pytest.mark.parametrize("order", list(permutations([(0.3, COLD), (0.7, COLD), (1.1, LOST)])))
def test_of_equals_the_hottest_is_taken_in_any_order(order: tuple[tuple[float, list[Group]], ...]) -> None:
    assert ArgmaxRewardPass(2).choose(dict(order)).temperature == 0.7


def test_the_choice_keeps_the_whole_curve_and_says_why() -> None:
    choice = ArgmaxRewardPass(2).choose({0.3: COLD, 0.7: HOT, 1.1: LOST})
    assert choice.scores == {0.3: 1.0, 0.7: 0.0, 1.1: 0.0}
    assert choice.reason == "reward-pass@2 is highest (1.000) at temperature 0.3"


@pytest.mark.parametrize("rule", [ArgmaxRewardPass(5), ArgmaxPass(5)])
def test_too_few_responses_are_refused(rule: TemperatureRule) -> None:
    with pytest.raises(ValueError, match="at least 5 responses"):
        rule.choose({0.3: COLD})
