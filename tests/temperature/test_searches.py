"""Searches: racing finds a clear peak as the grid does, and spends no more than it may."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from random import Random

import pytest

from mstar.temperature import ArgmaxPass, ArgmaxRewardPass, Choice, FullGrid, Racing, Search, TemperatureRule
from mstar.temperature.racing import affordable, cuts
from mstar.types import Group
from tests.groups import make_group

CANDIDATES = [round(0.3 + 0.1 * i, 1) for i in range(14)]
NUM = 80
Table = dict[float, list[Group]]


def table(peak: float, seed: int = 0, drop: float = 0.8) -> Table:
    """Two of four responses are trusted; the chance that one of these is right falls with the distance to the peak."""
    draw = Random(seed)
    luck = [draw.random() for _ in range(NUM)]
    return {
        t: [
            make_group(f"p{i}", "+---" if luck[i] < 0.7 - drop * abs(t - peak) else "---+", (0.9, 0.8, 0.1, 0.1))
            for i in range(NUM)
        ]
        for t in CANDIDATES
    }


def find(how: Search, measured: Table, rule: TemperatureRule) -> tuple[Choice, dict[float, int]]:
    asked: dict[float, int] = dict.fromkeys(measured, 0)

    def measure(temperature: float, part: range) -> Sequence[Group]:
        assert part.start == asked[temperature]  # every prompt once, in order
        asked[temperature] = part.stop
        return [measured[temperature][i] for i in part]

    return how.find(list(measured), NUM, rule, measure), asked


@pytest.mark.parametrize("peak", [0.3, 0.9, 1.4, 1.6])
@pytest.mark.parametrize("how", [FullGrid(), Racing(), Racing(0.35), Racing(num_blocks=4)])
def test_a_clear_peak_is_found(peak: float, how: Search) -> None:
    choice, _ = find(how, table(peak), ArgmaxRewardPass(2))
    assert choice.temperature == peak


@pytest.mark.parametrize("budget", [0.3, 0.5, 0.8])
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("rule", [ArgmaxRewardPass(2), ArgmaxPass(2)])
def test_a_race_stays_within_its_budget_and_says_what_it_measured(
    budget: float, seed: int, rule: TemperatureRule
) -> None:
    choice, asked = find(Racing(budget), table(0.9, seed, drop=0.05), rule)
    assert sum(asked.values()) <= budget * NUM * len(CANDIDATES)
    assert choice.num_prompts == asked and asked[choice.temperature] == NUM
    assert choice.scores.keys() == set(CANDIDATES) and min(asked.values()) >= NUM // 10


def test_the_whole_budget_is_the_grid_unless_some_lose_clearly() -> None:
    flat = {t: table(0.9)[0.9] for t in CANDIDATES}
    choice, asked = find(Racing(1.0), flat, ArgmaxRewardPass(2))
    assert set(asked.values()) == {NUM} and choice.temperature == max(CANDIDATES)


def test_a_race_depends_on_what_it_measures_alone() -> None:
    measured = table(0.9, 3, drop=0.1)
    assert find(Racing(), measured, ArgmaxRewardPass(2)) == find(Racing(), measured, ArgmaxRewardPass(2))


@pytest.mark.parametrize(("num", "blocks"), [(250, 10), (7, 10), (11, 4), (1, 2)])
def test_blocks_cover_every_prompt_once(num: int, blocks: int) -> None:
    ends = cuts(num, blocks)
    assert ends[0] == 0 and ends[-1] == num and all(a < b for a, b in pairwise(ends))


@pytest.mark.parametrize("left", range(10, 200, 7))
@pytest.mark.parametrize("ahead", [1, 9, 10, 50])
def test_one_can_always_finish(left: int, ahead: int) -> None:
    if left >= ahead:
        going = affordable(left, ahead, 10)
        assert left - going * min(10, ahead) >= ahead - min(10, ahead)


def test_a_budget_that_is_too_small_is_refused() -> None:
    with pytest.raises(ValueError, match=r"temperature\.search\.budget \(0\.1\)"):
        find(Racing(0.1), table(0.9), ArgmaxRewardPass(2))
    for wrong in ({"budget": 0.0}, {"budget": 1.5}, {"num_blocks": 1}):
        with pytest.raises(ValueError, match=r"temperature\.search"):
            Racing(**wrong)  # type: ignore[arg-type]
