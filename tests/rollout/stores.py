"""Small stores for tests."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from mstar.rollout.store import Stage
from mstar.types import Group, Prompt, Rollout, Sampling

KEY = {"policy": "abc", "prompts": "def", "sampling": asdict(Sampling(2)), "seed": 1}


def group(name: str, *texts: str) -> Group:
    """Two responses, the first kept."""
    written = texts or (f"right {name}", f"wrong {name}")
    rollouts = tuple(
        Rollout(name, i, text, (1, 2), rewards={"outcome": 1.0 - i}, verdict="wrong" if i else "correct", kept=i == 0)
        for i, text in enumerate(written)
    )
    return Group(Prompt(name, "?"), rollouts)


def sealed(folder: Path, *groups: Group) -> Stage:
    """A finished stage."""
    stage = begun(folder)
    stage.seal(groups or (group("p"), group("q")), KEY, {"rollout": 1.0})
    return stage


def begun(folder: Path, *groups: Group) -> Stage:
    """A stage that is not finished; one prompt of it was dropped."""
    stage = Stage(folder)
    stage.open(KEY)
    with stage.part(0, KEY) as part:
        part.drop("bad", "data.jsonl, row 3: an image cannot be read")
        for each in groups:
            part.append(each)
    return stage
