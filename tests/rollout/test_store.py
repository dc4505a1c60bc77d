"""The store: what is on disk is whole, and belongs to what made it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mstar.rollout.store import Stage, join
from mstar.types import Group, Prompt, Rollout

KEY = {"policy": "a", "seed": 1}


def group(name: str) -> Group:
    rollouts = tuple(
        Rollout(
            name, i, f"text {i}\n", (1, 2, i), rewards={"outcome": float(i)}, step_rewards=(0.5,), logprobs=(-0.5,) * 3
        )
        for i in range(2)
    )
    return Group(Prompt(name, "?"), rollouts)


def write(folder: Path, *names: str) -> Stage:
    stage = Stage(folder)
    stage.open(KEY)
    with stage.part(0, KEY) as part:
        for name in names:
            part.append(group(name))
    return stage


def test_finished_groups_are_read_back_as_they_were(tmp_path: Path) -> None:
    stage = write(tmp_path, "p", "q")
    assert stage.generated() == {name: group(name).rollouts for name in ("p", "q")}


def test_a_torn_last_line_is_cut_off_and_the_rest_kept(tmp_path: Path) -> None:
    stage = write(tmp_path, "p", "q")
    file = tmp_path / "part-00000.jsonl"
    file.write_bytes(file.read_bytes()[:-10])
    assert stage.generated().keys() == {"p"}
    write(tmp_path, "r")
    assert stage.generated().keys() == {"p", "r"}
    assert all(json.loads(line) for line in file.read_text().splitlines())


def test_a_sealed_stage_gives_the_same_groups_in_order(tmp_path: Path) -> None:
    stage = write(tmp_path, "q", "p")
    groups = [group("p"), group("q")]
    stage.seal(groups, KEY, {"rollout": 1.0})
    assert stage.sealed and join([g.prompt for g in groups], stage.read()) == groups
    assert not list(tmp_path.glob("part-*"))
    assert stage.manifest["counts"]["rollouts"] == 4


def test_another_key_is_refused_by_name(tmp_path: Path) -> None:
    write(tmp_path, "p")
    with pytest.raises(RuntimeError, match=r"seed was 1, is now 2.*--trainer.default_root_dir"):
        Stage(tmp_path).open({**KEY, "seed": 2})


def test_datasets_reads_the_sealed_rollouts(tmp_path: Path) -> None:
    import datasets

    write(tmp_path, "p").seal([group("p")], KEY, {})
    rows = datasets.load_dataset("parquet", data_files=str(tmp_path / "rollouts.parquet"), split="train")
    assert rows["text"] == ["text 0\n", "text 1\n"] or list(rows["text"]) == ["text 0\n", "text 1\n"]
