"""The groups of a stage, one after the other: never a whole iteration in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mstar.rollout.store import Stage, rollout_of
from mstar.types import Group, Prompt

ROWS = 1024
HEAVY = ("tokens", "logprobs")
"""Columns that are larger than all the others and of which only the length is shown."""


@dataclass(frozen=True)
class Asked:
    """A group as it is shown."""

    group: Group
    """Its prompt has neither pictures nor a reference: these are not in the store. Its rollouts have no tokens."""
    num_tokens: tuple[int, ...]
    """Length of each response."""


def has_rollouts(stage: Stage) -> bool:
    """Whether a finished stage still has its rollouts.

    Raises:
        RuntimeError: If their file is gone or is not what was sealed, and no retention policy says why.
    """
    if not stage.sealed or ("retention" in stage.manifest and not stage.rollouts.is_file()):
        return False
    stage.verify()
    return True


def read_groups(stage: Stage) -> Iterator[Asked]:
    """A stage's groups in the store's order; of one that is not finished, those that are there, without verdicts."""
    if not stage.sealed:
        for name, rollouts in stage.generated().items():
            yield Asked(Group(Prompt(name, ""), rollouts), tuple(len(rollout.tokens) for rollout in rollouts))
    elif stage.rollouts.is_file():
        for _, rows in groupby(_rows(stage), key=lambda row: row["prompt_id"]):
            yield _asked(list(rows))


def _asked(rows: list[dict[str, Any]]) -> Asked:
    prompt = Prompt(rows[0]["prompt_id"], rows[0]["question"], kind=rows[0]["kind"])
    rollouts = tuple(rollout_of({**row, "tokens": ()}) for row in rows)
    return Asked(Group(prompt, rollouts), tuple(row["num_tokens"] or 0 for row in rows))


def _rows(stage: Stage) -> Iterator[dict[str, Any]]:
    with pq.ParquetFile(stage.rollouts) as file:
        light = [name for name in file.schema_arrow.names if name not in HEAVY]
        for batch in file.iter_batches(ROWS, columns=[*light, "tokens"]):
            lengths = pc.list_value_length(batch["tokens"])
            yield from batch.select(light).append_column("num_tokens", lengths).to_pylist()


def reward_names(stages: Iterable[Stage]) -> list[str]:
    """Names of the rewards in the rollouts of finished stages, in the order they appear."""
    types = (pq.read_schema(stage.rollouts).field("rewards").type for stage in stages)
    return list(dict.fromkeys(field.name for kind in types if pa.types.is_struct(kind) for field in kind))
