"""The gate stands open for the model that wrote the rollouts, and for no other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from mstar.callbacks.parity import Gap, measure, pick, told
from mstar.demo.scenes import DigitScenes
from mstar.modules.policy import Policy, PolicyModule
from mstar.rollout import NativeEngine
from mstar.types import Request, Sampling
from tests.house.stubs import Killed
from tests.house.test_evolution import fit
from tests.house.test_parts import bare

GATE = "--trainer.callbacks+=mstar.callbacks.ParityGate"
RECORDING = ["--data.init_args.engine=mstar.rollout.NativeEngine", "--data.init_args.engine.logprobs=true"]


class Spoil(Callback):
    """Changes the weights between rollout and training, as a stale cache or a lossy merge would."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        with torch.no_grad():
            for parameter in pl_module.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))


def test_the_gap_of_the_same_model_is_rounding_and_is_logged(tmp_path: Path) -> None:
    fit(tmp_path, *RECORDING, GATE, "--trainer.callbacks.max_gap=1e-4")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path / "logs")).Reload().Scalars("parity/gap")
    assert len(events) == 2 and all(0 <= event.value < 1e-4 for event in events)


def test_a_resume_in_mid_epoch_does_not_compare_weights_that_have_moved_on(tmp_path: Path) -> None:
    gate = [*RECORDING, GATE, "--trainer.callbacks.max_gap=1e-4"]
    with pytest.raises(Killed):
        fit(tmp_path, *gate, "--trainer.callbacks+=tests.house.stubs.KillAtStep", "--trainer.callbacks.step=4")
    fit(tmp_path, *gate)


def test_other_weights_are_stopped_before_they_are_trained(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"iteration 0: .* differ by .* ParityGate.max_gap is 0.05. Check that"):
        fit(tmp_path, *RECORDING, "--trainer.callbacks+=tests.house.test_parity.Spoil", GATE)
    assert not (tmp_path / "checkpoints").exists()
    manifest = json.loads((tmp_path / "rollouts" / "iteration-0000" / "manifest.json").read_text())
    assert manifest["counts"]["rollouts"] == 24


def test_without_recorded_log_probabilities_it_says_how_to_record_them(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="NativeEngine with logprobs: true"):
        fit(tmp_path, GATE)


def test_other_pixels_are_seen() -> None:
    module = PolicyModule(bare())
    source = DigitScenes("prompts", 4, seed=0)
    prompts = [source[i] for i in range(4)]
    with module.inference() as policy:
        requests = [Request(prompt) for prompt in prompts]
        groups = list(NativeEngine(logprobs=True).generate(policy, requests, Sampling(2, max_new_tokens=8), 0))
        responses = pick(groups, 4)
        swapped = [(prompts[(prompts.index(prompt) + 1) % 4], rollout) for prompt, rollout in responses]
        assert measure(Policy(policy.model, policy.renderer), responses).mean < 1e-5
        assert measure(Policy(policy.model, policy.renderer), swapped).mean > 1e-5


def test_a_gap_that_is_no_number_does_not_pass() -> None:
    gap = Gap(float("nan"), float("nan"), 3)
    assert not gap.mean <= 0.05 and "differ by nan nat" in told(gap, 0.05, 2)
