"""Unlabelled prompts join a run when their time has come, are judged by a vote, and survive a resume."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from mstar.cli import main
from mstar.datamodules.evolving import spent
from tests.house.stubs import Killed
from tests.house.test_evolution import CONFIG, assert_same, rollouts

SCENES = "mstar.demo.scenes.DigitScenes"
POOL = {
    "class_path": "mstar.prompts.MixIn",
    "init_args": {
        "source": {"class_path": SCENES, "init_args": {"split": "prompts", "num": 8}},
        "unlabelled": {"class_path": SCENES, "init_args": {"split": "test", "num": 8}},
        "interval": 4,
        "ratio": 0.5,
    },
}
VOTED = ["--reward=mstar.rewards.VotedOutcome", "--reward.by=null", "--reward.verifier=tests.house.stubs.even_length"]


def fit(run: Path, mixin_at: float, *more: str) -> None:
    pool = {**POOL, "init_args": {**POOL["init_args"], "mixin_at": mixin_at}}  # type: ignore[dict-item]
    main([
        "fit", "-c", CONFIG, f"--trainer.default_root_dir={run}", *VOTED,
        f"--data.init_args.prompts={json.dumps(pool)}", *more,
    ])  # fmt: skip


def asked(run: Path, iteration: int) -> list[str]:
    return list(dict.fromkeys(str(row["prompt_id"]).split("-")[0] for row in rollouts(run, iteration)))


@pytest.mark.parametrize(("mixin_at", "joined"), [(0.0, [True, True]), (0.5, [False, True]), (0.75, [False, False])])
def test_they_join_after_a_share_of_the_run(tmp_path: Path, mixin_at: float, joined: list[bool]) -> None:
    fit(tmp_path, mixin_at)
    assert [asked(tmp_path, iteration) for iteration in (0, 1)] == [
        ["prompts", "test"] if there else ["prompts"] for there in joined
    ]
    for iteration in (0, 1):
        rows = rollouts(tmp_path, iteration)
        assert len(rows) == 4 * (6 if joined[iteration] else 4)
        assert all(row["verdict"] in ("correct", "wrong") for row in rows)  # none is unscorable for want of a reference


@pytest.mark.parametrize(
    ("steps", "epochs", "share"),
    [((25, 100), (3, -1), 0.25), ((25, -1), (3, 4), 0.75), ((25, 100), (3, 4), 0.75), ((200, 100), (0, None), 1.0)],
)
def test_the_share_of_a_run_is_of_the_budget_that_ends_it(
    steps: tuple[int, int], epochs: tuple[int, int | None], share: float
) -> None:
    trainer = SimpleNamespace(global_step=steps[0], max_steps=steps[1], current_epoch=epochs[0], max_epochs=epochs[1])
    assert spent(trainer) == share  # type: ignore[arg-type]


def test_a_resume_asks_the_same_prompts(tmp_path: Path) -> None:
    fit(tmp_path / "whole", 0.5)
    with pytest.raises(Killed):
        fit(
            tmp_path / "killed",
            0.5,
            "--trainer.callbacks+=tests.house.stubs.KillAtEpochEnd",
            "--trainer.callbacks.epoch=0",
        )
    fit(tmp_path / "killed", 0.5)
    assert_same(tmp_path / "whole", tmp_path / "killed")
