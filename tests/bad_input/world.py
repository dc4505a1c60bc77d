"""What bad input is fed to: a run that has finished an iteration and begins the next, with a tiny policy."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from mstar.modules.policy import PolicyModule
from mstar.prompts import DatasetPrompts, OrderedWalk
from mstar.rewards import OutcomeReward
from mstar.rewards.reward import RewardModel
from mstar.rollout import NativeEngine
from mstar.rollout.collect import Collector
from mstar.rollout.store import Stage, iteration_folder
from mstar.types import Group, Prompt, PromptSource, Sampling
from tests.house.stubs import even_length
from tests.rollout.stores import sealed

GOOD = 4
SAMPLING = Sampling(2, max_new_tokens=4)


def snapshot(folder: Path) -> dict[str, str]:
    """Digest of every file below a folder."""
    files = (file for file in sorted(folder.rglob("*")) if file.is_file())
    return {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


class World:
    """A run folder with a finished iteration 0, and what iteration 1 is sampled with."""

    def __init__(self, folder: Path, policy: PolicyModule) -> None:
        self.run = folder / "run"
        self.data = folder / "data"
        self.data.mkdir()
        self.policy = policy
        sealed(iteration_folder(self.run, 0))
        self.before = snapshot(self.run)
        self.stage = Stage(iteration_folder(self.run, 1))

    def collect(
        self, source: PromptSource, max_drop_rate: float = 0.0, reward: RewardModel | None = None
    ) -> list[Group]:
        """Sample, score and seal iteration 1."""
        collector = Collector(
            NativeEngine(), reward or OutcomeReward(even_length), selectors=(), max_drop_rate=max_drop_rate
        )
        with self.policy.inference() as policy:
            return collector.collect(self.stage, policy, OrderedWalk(source, 1.0).prompts(0), SAMPLING, seed=0)

    def rows(self, *bad: dict[str, Any], write: Callable[[Path, list[dict[str, Any]]], Path] | None = None) -> Path:
        """A file of good rows with bad ones behind them."""
        Image.new("RGB", (32, 32), "white").save(self.data / "good.png")
        good = [{"id": f"good-{i}", "question": "2+2?", "answer": "4", "images": "good.png"} for i in range(GOOD)]
        rows = [*good, *({**good[0], "id": f"bad-{i}", **row} for i, row in enumerate(bad))]
        return (write or write_lines)(self.data / "prompts", rows)

    def intact(self) -> bool:
        """Whether everything that was there is as it was, and what is there now can be read."""
        now = snapshot(self.run)
        unchanged = all(now.get(name) == digest for name, digest in self.before.items())
        self.stage.generated()
        return unchanged


def write_lines(file: Path, rows: list[dict[str, Any]]) -> Path:
    """Rows as JSON lines."""
    file = file.with_suffix(".jsonl")
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


class Listed:
    """Prompts from memory."""

    def __init__(self, *prompts: Prompt) -> None:
        self.prompts = prompts

    def __len__(self) -> int:
        return len(self.prompts)

    def __getitem__(self, index: int, /) -> Prompt:
        return self.prompts[index]


def read(file: Path) -> DatasetPrompts:
    """The prompts of a file."""
    return DatasetPrompts(str(file))
