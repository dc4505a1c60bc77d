"""Every page of configs/methods trains two iterations under its embedded overlay, each in its own way."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch

from mstar.cli import main
from mstar.demo.tiny import TinyLlava
from mstar.modules.backbone import PretrainedBackbone
from mstar.modules.process_reward import ProcessRewardModule
from mstar.modules.step_heads import LikelihoodHead

CONFIGS = Path(__file__).parents[2] / "configs"
METHODS = sorted(p.stem for p in (CONFIGS / "methods").glob("*.yaml") if not p.stem.startswith("embedded"))
NUM, STEPS = 6, 60


def scenes(split: str, num: int) -> str:
    return json.dumps({"class_path": "mstar.demo.scenes.DigitScenes", "init_args": {"split": split, "num": num}})


VALIDATION = [
    *(f"--data.init_args.evaluation.validation={scenes('cot', 4)}", "--data.init_args.evaluation.test={}"),
    "--data.init_args.evaluation.sampling.num_responses=2",
]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the pages need, where they look for it: a policy that knows a few scenes by heart, and a reward on it."""
    root = tmp_path_factory.mktemp("methods")
    model, processor = TinyLlava().load()
    model.save_pretrained(root / "runs" / "mstar" / "base" / "model")
    processor.save_pretrained(root / "runs" / "mstar" / "base" / "model")
    warmup = root / "runs" / "mstar" / "warmup"
    main([
        "fit", "-c", str(CONFIGS / "demo" / "warmup.yaml"), f"--trainer.default_root_dir={warmup}",
        "--model.init_args.backbone=mstar.demo.tiny.TinyLlava", f"--data.init_args.examples={scenes('cot', NUM)}",
        f"--data.init_args.evaluation.validation={scenes('cot', NUM)}", "--trainer.max_epochs=1",
        "--data.init_args.batch_size=6", f"--data.init_args.steps_per_epoch={STEPS}",
        "--model.init_args.lr_scheduler.init_args.num_warmup_steps=5",
    ])  # fmt: skip
    reward = ProcessRewardModule(PretrainedBackbone(str(warmup / "model")), LikelihoodHead(), separator="\n")
    reward.configure_model()
    reward.export(root / "runs" / "mstar" / "prm" / "model", reward.state_dict())
    return root


def fit(method: str, root: Path, *more: str) -> Path:
    run = root / "runs" / "embedded" / method
    overlays = {"sft": ["embedded_sft"], "unlabelled": ["embedded", "embedded_unlabelled"]}.get(method, ["embedded"])
    files = [flag for name in (method, *overlays) for flag in ("-c", str(CONFIGS / "methods" / f"{name}.yaml"))]
    ends = ["--trainer.max_epochs=2", "--trainer.max_steps=-1", "--trainer.log_every_n_steps=1"]
    ends.append(f"--trainer.default_root_dir={run}")
    main(["fit", *files, *ends, *VALIDATION, *more])
    return run


def sampled(method: str, root: Path) -> tuple[Path, list[list[dict[str, Any]]]]:
    """The run and its rollouts by iteration."""
    small = [
        f"--data.init_args.prompts.init_args.source={scenes('cot', NUM)}",
        f"--data.init_args.seed_cot={scenes('cot', 2)}",
        f"--data.init_args.sampling.num_responses={1 if method == 'star' else 4}",
    ]
    if method in ("mstar", "bstar"):
        few = ["--data.init_args.temperature.num_responses=2", "--data.init_args.temperature.candidates=[0.5,0.9,1.2]"]
        small += few
    if method == "unlabelled":
        others = {"class_path": "mstar.prompts.Subset", "init_args": {"source": json.loads(scenes("cot", NUM + 2))}}
        others["init_args"]["start"] = NUM
        small += [f"--data.init_args.prompts.init_args.unlabelled={json.dumps(others)}"]
        small += ["--data.init_args.prompts.init_args.mixin_at=0.5"]
    run = fit(method, root, *small)
    stages = sorted((run / "rollouts").glob("iteration-*"))
    return run, [pq.read_table(stage / "rollouts.parquet").to_pylist() for stage in stages]


@pytest.mark.parametrize("method", [name for name in METHODS if name != "sft"])
def test_a_method_runs_two_iterations(method: str, made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(made)
    run, iterations = sampled(method, made)
    assert len(iterations) == 2 and all(any(row["kept"] for row in rows) for rows in iterations)
    kept = [row for rows in iterations for row in rows if row["kept"]]
    end = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    assert end["global_step"] > STEPS  # the warm-up counts
    if method != "bstar":
        assert {row["verdict"] for row in kept} == {"correct"}
    moments = {int(state["step"]) for state in end["optimizer_states"][0]["state"].values()}
    assert (moments == {end["global_step"]}) == (
        method in ("continuous", "mstar_static", "mstar", "bstar", "unlabelled")
    )
    if method.startswith("mstar"):
        for rows in iterations:
            assert max(Counter(row["prompt_id"] for row in rows if row["kept"]).values()) <= 2
    if method in ("mstar", "bstar"):
        assert (run / "temperature" / "iteration-0000" / "choice.json").is_file()
        assert (run / "temperature" / "iteration-0001").exists() == (method == "bstar")
    if method == "unlabelled":
        names = [{row["prompt_id"] for row in rows} & {f"cot-0-{NUM + i:06d}" for i in (0, 1)} for rows in iterations]
        assert not names[0] and names[1]
    if method == "star":
        assert {row["origin"] for rows in iterations for row in rows} <= {"policy", "rationalize"}


def test_plain_sft_runs_two_rounds_on_answers_alone(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(made)
    source = json.dumps(
        {"class_path": "mstar.prompts.Answered", "init_args": {"source": json.loads(scenes("cot", NUM))}}
    )
    run = fit("sft", made, f"--data.init_args.examples={source}", "--data.init_args.steps_per_epoch=2")
    assert torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 4
