"""Told to stop, a run finishes the group or the batch at work, saves, and goes on later as if nothing had been."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from mstar.cli import main
from mstar.datamodules import policy_data
from mstar.rollout.store import Stage, iteration_folder
from tests.house.stubs import Killed
from tests.house.test_evolution import CONFIG, assert_same, fit, logged, weights

STOPPED = 143
AT_GROUP = "--data.init_args.engine=tests.house.stubs.SignalAtGroup"
AT_STEP = "--trainer.callbacks+=tests.house.stubs.SignalAtStep"
NATIVE = ["--data.init_args.engine=mstar.rollout.NativeEngine", "--data.init_args.engine.rows=4"]


def stopped(run: Path, *more: str) -> None:
    with pytest.raises(SystemExit) as left:
        fit(run, *more)
    assert left.value.code == STOPPED


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("whole")
    fit(run, *NATIVE)
    return run


def test_sigterm_while_sampling_keeps_every_finished_group(uninterrupted: Path, tmp_path: Path) -> None:
    stopped(tmp_path, AT_GROUP, "--data.init_args.engine.group=2")
    assert len(Stage(iteration_folder(tmp_path, 0)).generated()) == 3
    fit(tmp_path, *NATIVE, "--ckpt_path=last")
    assert_same(uninterrupted, tmp_path)


@pytest.mark.parametrize("step", [1, 2])
def test_sigterm_while_training_leaves_behind_the_batch(uninterrupted: Path, tmp_path: Path, step: int) -> None:
    stopped(tmp_path, *NATIVE, AT_STEP, f"--trainer.callbacks.step={step}")
    assert weights(tmp_path)["optimizer.0.step"] == step + 1
    fit(tmp_path, *NATIVE, "--ckpt_path=last")
    assert_same(uninterrupted, tmp_path)


def test_sigterm_while_validating_validates_anew(
    uninterrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy_data, "CHUNK", 2)
    stopped(tmp_path, *NATIVE, "--trainer.callbacks+=tests.house.stubs.SignalInValidation")
    assert weights(tmp_path)["optimizer.0.step"] == 3
    fit(tmp_path, *NATIVE)
    assert_same(uninterrupted, tmp_path)
    assert [step for step, _ in logged(tmp_path)["val/accuracy"]] == [2, 4]


def test_slurm_requeues_the_job_once_it_has_left(
    uninterrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scontrol = tmp_path / "bin" / "scontrol"
    scontrol.parent.mkdir()
    scontrol.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n')
    scontrol.chmod(0o755)
    monkeypatch.setenv("PATH", f"{scontrol.parent}:{os.environ['PATH']}")
    job = {"JOB_ID": "77", "NTASKS": "1", "NTASKS_PER_NODE": "1", "PROCID": "0", "LOCALID": "0", "NODEID": "0"}
    for name, value in {**job, "NNODES": "1", "JOB_NAME": "evolve"}.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    run = tmp_path / "run"
    usr1 = f"number={signal.SIGUSR1.value}"
    stopped(run, AT_GROUP, "--data.init_args.engine.group=1", f"--data.init_args.engine.{usr1}")
    stopped(run, *NATIVE, AT_STEP, "--trainer.callbacks.step=1", f"--trainer.callbacks.{usr1}")
    assert (tmp_path / "asked").read_text() == "requeue 77\n" * 2
    fit(run, *NATIVE)
    assert_same(uninterrupted, run)


def test_sigterm_while_labelling_keeps_every_finished_group(tmp_path: Path) -> None:
    def label(run: Path, *engine: str) -> list[str]:
        return [
            "predict",
            *("-c", str(Path(CONFIG).parent / "labels.yaml"), f"--trainer.default_root_dir={run}"),
            *(f"--data.init_args.labels={run}/steps", *engine),
        ]

    main(label(tmp_path / "whole", *NATIVE))
    for group in (2, 3):  # among the responses, among the completions
        with pytest.raises(SystemExit) as left:
            main(label(tmp_path / "cut", AT_GROUP, f"--data.init_args.engine.group={group}"))
        assert left.value.code == STOPPED
    parts = [*(tmp_path / "cut" / "steps").glob("*/part-*.jsonl")]
    assert [json.loads(line)["name"] for line in parts[0].read_text().splitlines()[1:]]
    main(label(tmp_path / "cut", *NATIVE))
    files = [tmp_path / name / "steps" / "steps.parquet" for name in ("whole", "cut")]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_two_runs_do_not_share_a_folder(uninterrupted: Path, tmp_path: Path) -> None:
    with pytest.raises(Killed):
        fit(tmp_path, "--trainer.callbacks+=tests.house.stubs.KillAtStep", "--trainer.callbacks.step=1")
    other = "--trainer.callbacks+=tests.house.stubs.RunAgain"
    with pytest.raises(RuntimeError, match=rf"Another run is at work in {tmp_path} \(process {os.getpid()}\)"):
        fit(tmp_path, other, f"--trainer.callbacks.config={CONFIG}")
    fit(tmp_path, *NATIVE)
    assert_same(uninterrupted, tmp_path)


def test_sigterm_waits_for_the_optimizer_step(tmp_path: Path) -> None:
    two = "--trainer.accumulate_grad_batches=2"
    fit(tmp_path / "whole", *NATIVE, two)
    stopped(tmp_path / "cut", *NATIVE, two, AT_STEP, "--trainer.callbacks.step=0")
    assert weights(tmp_path / "cut")["optimizer.0.step"] == 1
    fit(tmp_path / "cut", *NATIVE, two)
    assert_same(tmp_path / "whole", tmp_path / "cut")
