"""The three training methods start an iteration from what their definitions demand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from mstar.cli import main
from tests.house.stubs import Probe

HERE = Path(__file__).parent
WARMUP_STEPS = 3


@pytest.fixture(scope="module")
def warmup(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("warmup")
    main(["fit", "-c", str(HERE / "warmup.yaml"), f"--trainer.default_root_dir={run}"])
    return run / "checkpoints" / "last.ckpt"


def evolve(run: Path, method: str, warmup: Path) -> list[dict[str, Any]]:
    Probe.seen.clear()
    main(
        [
            "fit",
            *("-c", str(HERE / "tiny.yaml")),
            f"--trainer.default_root_dir={run}",
            f"--trainer.callbacks+=mstar.init_policy.{method}",
            f"--trainer.callbacks.warmup={warmup}",
            "--trainer.callbacks+=tests.house.stubs.Probe",
        ]
    )
    return list(Probe.seen)


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def end_of(run: Path) -> dict[str, Any]:
    checkpoint: dict[str, Any] = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    return checkpoint


def test_continue_carries_weights_moments_schedule_and_step_count_on(warmup: Path, tmp_path: Path) -> None:
    before = torch.load(warmup, weights_only=True)
    first, second = evolve(tmp_path, "Continue", warmup)
    assert first["step"] == WARMUP_STEPS and same(first["weights"], before["state_dict"])
    assert set(first["moments"]) == {float(WARMUP_STEPS)}
    assert first["rate"] == before["optimizer_states"][0]["param_groups"][0]["lr"] < 1e-3
    assert set(second["moments"]) == {float(second["step"])} and second["rate"] < first["rate"]
    assert not same(first["weights"], second["weights"])


def test_reset_optimizer_carries_only_the_weights_on(warmup: Path, tmp_path: Path) -> None:
    first, second = evolve(tmp_path, "ResetOptimizer", warmup)
    assert first["moments"] == second["moments"] == []
    assert first["rate"] == second["rate"] == pytest.approx(1e-3)
    assert not same(first["weights"], second["weights"]) and second["step"] > WARMUP_STEPS


def test_restart_goes_back_to_the_warm_up_policy(warmup: Path, tmp_path: Path) -> None:
    before = torch.load(warmup, weights_only=True)["state_dict"]
    first, second = evolve(tmp_path, "Restart", warmup)
    assert same(first["weights"], before) and same(second["weights"], before)
    assert first["moments"] == second["moments"] == []
    assert second["step"] > first["step"] == WARMUP_STEPS
    assert not same(end_of(tmp_path)["state_dict"], before)


def test_a_missing_warm_up_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="run the warm-up stage first"):
        evolve(tmp_path, "Continue", tmp_path / "nothing.ckpt")
