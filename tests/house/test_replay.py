"""Training from a store: the same weights from the same rollouts, bit for bit, and nothing sampled."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.house.test_evolution import fit, rollouts, weights

KEPT_ONLY = "--data.init_args.retention=mstar.rollout.retention.KeepKept"


@pytest.fixture(scope="module")
def sampled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("sampled")
    fit(run, KEPT_ONLY)
    return run


def test_a_replay_ends_with_the_same_weights_and_samples_nothing(sampled: Path, tmp_path: Path) -> None:
    fit(tmp_path, f"--data.replay={sampled}")
    first, second = weights(sampled), weights(tmp_path)
    assert first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)
    assert not (tmp_path / "rollouts").exists()


def test_pruned_rollouts_are_those_that_were_dropped(sampled: Path) -> None:
    folder = sampled / "rollouts" / "iteration-0000"
    assert (folder / "kept.parquet").is_file() and not (folder / "rollouts.parquet").exists()
    assert len(rollouts(sampled, 1)) == 24  # the current iteration is whole


def test_what_is_not_there_cannot_be_replayed(sampled: Path, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"no finished iteration 2; it has 2 of them. Set trainer.max_epochs to 2"):
        fit(tmp_path, f"--data.replay={sampled}", "--trainer.max_epochs=3")


def test_a_replay_on_other_data_is_refused(sampled: Path, tmp_path: Path) -> None:
    other = "--data.init_args.prompts.init_args.source.init_args.seed=9"
    with pytest.raises(RuntimeError, match=r"are not in data\.prompts\.source any more"):
        fit(tmp_path, f"--data.replay={sampled}", other)
