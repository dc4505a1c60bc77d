"""Step labels and a process reward model end to end on a tiny policy: labelled, trained, measured, and used."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mstar.cli import MstarCLI, main
from mstar.rollout.labels import read_labels

HERE = Path(__file__).parent
JUDGE = ["--reward=mstar.rewards.OutcomeReward", "--reward.init_args.verifier=tests.house.stubs.even_length"]
TINY = "{hidden_size: 32, num_layers: 1, mlp_size: 32, num_heads: 2, num_kv_heads: 1, vision_mlp_size: 32}"
BACKBONE = f"{{class_path: mstar.demo.tiny.TinyLlava, init_args: {TINY}}}"
SOURCE = "{class_path: mstar.demo.scenes.DigitScenes, init_args: {split: prompts, num: 12}}"
QUIET = ["--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false", "--trainer.logger=false"]


def steps(folder: Path) -> list[str]:
    return [
        *("--data=mstar.datamodules.steps.StepDataModule", f"--data.prompts={SOURCE}", "--data.separator= "),
        *(f"--data.labels={folder}", "--data.held_out=0.4", "--data.batch_size=8", "--data.token_budget=200"),
        *("--data.sampling={num_responses: 4, max_new_tokens: 16}", "--data.num_completions=2"),
    ]


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("labels")
    policy = ["--model=mstar.modules.policy.PolicyModule", f"--model.backbone={BACKBONE}"]
    run = f"--trainer.default_root_dir={folder / 'run'}"
    main(["predict", *policy, *steps(folder), *JUDGE, *QUIET, run, "--seed_everything=0"])
    return folder


def fit(run: Path, labels: Path, *more: str) -> MstarCLI:
    model = [
        *("--model=mstar.modules.process_reward.ProcessRewardModule", f"--model.backbone={BACKBONE}"),
        *("--model.separator= ", "--model.optimizer=torch.optim.AdamW", "--model.optimizer.lr=3e-3"),
    ]
    where = [f"--trainer.default_root_dir={run}", "--seed_everything=0", "--trainer.max_epochs=2"]
    saved = "--trainer.callbacks+={class_path: lightning.pytorch.callbacks.ModelCheckpoint, init_args: "
    saved += "{filename: last, save_on_train_epoch_end: true, enable_version_counter: false}}"
    return main(["fit", *model, *steps(labels), *JUDGE, *QUIET, *where, saved, *more])


@pytest.mark.parametrize("more", [[], ["--model.hard_labels=true", "--model.llm_only=true", "--model.threshold=0.3"]])
def test_a_process_reward_is_measured_in_all_within_prompts_and_by_kind(
    labels: Path, tmp_path: Path, more: list[str]
) -> None:
    rows = read_labels(labels)
    assert len(rows) > 12 and {0.0, 1.0} <= {label for row in rows for label in row.labels}
    logged = fit(tmp_path, labels, *more).trainer.callback_metrics
    names = ("accuracy", "auc", "auc_within_prompt", "ranking_auc", "calibration_error")
    assert {f"val/{name}" for name in names} <= logged.keys()
    assert {f"val/{kind}/accuracy" for kind in ("sum", "prod", "range")} <= logged.keys()
    assert all(0 <= float(logged[f"val/{name}"]) <= 1 for name in names)


def test_llm_only_leaves_the_rest_as_it_was(labels: Path, tmp_path: Path) -> None:
    cli = fit(tmp_path, labels, "--model.llm_only=true")
    module = cli.model
    before = type(module)(module.backbone, separator=" ")
    before.configure_model()
    after, moved = module.state_dict(), set()
    for name, value in before.state_dict().items():
        if not torch.equal(value, after[name]):
            moved.add(name.split(".")[2] if name.startswith("model.model.") else name.split(".")[0])
    assert moved <= {"language_model", "model", "head"} and {"language_model", "head"} <= moved
