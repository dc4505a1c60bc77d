"""A third implementation of a slot is one new file and one line: the README's is run as it stands there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from mstar.cli import main

CONFIG = str(Path(__file__).parent / "tiny.yaml")
README = (Path(__file__).parents[2] / "README.md").read_text()
GRADING = (Path(__file__).parents[2] / "docs" / "grading.md").read_text()

REWARD = '''
from collections.abc import Sequence

from mstar.rewards.reward import RewardModel, with_reward
from mstar.types import Group
from dataclasses import replace


class Brevity(RewardModel):
    """1 for an empty response, less for longer ones; everything counts as correct."""

    def score(self, groups: Sequence[Group]) -> list[Group]:
        return [
            Group(g.prompt, tuple(with_reward(replace(r, verdict="correct"), "brevity", 1 / len(r.tokens)) for r in g))
            for g in groups
        ]
'''

RULE = '''
from collections.abc import Mapping, Sequence

from mstar.temperature import Choice
from mstar.types import Group


class Coldest:
    """Takes the lowest candidate."""

    def choose(self, measured: Mapping[float, Sequence[Group]]) -> Choice:
        return Choice(min(measured), {t: 0.0 for t in measured}, "it is the lowest")
'''


@pytest.fixture(autouse=True)
def on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))


def fit(run: Path, *more: str) -> list[dict[str, object]]:
    main(["fit", "-c", CONFIG, f"--trainer.default_root_dir={run}", "--trainer.max_epochs=1", *more])
    rows: list[dict[str, object]] = pq.read_table(run / "rollouts" / "iteration-0000" / "rollouts.parquet").to_pylist()
    return rows


def test_the_readmes_selector_works(tmp_path: Path) -> None:
    code = next(block for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "class Shortest" in block)
    line = next(block for block in re.findall(r"```yaml\n(.*?)```", README, re.DOTALL) if "shortest.Shortest" in block)
    (tmp_path / "shortest.py").write_text(code)
    assert line.strip() == "- {class_path: shortest.Shortest}"
    rows = fit(tmp_path / "run", "--data.init_args.selectors+=shortest.Shortest")
    for prompt in {row["prompt_id"] for row in rows}:
        kept = [row for row in rows if row["prompt_id"] == prompt and row["kept"]]
        assert len(kept) <= 1
    assert any(row["why"] == "not the shortest" for row in rows)


def test_a_reward_of_ones_own_works(tmp_path: Path) -> None:
    (tmp_path / "brevity.py").write_text(REWARD)
    rows = fit(
        tmp_path / "run",
        "--reward=brevity.Brevity",
        "--data.init_args.selectors=[{class_path: mstar.selection.TopByReward, init_args: {k: 1, by: brevity}}]",
    )
    for prompt in {row["prompt_id"] for row in rows}:
        group = [row for row in rows if row["prompt_id"] == prompt]
        rewards = [row["rewards"]["brevity"] for row in group]  # type: ignore[index]
        assert [row["kept"] for row in group].index(True) == rewards.index(max(rewards))


def test_a_temperature_rule_of_ones_own_works(tmp_path: Path) -> None:
    (tmp_path / "coldest.py").write_text(RULE)
    control = {
        "prompts": {"class_path": "mstar.demo.scenes.DigitScenes", "init_args": {"split": "validation", "num": 3}},
        "rule": {"class_path": "coldest.Coldest"},
        "candidates": [0.9, 0.7],
        "num_responses": 2,
    }
    rows = fit(tmp_path / "run", f"--data.init_args.temperature={json.dumps(control)}")
    assert {row["temperature"] for row in rows} == {0.7}
    choice = json.loads((tmp_path / "run" / "temperature" / "iteration-0000" / "choice.json").read_text())
    assert choice["reason"] == "it is the lowest" and [t for t, _ in choice["scores"]] == [0.7, 0.9]


def test_the_pages_verifier_and_gate_work(tmp_path: Path) -> None:
    code = next(block for block in re.findall(r"```python\n(.*?)```", GRADING, re.DOTALL) if "class Parity" in block)
    (tmp_path / "parity.py").write_text(code)
    (tmp_path / "brevity.py").write_text(REWARD)
    verifier, gate = re.findall(r"```yaml\n(.*?)```", GRADING, re.DOTALL)
    (tmp_path / "verifier.yaml").write_text(verifier)
    stub = "{class_path: mstar.rewards.OutcomeReward, init_args: {verifier: tests.house.stubs.even_length}}"
    (tmp_path / "gate.yaml").write_text(gate.replace("mstar.rewards.OutcomeReward", stub))
    everything = "--data.init_args.selectors=[{class_path: mstar.selection.KeepAll}]"
    tolerant = "--reward.init_args.max_unscorable_rate=1"  # many references of the demo are lists
    judged = fit(tmp_path / "judged", "-c", str(tmp_path / "verifier.yaml"), everything, tolerant)
    assert {"unscorable", "wrong"} <= {row["verdict"] for row in judged}
    rewards = [row["rewards"] for row in fit(tmp_path / "gated", "-c", str(tmp_path / "gate.yaml"), everything)]
    opened = [row["gate"] == row["brevity"] if row["outcome"] else row["gate"] == 0 for row in rewards]  # type: ignore[index]
    assert all(opened)
    assert {row["outcome"] for row in rewards} == {0.0, 1.0}  # type: ignore[index]
