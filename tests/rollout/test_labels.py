"""Step labels: shares of completions that end right, resumable, and what a process reward model learns from them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mstar.datamodules.steps import StepDataModule
from mstar.demo.scenes import DigitScenes
from mstar.modules.policy import Policy
from mstar.modules.process_reward import ProcessRewardModule
from mstar.rewards import OutcomeReward
from mstar.rollout import NativeEngine, RolloutEngine
from mstar.rollout.account import Account
from mstar.rollout.labels import Labeller, read_labels
from mstar.rollout.ranks import Ranks
from mstar.types import Group, Prompt, Request, Sampling
from tests.house.stubs import even_length
from tests.policies import backbone, policy


def labeller(engine: RolloutEngine | None = None) -> Labeller:
    # Any character ends a step here: a random policy writes no lines.
    return Labeller(engine or NativeEngine(), OutcomeReward(even_length), Sampling(2, max_new_tokens=8), 4, " ", seed=0)


def scenes(num: int) -> list[Prompt]:
    source = DigitScenes("prompts", num, seed=0)
    return [source[i] for i in range(num)]


def test_labels_are_shares_and_the_last_is_the_verdict(tmp_path: Path) -> None:
    with policy().inference() as ready:
        rows = labeller().label(tmp_path, ready, scenes(12), Ranks())
    assert rows == read_labels(tmp_path) and len(rows) > 12
    for row in rows:
        assert all(label in (0, 0.25, 0.5, 0.75, 1) for label in row.labels)
        assert not row.labels or row.labels[-1] == float(row.correct)


def test_labelling_twice_and_labelling_after_a_kill_give_the_same(tmp_path: Path) -> None:
    prompts = scenes(6)
    with policy().inference() as ready:
        whole = labeller().label(tmp_path / "whole", ready, prompts, Ranks())
        labeller().label(tmp_path / "killed", ready, prompts, Ranks())
        (tmp_path / "killed" / "steps.parquet").unlink()
        part = tmp_path / "killed" / "completions" / "part-00000.jsonl"
        lines = part.read_bytes().splitlines(keepends=True)
        part.write_bytes(b"".join(lines[: len(lines) // 2]) + b'{"name": "torn')
        again = labeller().label(tmp_path / "killed", ready, prompts, Ranks())
    assert again == whole == labeller().label(tmp_path / "whole", ready, prompts, Ranks())


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"num_completions": 5}, "num_completions was 4, is now 5"),
        ({"separator": "a"}, "separator was ' ', is now 'a'"),
        ({"sampling": Sampling(3, max_new_tokens=8)}, r"sampling was .*responses': 2.* is now .*responses': 3"),
        ({"seed": 1}, "seed was 0, is now 1"),
    ],
)
@pytest.mark.parametrize("finished", [True, False])
def test_labels_made_otherwise_are_refused(
    tmp_path: Path, changed: dict[str, Any], message: str, finished: bool
) -> None:
    with policy().inference() as ready:
        labeller().label(tmp_path, ready, scenes(2), Ranks())
        if not finished:
            (tmp_path / "steps.parquet").unlink()
        with pytest.raises(RuntimeError, match=message):
            replace(labeller(), **changed).label(tmp_path, ready, scenes(2), Ranks())


def test_a_process_reward_that_ends_steps_elsewhere_is_refused(tmp_path: Path) -> None:
    with policy().inference() as ready:
        labeller().label(tmp_path, ready, scenes(2), Ranks())
    data = StepDataModule(OutcomeReward(even_length), scenes(2), str(tmp_path))
    data.trainer = SimpleNamespace(lightning_module=ProcessRewardModule(backbone(), separator="\n"))  # type: ignore[assignment]
    with pytest.raises(RuntimeError, match=r"that ' ' separates, but model.separator is '\\n'"):
        data.setup("fit")


class Refuses:
    """An engine that only says what it was asked."""

    account = Account()

    def generate(self, policy: Policy, requests: Sequence[Request], sampling: Sampling, seed: int) -> Iterator[Group]:
        """Say so."""
        raise Asked([(request.prompt.id, request.key) for request in requests])


class Asked(Exception):  # noqa: N818 (it is no error)
    """What an engine was asked."""


def test_a_prompts_beginnings_are_completed_on_one_rank(tmp_path: Path) -> None:
    found: list[list[tuple[str, str]]] = []
    with policy().inference() as ready:
        labeller().label(tmp_path, ready, scenes(40), Ranks())
        (tmp_path / "steps.parquet").unlink()
        shutil.rmtree(tmp_path / "completions")
        for rank in range(2):
            with pytest.raises(Asked) as asked:
                labeller(Refuses()).label(tmp_path, ready, scenes(40), Ranks(rank, 2))
            found.append(asked.value.args[0])
    names = [{name for name, _ in each} for each in found]
    assert names[0] and names[1] and not names[0] & names[1]
    assert sum(map(len, found)) > sum(map(len, names))  # some prompts have several
