"""A batch that is trained on in parts moves the weights as the whole batch would."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from mstar.cli import main
from mstar.modules.policy import PolicyModule
from mstar.objectives import SFT
from tests.house.stubs import Batches
from tests.house.test_evolution import CONFIG, ROOT
from tests.policies import backbone

SGD = ["--model.init_args.optimizer=torch.optim.SGD", "--model.init_args.optimizer.lr=1.0"]
RATE = 1.0
VARIED = "--data.init_args.selectors=[]"  # everything is kept: an even number, of all lengths


def arguments(run: Path, budget: int, *more: str) -> list[str]:
    settings = [
        f"--trainer.default_root_dir={run}",
        "--trainer.max_epochs=1",
        f"--data.init_args.token_budget={budget}",
    ]
    return ["fit", "-c", CONFIG, *settings, *SGD, *more]


def fit(run: Path, budget: int, *more: str) -> list[Any]:
    Batches.seen.clear()
    main(arguments(run, budget, "--trainer.callbacks+=tests.house.stubs.Batches", *more))
    return list(Batches.seen)


def weights(run: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    return state


def assert_moved_alike(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    for name in one:
        assert torch.allclose(one[name], other[name], atol=1e-6), name


@pytest.mark.parametrize("more", [[], ["--trainer.accumulate_grad_batches=2", "--trainer.gradient_clip_val=0.5"]])
def test_parts_train_as_the_whole_batch(tmp_path: Path, more: list[str]) -> None:
    cut, whole = fit(tmp_path / "cut", 60, *more), fit(tmp_path / "whole", 10**6, *more)
    assert len(cut) == len(whole) > 1
    assert all(len(batch) > 1 for batch in cut[:-1]) and all(len(batch) == 1 for batch in whole)
    assert_moved_alike(weights(tmp_path / "cut"), weights(tmp_path / "whole"))


def test_lightning_trains_as_a_bare_loop_would(tmp_path: Path) -> None:
    constant = "--model.init_args.lr_scheduler=null"
    batches = fit(tmp_path, 60, "--trainer.accumulate_grad_batches=2", constant)
    module = PolicyModule(bare())
    module.configure_model()
    module.load_state_dict(Batches.first)
    assert module.model is not None
    optimizer = torch.optim.SGD(module.parameters(), lr=RATE)
    for start in range(0, len(batches), 2):
        optimizer.zero_grad()
        for batch in batches[start : start + 2]:
            sum(SFT().loss(module.model, part)[0] / 2 for part in batch).backward()
        optimizer.step()
    found = weights(tmp_path)
    assert_moved_alike(found, module.state_dict())
    assert not torch.allclose(found["model.lm_head.weight"], Batches.first["model.lm_head.weight"], atol=1e-4)


def bare() -> Any:
    made = backbone()
    made.text["num_hidden_layers"] = 1  # as in tiny.yaml
    return made


def test_kept_responses_of_a_prompt_share_a_row_unless_told_otherwise(tmp_path: Path) -> None:
    def rows(batches: list[Any]) -> tuple[int, int]:
        parts = [part for batch in batches for part in batch]
        return sum(len(part["input_ids"]) for part in parts), sum(len(part["rows"]) for part in parts)

    shared, responses = rows(fit(tmp_path / "shared", 10**6))
    alone, same = rows(fit(tmp_path / "alone", 10**6, "--data.init_args.share_prompts=false"))
    assert shared < responses == same == alone


def test_two_ranks_train_on_parts_as_on_whole_batches(tmp_path: Path) -> None:
    for name, budget in (("cut", 60), ("whole", 10**6)):
        command = arguments(tmp_path / name, budget, "--trainer.devices=2", "--trainer.strategy=ddp")
        ran = [sys.executable, "-m", "mstar", *command]
        done = subprocess.run(ran, cwd=ROOT, capture_output=True, text=True, timeout=240)
        assert done.returncode == 0, done.stderr[-3000:]
    assert_moved_alike(weights(tmp_path / "cut"), weights(tmp_path / "whole"))


def test_two_ranks_train_as_one_also_where_some_prompts_have_no_image(tmp_path: Path) -> None:
    source = "--data.init_args.prompts.init_args.source=tests.house.stubs.MostlyBlind"
    one, two = (arguments(tmp_path / name, 60, source, VARIED) for name in ("one", "two"))
    main([*one, "--data.init_args.batch_size=8"])
    ran = [sys.executable, "-m", "mstar", *two, "--trainer.devices=2", "--trainer.strategy=ddp"]
    done = subprocess.run(ran, cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-3000:]
    assert_moved_alike(weights(tmp_path / "one"), weights(tmp_path / "two"))
