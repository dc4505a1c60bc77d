"""The study: every arm is what its table says, its statistics are paired, and its page tells what is not there."""

from __future__ import annotations

import json
from dataclasses import replace
from math import isnan
from pathlib import Path
from typing import Any

import pytest

from benchmarks.study import CONTROL_EPOCHS, NAMES, STEPS, parse, write_recipe
from benchmarks.study import main as study
from benchmarks.study_arms import ARMS, ORDERINGS, TABLES, build_stages
from benchmarks.study_page import Measured, difference, page
from benchmarks.study_record import Setting, join, read_record, sources, write_record
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
    assert parse(["--arms", "top-2"]).arms == ["warmup", "top-2"] and "control" in parse([]).arms


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


def test_the_page_tells_what_appears_what_is_reversed_and_what_is_missing() -> None:
    results = {
        "control": seeds(0.4, 0.42, 0.41, cpu=100.0),
        "continuous-25": seeds(0.5, 0.52, 0.53, cpu=90.0),
        "rest-em": seeds(0.6, 0.63, 0.64),
        "top-2": seeds(0.7, 0.71, 0.75, cpu=110.0),
    }
    text = page(results, "command", "all read")
    assert "| continuous, 25 %, beats ReST-EM, 100 % | -10.7 [-11.0, -10.0] | is reversed |" in text
    assert "| the process reward's top 2 beat all right responses | +20.3 [+19.0, +22.0] | appears |" in text
    row = next(line for line in text.splitlines() if line.startswith("| top-2 |"))
    assert row == "| top-2 | 3 | 72.0 | 62.0 | +31.0 [+29.0, +34.0] | +20.3 [+19.0, +22.0] | 1.10 | 45.3 | 59.2 |"
    assert "| ReST-EM, 100 % | 3 |" in text and "| iterative RFT, 100 % | 0 | — | — | — | — |" in text
    assert "| top-2 | 30.0 | 20.0 |" in text and "M-STaR beats" not in text


def test_the_page_tells_of_seeds_without_a_control() -> None:
    results = {"control": seeds(0.4, 0.42), "top-2": seeds(0.7, 0.71, 0.75), "top-1": seeds(0.6, 0.6, 0.6)}
    text = page(results, "command", "all read")
    assert "Run without the control, for some arms only: 2." in text
    row = next(line for line in text.splitlines() if line.startswith("| top-2 |"))
    assert row.startswith("| top-2 | 3 | 72.0 | 62.0 | +29.5 [")  # all three, and the two with a control
    assert "without the control" not in page({"control": seeds(0.4), "top-2": seeds(0.7)}, "command", "all read")


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    file, setting = tmp_path / "study.json", Setting(600, 50)
    results = {"control": seeds(0.4, 0.42), "warmup": {3: replace(measured(0.3), ranking=0.7)}, "top-2": {}}
    assert read_record(file, setting) == {}
    write_record(file, results, setting)
    assert read_record(file, setting) == results
    with pytest.raises(ValueError, match=r"--steps 600 --control_epochs 50\. Take the same, or another --page"):
        read_record(file, Setting(600, 34))


def test_figures_of_an_arm_that_has_changed_are_refused(tmp_path: Path) -> None:
    file, setting = tmp_path / "study.json", Setting(600, 50)
    write_record(file, {"control": seeds(0.4), "above": seeds(0.5), "top-2": {}}, setting)
    record = json.loads(file.read_text())
    record["arms"]["top-2"]["interval"] = 0.5  # nothing was measured with it
    file.write_text(json.dumps(record))
    assert read_record(file, setting)["above"] == seeds(0.5)
    record["arms"]["above"]["selectors"] = []
    file.write_text(json.dumps(record))
    with pytest.raises(
        ValueError, match=r"has figures of above, made with other settings of the arm\. Take them out of"
    ):
        read_record(file, setting)


def test_a_record_of_another_form_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "study.json"
    file.write_text(json.dumps({"control": {}}))
    with pytest.raises(ValueError, match="--steps unknown --control_epochs unknown"):
        read_record(file, Setting(600, 50))


def test_a_run_is_joined_with_the_record_where_it_has_nothing() -> None:
    own = {"warmup": seeds(0.3, 0.31), "top-2": {0: measured(0.6, cpu=7.0)}, "sft": {}}
    recorded = {"warmup": seeds(0.3, 0.31, 0.32, cpu=2.0), "top-2": seeds(0.6, 0.61), "control": seeds(0.4)}
    found = join(own, recorded)
    # this machine took 1 second for warm-ups that took the recorded one 2
    assert found.results["top-2"] == {0: measured(0.6, cpu=7.0), 1: measured(0.61, cpu=0.5)}
    assert found.results["warmup"] == {**seeds(0.3, 0.31), 2: measured(0.32)}
    assert found.results["control"] == seeds(0.4, cpu=0.5)
    assert found.taken == 3 and found.pace == 0.5 and found.results["sft"] == {}
    said = sources(Path("runs"), Path("study.json"), found)
    assert said.startswith("3 of the 6 runs were read from `runs`, 3 from an earlier run's record in `study.json`")
    assert "CPU time times 0.50" in said
    again = join(own, found.results)
    assert again.results == found.results and "CPU" not in sources(Path("runs"), Path("study.json"), again)


def test_a_record_of_other_warmup_policies_is_refused_and_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = {"warmup": seeds(0.3, 0.31), "control": seeds(0.4, 0.41)}
    with pytest.raises(ValueError, match=r"policies of seeds 1 are others .* Take another --page"):
        join({"warmup": seeds(0.3, 0.5)}, recorded)
    file = tmp_path / "study.json"
    write_record(file, recorded, Setting(600, 50))
    before = file.read_bytes()
    monkeypatch.setattr("benchmarks.study.read_results", lambda *_: {"warmup": seeds(0.5)})
    with pytest.raises(ValueError, match="policies of seeds 0"):
        study(["--page_only", "--page", str(tmp_path / "study.md")])
    assert file.read_bytes() == before


def test_page_only_shows_the_record_of_an_empty_run_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "study.json"
    write_record(file, {"warmup": seeds(0.3), "control": seeds(0.4), "mstar": seeds(0.6)}, Setting(600, 50))
    with pytest.raises(SystemExit) as end:
        study(["--page_only", "--out", str(tmp_path / "runs"), "--page", str(tmp_path / "study.md")])
    assert end.value.code == 0
    text = (tmp_path / "study.md").read_text()
    assert "3 from an earlier run's record in `study.json`" in text and "| M-STaR beats SFT of equal compute |" in text
    assert read_record(file, Setting(600, 50))["mstar"] == seeds(0.6)
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last["mstar"] == {"over_control": "+20.0", "seeds": 1} and last["failed_seeds"] == []
