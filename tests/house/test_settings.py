"""The loop under settings that are not the default's: precisions, selectors, objectives, changed minds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mstar.cli import main

CONFIG = str(Path(__file__).parent / "tiny.yaml")
DATA = "--data.init_args"


def fit(run: Path, *more: str) -> None:
    main(["fit", "-c", CONFIG, f"--trainer.default_root_dir={run}", "--trainer.max_epochs=1", *more])


def counts(run: Path) -> dict[str, int]:
    found: dict[str, int] = json.loads((run / "rollouts" / "iteration-0000" / "manifest.json").read_text())["counts"]
    return found


@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-true"])
def test_an_iteration_runs_in_lower_precision(tmp_path: Path, precision: str) -> None:
    fit(tmp_path, f"--trainer.precision={precision}", f"{DATA}.engine=mstar.rollout.NativeEngine")
    assert counts(tmp_path)["kept"] > 0


def test_a_finished_iteration_of_other_settings_is_refused(tmp_path: Path) -> None:
    fit(tmp_path)
    with pytest.raises(RuntimeError, match=r"sampling was .*'num_responses': 4.* is now .*'num_responses': 5"):
        fit(tmp_path, f"{DATA}.sampling.num_responses=5", "--trainer.max_epochs=2")


def test_without_selectors_everything_is_kept(tmp_path: Path) -> None:
    fit(tmp_path, f"{DATA}.selectors=[]")
    assert counts(tmp_path)["kept"] == counts(tmp_path)["rollouts"] == 24


def test_nothing_kept_is_said_each_time(tmp_path: Path) -> None:
    impossible = (
        f"{DATA}.selectors=[{{class_path: mstar.selection.AboveThreshold, init_args: {{alpha: 9.0, by: outcome}}}}]"
    )
    for _ in range(2):
        with pytest.raises(RuntimeError, match=r"kept 0 of 24 rollouts .*num_responses \(4\)"):
            fit(tmp_path, impossible)


def test_a_ratio_needs_the_log_probabilities_of_sampling(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="logprobs: true"):
        fit(tmp_path, "--model.init_args.objective=mstar.objectives.GRPO")
