"""A further implementation of a slot is one new file and a few lines: those of the pages do what the pages say."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from mstar.cli import main
from tests.docs.page import blocks

CONFIG = str(Path(__file__).parent / "tiny.yaml")
EXTEND = (Path(__file__).parents[2] / "docs" / "extend.md").read_text()
GRADING = (Path(__file__).parents[2] / "docs" / "grading.md").read_text()


def page_file(page: str, name: str) -> str:
    """A file that a page tells its reader to write."""
    return next(block.text for block in blocks(page) if block.said("file") == [name])


@pytest.fixture(autouse=True)
def on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))


def fit(run: Path, *more: str) -> list[dict[str, object]]:
    main(["fit", "-c", CONFIG, f"--trainer.default_root_dir={run}", "--trainer.max_epochs=1", *more])
    rows: list[dict[str, object]] = pq.read_table(run / "rollouts" / "iteration-0000" / "rollouts.parquet").to_pylist()
    return rows


@pytest.mark.parametrize("name", ["brevity.py", "shortest.py", "soup.py", "boldest.py"])
def test_each_is_shown_in_under_forty_lines(name: str) -> None:
    assert page_file(EXTEND, name).count("\n") < 40


def test_the_pages_selector_works(tmp_path: Path) -> None:
    (tmp_path / "shortest.py").write_text(page_file(EXTEND, "shortest.py"))
    rows = fit(tmp_path / "run", "--data.init_args.selectors+=shortest.Shortest")
    for prompt in {row["prompt_id"] for row in rows}:
        kept = [row for row in rows if row["prompt_id"] == prompt and row["kept"]]
        assert len(kept) <= 1
    assert any(row["why"] == "not the shortest" for row in rows)


def test_the_pages_reward_works(tmp_path: Path) -> None:
    (tmp_path / "brevity.py").write_text(page_file(EXTEND, "brevity.py"))
    rows = fit(
        tmp_path / "run",
        "--reward=brevity.Brevity",
        "--data.init_args.selectors=[{class_path: mstar.selection.TopByReward, init_args: {k: 1, by: brevity}}]",
    )
    for prompt in {row["prompt_id"] for row in rows}:
        group = [row for row in rows if row["prompt_id"] == prompt]
        rewards = [row["rewards"]["brevity"] for row in group]  # type: ignore[index]
        assert [row["kept"] for row in group].index(True) == rewards.index(max(rewards))


def test_the_pages_temperature_rule_works(tmp_path: Path) -> None:
    (tmp_path / "boldest.py").write_text(page_file(EXTEND, "boldest.py"))
    control = {
        "prompts": {"class_path": "mstar.demo.scenes.DigitScenes", "init_args": {"split": "validation", "num": 3}},
        "rule": {"class_path": "boldest.Boldest", "init_args": {"slack": 1.0}},
        "candidates": [0.9, 0.7],
        "num_responses": 2,
    }
    rows = fit(tmp_path / "run", f"--data.init_args.temperature={json.dumps(control)}")
    assert {row["temperature"] for row in rows} == {0.9}
    choice = json.loads((tmp_path / "run" / "temperature" / "iteration-0000" / "choice.json").read_text())
    assert choice["reason"].startswith("the highest with pass@1 within 1 of") and [t for t, _ in choice["scores"]] == [
        0.7,
        0.9,
    ]


def test_the_pages_verifier_and_gate_work(tmp_path: Path) -> None:
    (tmp_path / "parity.py").write_text(page_file(GRADING, "parity.py"))
    (tmp_path / "brevity.py").write_text(page_file(EXTEND, "brevity.py"))
    (tmp_path / "verifier.yaml").write_text(page_file(GRADING, "parity.yaml"))
    stub = "{class_path: mstar.rewards.OutcomeReward, init_args: {verifier: tests.house.stubs.even_length}}"
    (tmp_path / "gate.yaml").write_text(page_file(GRADING, "gate.yaml").replace("mstar.rewards.OutcomeReward", stub))
    everything = "--data.init_args.selectors=[{class_path: mstar.selection.KeepAll}]"
    tolerant = "--reward.init_args.max_unscorable_rate=1"  # many references of the demo are lists
    judged = fit(tmp_path / "judged", "-c", str(tmp_path / "verifier.yaml"), everything, tolerant)
    assert {"unscorable", "wrong"} <= {row["verdict"] for row in judged}
    rewards = [row["rewards"] for row in fit(tmp_path / "gated", "-c", str(tmp_path / "gate.yaml"), everything)]
    opened = [row["gate"] == row["brevity"] if row["outcome"] else row["gate"] == 0 for row in rewards]  # type: ignore[index]
    assert all(opened)
    assert {row["outcome"] for row in rewards} == {0.0, 1.0}  # type: ignore[index]
