"""Step labels: shares of completions that end right, resumable, and what a process reward model learns from them."""

from __future__ import annotations

from pathlib import Path

from mstar.demo.scenes import DigitScenes
from mstar.rewards import OutcomeReward
from mstar.rollout import NativeEngine
from mstar.rollout.labels import Labeller, read_labels
from mstar.rollout.ranks import Ranks
from mstar.types import Sampling
from tests.house.stubs import even_length
from tests.policies import policy


def labeller() -> Labeller:
    # Any character ends a step here: a random policy writes no lines.
    return Labeller(NativeEngine(), OutcomeReward(even_length), Sampling(2, max_new_tokens=8), 4, " ", seed=0)


def test_labels_are_shares_and_the_last_is_the_verdict(tmp_path: Path) -> None:
    source = DigitScenes("prompts", 12, seed=0)
    with policy().inference() as ready:
        rows = labeller().label(tmp_path, ready, [source[i] for i in range(12)], Ranks())
    assert rows == read_labels(tmp_path) and len(rows) > 12
    for row in rows:
        assert all(label in (0, 0.25, 0.5, 0.75, 1) for label in row.labels)
        assert not row.labels or row.labels[-1] == float(row.correct)


def test_labelling_twice_and_labelling_after_a_kill_give_the_same(tmp_path: Path) -> None:
    source = DigitScenes("prompts", 6, seed=0)
    prompts = [source[i] for i in range(6)]
    with policy().inference() as ready:
        whole = labeller().label(tmp_path / "whole", ready, prompts, Ranks())
        labeller().label(tmp_path / "killed", ready, prompts, Ranks())
        (tmp_path / "killed" / "steps.parquet").unlink()
        part = tmp_path / "killed" / "completions" / "part-00000.jsonl"
        lines = part.read_bytes().splitlines(keepends=True)
        part.write_bytes(b"".join(lines[: len(lines) // 2]) + b'{"name": "torn')
        again = labeller().label(tmp_path / "killed", ready, prompts, Ranks())
    assert again == whole == labeller().label(tmp_path / "whole", ready, prompts, Ranks())
