"""What the benchmark of the demo's process reward counts, it counts right."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.process_reward import count, main, right, summarize
from mstar.demo.scenes import gold
from mstar.types import Group, Prompt, Rollout

ID = "test-0-000002"


def group(*rewards: tuple[bool, float], name: str = ID) -> Group:
    """Right responses, each clean or not, with its reward."""
    texts = [gold(name) if clean else f"lucky\n{gold(name)}" for clean, _ in rewards]
    rollouts = [
        Rollout(name, i, text, (1,), rewards={"process": reward}, verdict="correct")
        for i, (text, (_, reward)) in enumerate(zip(texts, rewards, strict=True))
    ]
    return Group(Prompt(name, "?"), tuple(rollouts))


@pytest.mark.parametrize(
    ("rewards", "expected"),
    [
        ([(True, 0.9), (False, 0.1)], (1, 1, 1, 1, 2)),
        ([(True, 0.1), (False, 0.9)], (0, 1, 1, 1, 2)),
        ([(True, 0.5), (False, 0.5)], (0.5, 1, 1, 1, 2)),
        ([(True, 0.9), (True, 0.5), (False, 0.7), (False, 0.1)], (3, 4, 1, 1, 2)),
        ([(True, 0.9), (True, 0.8), (False, 0.7), (False, 0.1)], (4, 4, 0, 1, 2)),
        ([(False, 0.9), (False, 0.8), (False, 0.1)], (0, 0, 2, 2, 2)),
        ([(True, 0.3)], (0, 0, 0, 0, 1)),
        ([(True, 0.3), (True, 0.2), (False, 0.1)], (2, 2, 0, 2 / 3, 2)),
    ],
)
def test_a_prompt_counts_its_pairs_and_what_is_kept(
    rewards: list[tuple[bool, float]], expected: tuple[float, ...]
) -> None:
    assert count(group(*rewards)) == pytest.approx(expected)


def test_prompts_weigh_by_their_pairs_and_intervals_hold_the_figure() -> None:
    counts = [(1, 1, 0, 1, 2), (0, 4, 1, 1, 2), (4, 4, 0, 1, 2), (0, 0, 0, 0, 1)] * 25
    found = summarize(counts)
    assert found["auc"][0] == pytest.approx(5 / 9, abs=1e-3)
    assert found["auc_by_prompt"] == pytest.approx(2 / 3, abs=1e-3)
    assert (found["prompts"], found["pairs"]) == (75, 225)
    assert found["lucky_top"] == pytest.approx(100 / 7, abs=0.05)
    assert found["lucky_random"] == pytest.approx(300 / 7, abs=0.05)
    assert found["cleaner"][0] == pytest.approx(200 / 7, abs=1e-3)
    for value, low, high in (found["auc"], found["cleaner"]):
        assert low < value < high


def test_more_prompts_narrow_the_interval() -> None:
    few, many = (summarize([(1, 1, 0, 1, 2), (0, 1, 1, 1, 2)] * n)["auc"] for n in (10, 200))
    assert many[2] - many[1] < (few[2] - few[1]) / 3


def test_without_a_pair_nothing_is_measured() -> None:
    with pytest.raises(ValueError, match=r"No scene has both .* --prompts"):
        summarize([(0, 0, 0, 0, 2)] * 3)


def test_only_right_responses_are_compared() -> None:
    wrong = Rollout(ID, 1, "no", (1,), verdict="wrong")
    mixed, hopeless = Group(Prompt(ID, "?"), (*group((True, 0.5)), wrong)), Group(Prompt(ID, "?"), (wrong,))
    assert [[r.text for r in found] for found in right([mixed, hopeless])] == [[gold(ID)]]


@pytest.mark.parametrize("split", ["test", "validation"])
def test_an_unfinished_run_is_named(split: str, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="is missing: give the folder of a finished demo"):
        main([str(tmp_path), "--split", split])
