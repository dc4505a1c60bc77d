"""The study: every arm is what its table says, its statistics are paired, and its page tells what is not there."""

from __future__ import annotations

from math import isnan
from pathlib import Path
from typing import Any

import pytest

from benchmarks.study import CONTROL_EPOCHS, NAMES, STEPS, parse, write_recipe
from benchmarks.study_arms import ARMS, ORDERINGS, TABLES, build_stages
from benchmarks.study_page import Measured, difference, page
from mstar.callbacks import ExplorationMonitor
from mstar.cli import main
from mstar.recipe.plan import build_argv, read_recipe, read_yaml

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def stages_of(*arms: str) -> dict[str, dict[str, Any]]:
    demo = read_yaml(ROOT / "configs" / "recipes" / "demo.yaml")
    return {stage["name"]: stage for stage in build_stages(demo, arms, STEPS, CONTROL_EPOCHS)}


@pytest.mark.parametrize("small", [False, True])
def test_a_seed_is_a_recipe_of_every_arm_and_its_test(tmp_path: Path, small: bool) -> None:
    recipe = read_recipe(write_recipe(tmp_path / "study", list(NAMES), STEPS, CONTROL_EPOCHS, jobs=2, small=small))
    names = [stage.name for stage in recipe.stages]
    assert set(names) == {"base", "labels", "prm", *NAMES, *(f"test-{name}" for name in NAMES)}
    assert len(ARMS) == 20 and recipe.jobs == 2


@pytest.mark.parametrize("arm", ["iterative-rft", "above", "oracle-0", "voted-25", "mstar-pass", "sft", "control"])
def test_an_arm_builds(arm: str, tmp_path: Path) -> None:
    recipe = read_recipe(write_recipe(tmp_path, [arm], STEPS, CONTROL_EPOCHS, jobs=1, small=False))
    stage = next(stage for stage in recipe.stages if stage.name == arm)
    words = build_argv(recipe, stage, str(tmp_path / "run"), seed=0)
    cli = main(words[words.index("fit") + 1 :], run=False)
    assert cli.datamodule is not None
    monitor = next(each for each in cli.trainer.callbacks if isinstance(each, ExplorationMonitor))
    assert monitor.by == ("process" if arm in ("above", "mstar-pass", "voted-25", "sft", "control") else None)
    if arm not in ("sft", "control"):
        assert cli.trainer.max_steps == STEPS and cli.trainer.max_epochs == -1
        assert (cli.datamodule.temperature is not None) == (arm == "mstar-pass")


def test_arms_differ_in_their_factor_alone() -> None:
    found = stages_of(*(arm.name for arm in ARMS))
    inits = {name: next(c for c in found[name]["args"]["trainer.callbacks"] if "init_policy" in c["class_path"])
             for name in ("iterative-rft", "rest-em", "continuous-100")}  # fmt: skip
    assert [init["class_path"].split(".")[-1] for init in inits.values()] == ["ResetOptimizer", "Restart", "Continue"]
    assert len({str(init["init_args"]) for init in inits.values()}) == 1
    for same in (("continuous-25", "random-2"), ("top-2", "above", "top-1")):
        assert len({str({**found[name]["args"], "data.init_args.selectors": None}) for name in same}) == 1
    assert found["oracle-0"]["args"]["data.init_args.prompts"]["init_args"]["oracle"]
    weighing = [part["class_path"].split(".")[-1] for part in found["voted-0"]["args"]["reward.init_args.of"]]
    assert weighing == ["ProcessReward", "VotedOutcome"]


def test_only_what_ranks_or_votes_pays_for_the_process_reward() -> None:
    needs = {arm.name for arm in ARMS if arm.needs_process_reward}
    without = {"iterative-rft", "rest-em", "random-2", "oracle-0", *(f"continuous-{n}" for n in (100, 50, 25, 12, 6))}
    assert {arm.name for arm in ARMS} - needs == without


def test_tables_and_orderings_name_arms_that_are_run_with_a_control() -> None:
    for table in TABLES:
        assert {row.arm for row in table.rows} <= set(NAMES) and table.base in NAMES
        assert "control" in {row.arm for row in table.rows}
    assert {name for one, other, _ in ORDERINGS for name in (one, other)} <= set(NAMES)
    assert parse(["--arms", "top-2"]).arms == ["warmup", "control", "top-2"]


def test_an_unknown_arm_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no arms \['top-3'\]"):
        stages_of("top-3")


def measured(accuracy: float, cpu: float = 1.0) -> Measured:
    return Measured({"test": accuracy, "ood": accuracy - 0.1}, 1000, {"best_of@1": accuracy}, cpu, [0.3, 0.2])


def seeds(*accuracies: float, cpu: float = 1.0) -> dict[int, Measured]:
    return {seed: measured(accuracy, cpu) for seed, accuracy in enumerate(accuracies)}


def test_differences_are_paired_by_seed() -> None:
    found = difference(seeds(0.5, 0.7, 0.9, 0.6), seeds(0.4, 0.6, 0.8))
    assert [found.mean, found.low, found.high] == [pytest.approx(10)] * 3 and found.num == 3
    assert found.sign == 1 and difference(seeds(0.4, 0.6), seeds(0.5, 0.7)).sign == -1


def test_an_interval_widens_with_what_seeds_say_differently() -> None:
    found = difference(seeds(0.5, 0.6, 0.7, 0.8, 0.4), seeds(0.4, 0.7, 0.6, 0.9, 0.4))
    assert found.mean == pytest.approx(0, abs=1e-9) and found.low < 0 < found.high and found.sign == 0
    one, other = seeds(0.5, 0.6, 0.7), seeds(0.4, 0.7, 0.6)
    assert difference(one, other) == difference(one, other)  # drawn anew, the same


def test_one_seed_has_no_interval_and_none_no_difference() -> None:
    one, none = difference(seeds(0.5), seeds(0.4)), difference(seeds(0.5), {})
    assert isnan(one.low) and str(one) == "+10.0" and one.sign == 0
    assert str(none) == "—" and none.num == 0


def test_the_page_tells_what_appears_what_is_reversed_and_what_is_missing(tmp_path: Path) -> None:
    results = {
        "control": seeds(0.4, 0.42, 0.41, cpu=100.0),
        "continuous-25": seeds(0.5, 0.52, 0.53, cpu=90.0),
        "rest-em": seeds(0.6, 0.63, 0.64),
        "top-2": seeds(0.7, 0.71, 0.75, cpu=110.0),
    }
    text = page(tmp_path, results, range(3), "command")
    assert "| going on beats going back to the warm-up policy | -10.7 [-11.0, -10.0] | is reversed |" in text
    assert "| the process reward's top 2 beat all right responses | +20.3 [+19.0, +22.0] | appears |" in text
    row = next(line for line in text.splitlines() if line.startswith("| top-2 |"))
    assert row == "| top-2 | 3 | 72.0 | 62.0 | +31.0 [+29.0, +34.0] | +20.3 [+19.0, +22.0] | 1.10 | 45.3 | 59.2 |"
    assert "| ReST-EM, 100 % | 3 |" in text and "| iterative RFT, 100 % | 0 | — | — | — | — |" in text
    assert "| top-2 | 30.0 | 20.0 |" in text and "M-STaR beats" not in text
