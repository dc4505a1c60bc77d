"""The whole loop on a tiny policy: it runs, it resumes bit for bit, and ranks agree."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mstar.cli import main
from tests.house.stubs import Killed

CONFIG = str(Path(__file__).parent / "tiny.yaml")
ROOT = Path(__file__).parents[2]


def fit(run: Path, *more: str) -> None:
    main(["fit", "-c", CONFIG, f"--trainer.default_root_dir={run}", *more])


def weights(run: Path) -> dict[str, torch.Tensor]:
    checkpoint = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    flat = dict(checkpoint["state_dict"])
    for index, state in checkpoint["optimizer_states"][0]["state"].items():
        flat |= {f"optimizer.{index}.{name}": value for name, value in state.items()}
    return flat


def rollouts(run: Path, iteration: int) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = pq.read_table(
        run / "rollouts" / f"iteration-{iteration:04d}" / "rollouts.parquet"
    ).to_pylist()
    return rows


def assert_same(one: Path, other: Path) -> None:
    first, second = weights(one), weights(other)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    for iteration in (0, 1):
        assert rollouts(one, iteration) == rollouts(other, iteration)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("whole")
    fit(run)
    return run


def test_two_iterations_train_on_what_was_kept(uninterrupted: Path) -> None:
    for iteration in (0, 1):
        rows = rollouts(uninterrupted, iteration)
        manifest = json.loads((uninterrupted / "rollouts" / f"iteration-{iteration:04d}" / "manifest.json").read_text())
        kept = [row for row in rows if row["kept"]]
        assert len(rows) == 6 * 4 and 0 < len(kept) == manifest["counts"]["kept"]
        assert all(row["verdict"] == "correct" for row in kept)
        assert all(row["why"] for row in rows)
        assert max(sum(r["prompt_id"] == row["prompt_id"] for r in kept) for row in kept) <= 2
    assert rollouts(uninterrupted, 0) != rollouts(uninterrupted, 1)
    keys = [
        json.loads((uninterrupted / "rollouts" / f"iteration-{i:04d}" / "manifest.json").read_text())["key"]
        for i in (0, 1)
    ]
    assert keys[0]["policy"] != keys[1]["policy"]


def test_no_reference_answer_is_stored(uninterrupted: Path) -> None:
    assert "reference" not in pq.read_schema(uninterrupted / "rollouts" / "iteration-0000" / "rollouts.parquet").names


def test_killed_at_an_epoch_end_and_resumed_equals_uninterrupted(uninterrupted: Path, tmp_path: Path) -> None:
    with pytest.raises(Killed):
        fit(tmp_path, "--trainer.callbacks+=tests.house.stubs.KillAtEpochEnd", "--trainer.callbacks.epoch=0")
    fit(tmp_path)
    assert_same(uninterrupted, tmp_path)


@pytest.mark.parametrize("step", [1, 4])
def test_killed_in_mid_epoch_and_resumed_equals_uninterrupted(uninterrupted: Path, tmp_path: Path, step: int) -> None:
    with pytest.raises(Killed):
        fit(tmp_path, "--trainer.callbacks+=tests.house.stubs.KillAtStep", f"--trainer.callbacks.step={step}")
    fit(tmp_path)
    assert_same(uninterrupted, tmp_path)


@pytest.mark.parametrize("epoch", [0, 1])
def test_killed_in_a_validation_and_resumed_equals_uninterrupted(
    uninterrupted: Path, tmp_path: Path, epoch: int
) -> None:
    with pytest.raises(Killed):
        fit(tmp_path, "--trainer.callbacks+=tests.house.stubs.KillInValidation", f"--trainer.callbacks.epoch={epoch}")
    fit(tmp_path)
    assert_same(uninterrupted, tmp_path)
    assert logged(tmp_path) == logged(uninterrupted)


def logged(run: Path) -> dict[str, list[tuple[int, float]]]:
    """Every epoch's accuracy and every step's loss."""
    events = EventAccumulator(str(run / "logs")).Reload()
    return {name: [(e.step, e.value) for e in events.Scalars(name)] for name in ("val/accuracy", "train/loss")}


def test_a_resume_at_an_epoch_end_knows_the_best_checkpoint(tmp_path: Path) -> None:
    best = {"filename": "best", "monitor": "val/accuracy", "mode": "max", "enable_version_counter": "false"}
    watched = [f"--trainer.callbacks.{name}={value}" for name, value in best.items()]
    more = [
        "--trainer.callbacks+=lightning.pytorch.callbacks.ModelCheckpoint",
        *watched,
    ]  # stands behind those of "last"
    with pytest.raises(Killed):
        fit(tmp_path, *more, "--trainer.callbacks+=tests.house.stubs.KillAtStep", "--trainer.callbacks.step=3")
    states = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)["callbacks"].values()
    (chosen,) = [state for state in states if state.get("monitor") == "val/accuracy"]
    assert chosen["best_model_score"] is not None and chosen["best_model_path"].endswith("best.ckpt")


def test_a_finished_run_is_left_alone(uninterrupted: Path) -> None:
    before = weights(uninterrupted)
    fit(uninterrupted)
    after = weights(uninterrupted)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not (uninterrupted / "rollouts" / "iteration-0002").exists()


def test_rollouts_of_another_policy_are_refused(uninterrupted: Path, tmp_path: Path) -> None:
    with pytest.raises(Killed):
        fit(tmp_path, "--trainer.callbacks+=tests.house.stubs.KillAtStep", "--trainer.callbacks.step=0")
    stage = tmp_path / "rollouts" / "iteration-0000"
    manifest = json.loads((stage / "manifest.json").read_text())
    (stage / "manifest.json").unlink()
    head = json.dumps({"key": {**manifest["key"], "policy": "another"}})
    (stage / "part-00000.jsonl").write_text(head + "\n")
    with pytest.raises(RuntimeError, match="policy was 'another'"):
        fit(tmp_path)


def test_two_ranks_choose_the_same_training_set_as_one(uninterrupted: Path, tmp_path: Path) -> None:
    command = ["fit", "-c", CONFIG, f"--trainer.default_root_dir={tmp_path}", "--trainer.max_epochs=1"]
    done = subprocess.run(
        [sys.executable, "-m", "mstar", *command, "--trainer.devices=2", "--trainer.strategy=ddp"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert rollouts(tmp_path, 0) == rollouts(uninterrupted, 0)
