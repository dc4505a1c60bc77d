"""The three training methods start an iteration from what their definitions demand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from mstar.cli import main
from mstar.demo.tiny import TinyLlava
from mstar.modules.policy import PolicyModule
from mstar.objectives import SFT
from tests.house.stubs import Batches, Probe

HERE = Path(__file__).parent
WARMUP_STEPS = 3
FROZEN = "model.model.vision_tower.post_layernorm"
SIZES = {"hidden_size": 32, "num_layers": 1, "mlp_size": 32, "num_heads": 2, "num_kv_heads": 1, "vision_mlp_size": 32}
WIDER = str({"class_path": "mstar.demo.tiny.TinyLlava", "init_args": {**SIZES, "num_layers": 2}})  # tests.policies's


@pytest.fixture(scope="module")
def warmup(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("warmup")
    main(["fit", "-c", str(HERE / "warmup.yaml"), f"--trainer.default_root_dir={run}"])
    return run / "checkpoints" / "last.ckpt"


def evolve(run: Path, method: str, warmup: Path, *more: str) -> list[dict[str, Any]]:
    Probe.seen.clear()
    main(
        [
            "fit",
            *("-c", str(HERE / "tiny.yaml")),
            f"--trainer.default_root_dir={run}",
            f"--trainer.callbacks+=mstar.init_policy.{method}",
            f"--trainer.callbacks.warmup={warmup}",
            "--trainer.callbacks+=tests.house.stubs.Probe",
            *more,
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


def reference(batches: list[Any], start: dict[str, Any], warmup: dict[str, Any], method: str) -> dict[str, Any]:
    """The iterations as a hand-written loop: AdamW, the schedule of tiny.yaml, and each method's definition."""
    module = PolicyModule(TinyLlava(**SIZES))
    module.configure_model()
    assert module.model is not None
    module.load_state_dict(start)
    parameters = [p for name, p in module.named_parameters() if not name.startswith(FROZEN)]

    def fresh() -> torch.optim.AdamW:
        return torch.optim.AdamW(parameters, lr=1e-3)

    optimizer, done, rates = fresh(), 0, []
    if method == "Continue":
        optimizer.load_state_dict(warmup["optimizer_states"][0])
        done = WARMUP_STEPS
    for iteration in batches:
        if method == "Restart":
            module.load_state_dict(warmup["state_dict"])
        if method != "Continue":
            optimizer, done = fresh(), 0
        for batch in iteration:
            rates.append(1e-3 * (1 - 0.9 * min(done, 40) / 40))
            for group in optimizer.param_groups:
                group["lr"] = rates[-1]
            optimizer.zero_grad()
            for part in batch:  # one after the other: Adam makes much of the rounding of gradients that are zero
                SFT().loss(module.model, part)[0].backward()
            optimizer.step()
            done += 1
    return {"weights": module.state_dict(), "moments": optimizer.state_dict()["state"], "rates": rates}


@pytest.mark.parametrize("method", ["Continue", "ResetOptimizer", "Restart"])
def test_a_method_trains_as_its_definition_written_by_hand(warmup: Path, tmp_path: Path, method: str) -> None:
    Batches.seen.clear()
    Batches.first.clear()
    begins = evolve(tmp_path, method, warmup, "--trainer.callbacks+=tests.house.stubs.Batches")
    sizes = [begins[1]["step"] - begins[0]["step"]]
    batches = [Batches.seen[: sizes[0]], Batches.seen[sizes[0] :]]
    assert all(batches) and len(begins) == 2
    before, end = torch.load(warmup, weights_only=True), end_of(tmp_path)
    expected = reference(batches, Batches.first, before, method)
    for name, value in expected["weights"].items():
        assert torch.allclose(end["state_dict"][name], value, atol=1e-6), name
    moments = end["optimizer_states"][0]["state"]
    assert moments.keys() == expected["moments"].keys()
    for number, state in expected["moments"].items():
        assert float(moments[number]["step"]) == float(state["step"])
        for moment in ("exp_avg", "exp_avg_sq"):
            assert torch.allclose(moments[number][moment], state[moment], atol=1e-6), (number, moment)
    assert begins[1]["rate"] == pytest.approx(expected["rates"][sizes[0]])


def test_the_step_budget_counts_the_warm_up_and_ends_in_mid_iteration(warmup: Path, tmp_path: Path) -> None:
    whole = evolve(tmp_path / "whole", "Continue", warmup)
    budget = whole[1]["step"] + 1
    evolve(tmp_path / "cut", "Continue", warmup, f"--trainer.max_steps={budget}", "--trainer.max_epochs=9")
    assert end_of(tmp_path / "cut")["global_step"] == budget
    assert not (tmp_path / "cut" / "rollouts" / "iteration-0002").exists()
    spent = evolve(tmp_path / "spent", "Continue", warmup, f"--trainer.max_steps={WARMUP_STEPS + 1}")
    assert len(spent) == 1 and end_of(tmp_path / "spent")["global_step"] == WARMUP_STEPS + 1


def test_a_sharded_policy_gets_the_warm_up_policy_back(tmp_path: Path) -> None:
    settings = [f"--trainer.default_root_dir={tmp_path}", f"--model.backbone={WIDER}"]
    main(["fit", "-c", str(HERE / "warmup.yaml"), *settings])
    last, meeting = str(tmp_path / "checkpoints" / "last.ckpt"), str(tmp_path / "meeting")
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.house.sharded", last, meeting, str(rank)],
            cwd=HERE.parents[1],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in (0, 1)
    ]
    ended = [process.communicate(timeout=240) for process in started]
    assert all(process.returncode == 0 for process in started), "\n".join(errors[-2000:] for _, errors in ended)
    assert ended[0][0].startswith("restored")


def test_a_warm_up_saved_in_parts_says_how_to_save_it_whole(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="save_distributed_checkpoint: false"):
        evolve(tmp_path / "run", "Continue", tmp_path)


def test_a_missing_warm_up_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="run the warm-up stage first"):
        evolve(tmp_path, "Continue", tmp_path / "nothing.ckpt")


def test_a_warm_up_of_another_schedule_is_refused(warmup: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="1 learning-rate schedules, this run 0: give model"):
        evolve(tmp_path, "Continue", warmup, "--model.init_args.lr_scheduler=null")
