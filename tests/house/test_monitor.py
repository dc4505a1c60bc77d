"""Every validation says how the policy explores and exploits, by split and kind; the temperature's curve is logged."""

from __future__ import annotations

import json
from csv import DictReader
from pathlib import Path

import pytest

from mstar.callbacks.exploration import evaluation
from mstar.cli import main
from mstar.dynamics import answering
from mstar.scaling import scaling
from tests.groups import make_group

CONFIG = str(Path(__file__).parent / "tiny.yaml")
SAMPLED = "--data.init_args.evaluation.sampling={num_responses: 4, max_new_tokens: 12}"
KINDS = ("", "sum/", "prod/", "range/")
NAMES = (
    *("accuracy", "greedy_length", "greedy_truncated", "greedy_no_answer"),
    *(f"pass@{k}" for k in (1, 2, 4)),
    *(f"pass@{k}-greedy" for k in (1, 2, 4)),
    *(f"reward_pass@{k}" for k in (1, 2, 4)),
    *("unique_answers", "length", "truncated", "no_answer", "majority_vote", "weighted_vote"),
)


def test_a_validation_logs_every_measure_by_kind_and_the_curve(tmp_path: Path) -> None:
    control = {
        "prompts": {"class_path": "mstar.demo.scenes.DigitScenes", "init_args": {"split": "validation", "num": 3}},
        "rule": {"class_path": "mstar.temperature.ArgmaxPass", "init_args": {"k": 2}},
        "candidates": [0.5, 0.9],
        "num_responses": 2,
    }
    ranked = "--trainer.callbacks.by=outcome"  # knows the answer, but is there without a model
    run = [f"--trainer.default_root_dir={tmp_path}", "--trainer.max_epochs=1", SAMPLED, ranked]
    cli = main(["fit", "-c", CONFIG, *run, f"--data.init_args.temperature={json.dumps(control)}"])
    logged = cli.trainer.callback_metrics
    assert {f"val/{kind}{name}" for kind in KINDS for name in NAMES} <= logged.keys()
    assert float(logged["val/pass@4-greedy"]) == pytest.approx(
        float(logged["val/pass@4"] - logged["val/accuracy"]), abs=1e-6
    )
    choice = json.loads((tmp_path / "temperature" / "iteration-0000" / "choice.json").read_text())
    assert float(logged["temperature/chosen"]) == pytest.approx(choice["temperature"])
    for temperature, score in choice["scores"]:
        assert float(logged[f"temperature/score@{temperature:g}"]) == pytest.approx(score)
    assert float(logged["rollout/temperature"]) == pytest.approx(choice["temperature"])


def test_every_iterations_rollouts_reach_the_logger(tmp_path: Path) -> None:
    """Whatever the logging interval: here the first batch's step is never one that is logged."""
    csv = "{class_path: lightning.pytorch.loggers.CSVLogger, init_args: {save_dir: %s, flush_logs_every_n_steps: 1}}"
    settings = [f"--trainer.logger={csv % (tmp_path / 'csv')}", "--trainer.log_every_n_steps=2"]
    run = [f"--trainer.default_root_dir={tmp_path}", "--data.init_args.batch_size=2"]
    main(["fit", "-c", CONFIG, *run, *settings])
    (file,) = (tmp_path / "csv").rglob("metrics.csv")
    rows = [row for row in DictReader(file.read_text().splitlines()) if row["rollout/accept_rate"]]
    for iteration, row in enumerate(rows):
        manifest = json.loads((tmp_path / "rollouts" / f"iteration-{iteration:04d}" / "manifest.json").read_text())
        assert int(row["epoch"]) == iteration
        assert float(row["rollout/kept"]) == manifest["counts"]["kept"]
    assert len(rows) == 2


def test_what_is_left_to_learn_is_what_sampling_finds_beyond_the_greedy_answer() -> None:
    greedy = [make_group("a", "+"), make_group("b", "-"), make_group("c", "n")]
    sampled = [make_group("a", "+-"), make_group("b", "+-"), make_group("c", "nn")]
    found = answering(greedy, sampled, (1, 2))
    assert (found["accuracy"], found["pass@2"], found["pass@2-greedy"]) == pytest.approx((1 / 3, 2 / 3, 1 / 3))
    assert (found["greedy_no_answer"], found["greedy_length"]) == (pytest.approx(1 / 3), 1.0)
    assert answering(greedy, [], (1,)).keys() == {"accuracy", "greedy_length", "greedy_truncated", "greedy_no_answer"}


def test_a_test_says_what_more_responses_are_worth() -> None:
    greedy = [make_group("a", "+", kind="sum"), make_group("b", "-", kind="prod")]
    sampled = [make_group("a", "+-", (0.1, 0.9), kind="sum"), make_group("b", "+-", (0.9, 0.1), kind="prod")]
    found = evaluation(greedy, sampled, (1, 2), "process")
    assert found["scaling"] == scaling(sampled, (1, 2), "process") and found["scaling"]["best_of@2"] == 0.5
    assert found["kinds"]["sum"]["accuracy"] == 1.0 and found["kinds"]["prod"]["pass@2-greedy"] == 1.0
    assert (found["num_prompts"], found["accuracy"], found["pass@2-greedy"]) == (2, 0.5, 0.5)
