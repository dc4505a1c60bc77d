"""The control on a stub policy that is best at 0.9: it gets 0.9, once, whoever asks and however often it is killed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from threading import Barrier

import pytest

from benchmarks.temperature_search import read_table
from benchmarks.temperature_search import search as replay
from mstar.modules.policy import Policy
from mstar.rewards.reward import RewardModel
from mstar.rollout.account import Account
from mstar.rollout.collect import Collector
from mstar.rollout.ranks import Ranks
from mstar.temperature import ArgmaxRewardPass, Choice, FullGrid, Racing, Search
from mstar.temperature.control import CANDIDATES, TemperatureControl
from mstar.types import Group, Prompt, Request, Rollout, Sampling
from tests.groups import make_group
from tests.policies import policy

PEAK = 0.9
PROMPTS = [Prompt(f"p{i}", "?") for i in range(32)]


class Killed(Exception):  # noqa: N818 (it is no error)
    """Stands for a kill."""


class PeakedEngine:
    """Writes "+" among the two that a reward trusts the more often the nearer the temperature is to the peak.

    Args:
        lives: Groups it makes before it is killed; ``None`` for ever.
    """

    def __init__(self, lives: int | None = None) -> None:
        self.account = Account()
        self.lives = lives
        self.made = 0

    def generate(self, policy: Policy, requests: Sequence[Request], sampling: Sampling, seed: int) -> Iterator[Group]:
        """Write the groups."""
        for request in requests:
            if self.made == self.lives:
                raise Killed
            self.made += 1
            luck = Random(f"{seed}{request.prompt.id}").random()
            marks = "+---" if luck < 0.9 - 0.7 * abs(sampling.temperature - PEAK) else "---+"
            rollouts = [Rollout(request.prompt.id, i, mark, (1,)) for i, mark in enumerate(marks)]
            yield Group(request.prompt, tuple(rollouts))


class Trusting(RewardModel):
    """Trusts the first two responses; "+" is right."""

    def score(self, groups: Sequence[Group]) -> list[Group]:
        """Judge and reward."""
        return [
            make_group(g.prompt.id, "".join(r.text for r in g), (0.9, 0.8, 0.2, 0.1), texts=[r.text for r in g])
            for g in groups
        ]


def search(how: Search, folder: Path, engine: PeakedEngine, iteration: int = 0, ranks: Ranks | None = None) -> Choice:
    control = TemperatureControl(ArgmaxRewardPass(2), every=2, num_responses=4, search=how)
    collector = Collector(engine, Trusting(), ranks=ranks or Ranks())
    with policy().inference() as ready:
        return control.at(
            iteration, folder, ready, collector, Sampling(num_responses=16, max_new_tokens=32), PROMPTS, seed=0
        )


@pytest.mark.parametrize("how", [FullGrid(), Racing(num_blocks=4)])
def test_a_policy_that_is_best_at_0_9_gets_0_9(how: Search, tmp_path: Path) -> None:
    engine = PeakedEngine()
    choice = search(how, tmp_path, engine)
    assert choice.temperature == PEAK
    assert choice.scores.keys() == set(CANDIDATES)
    assert engine.made <= len(CANDIDATES) * len(PROMPTS) * (1 if isinstance(how, FullGrid) else 0.5)


@pytest.mark.parametrize("how", [FullGrid(), Racing(num_blocks=4)])
def test_a_killed_search_goes_on_and_ends_the_same(how: Search, tmp_path: Path) -> None:
    whole = search(how, tmp_path / "whole", uninterrupted := PeakedEngine())
    made = 0
    for lives in (1, 40, 51):
        engine = PeakedEngine(lives)
        with pytest.raises(Killed):
            search(how, tmp_path / "killed", engine)
        made += engine.made
    last = PeakedEngine()
    assert search(how, tmp_path / "killed", last) == whole
    assert made + last.made == uninterrupted.made  # nothing was sampled twice


@pytest.mark.parametrize("how", [FullGrid(), Racing(num_blocks=4)])
def test_two_ranks_that_share_the_work_agree_with_one(how: Search, tmp_path: Path) -> None:
    meeting, engines = Barrier(2), (PeakedEngine(), PeakedEngine())

    def rank(number: int) -> Choice:
        return search(how, tmp_path / "two", engines[number], ranks=Ranks(number, 2, lambda: meeting.wait(60) and None))

    with ThreadPoolExecutor(2) as both:
        choices = list(both.map(rank, (0, 1)))
    one = PeakedEngine()
    assert choices == [search(how, tmp_path / "one", one)] * 2
    assert engines[0].made == engines[1].made == one.made // 2


def test_a_recorded_grid_is_replayed_by_the_benchmark(tmp_path: Path) -> None:
    choice = search(FullGrid(), tmp_path, PeakedEngine())
    table = read_table(tmp_path / "iteration-0000")
    assert {t: len(groups) for t, groups in table.items()} == dict.fromkeys(CANDIDATES, len(PROMPTS))
    assert replay(FullGrid(), table, ArgmaxRewardPass(2)) == choice
    with pytest.raises(SystemExit, match="holds no temperature"):
        read_table(tmp_path)


def test_the_choice_holds_until_the_next_search(tmp_path: Path) -> None:
    engine = PeakedEngine()
    first = search(FullGrid(), tmp_path, engine, 0)
    once = engine.made
    assert search(FullGrid(), tmp_path, engine, 1) == first and engine.made == once
    search(FullGrid(), tmp_path, engine, 2)
    assert engine.made == 2 * once
    saved = json.loads((tmp_path / "iteration-0000" / "choice.json").read_text())
    assert dict(saved["scores"]) == first.scores and dict(saved["num_prompts"]) == first.num_prompts
    control = TemperatureControl(ArgmaxRewardPass(2))
    assert control.chosen(1, tmp_path) == first and control.chosen(4, tmp_path) is None


def test_prompts_of_its_own_come_before_the_runs(tmp_path: Path) -> None:
    control, engine = TemperatureControl(ArgmaxRewardPass(2), PROMPTS[:2], [0.7, 0.9], num_responses=4), PeakedEngine()
    with policy().inference() as ready:
        control.at(0, tmp_path, ready, Collector(engine, Trusting()), Sampling(max_new_tokens=32), PROMPTS, seed=0)
    assert engine.made == 2 * 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"candidates": []}, "candidates is"), ({"candidates": [0.0]}, "above 0"), ({"every": 0}, "every is 0")],
)
def test_bad_settings_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TemperatureControl(ArgmaxRewardPass(2), **settings)  # type: ignore[arg-type]
