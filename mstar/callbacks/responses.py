"""Responses of all ranks, and writing them down."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch.distributed

from mstar.evaluation import Evaluated
from mstar.files import write_atomically
from mstar.rollout.store import to_parquet
from mstar.types import Group


def gathered(batches: Sequence[Evaluated]) -> tuple[list[Group], list[Group]]:
    """Greedy and sampled groups of all ranks, ordered by prompt id."""
    mine = ([g for b in batches for g in b.greedy], [g for b in batches for g in b.sampled])
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return mine
    everyone: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(everyone, mine)
    return (
        sorted((g for part in everyone for g in part[0]), key=lambda g: str(g.prompt.id)),
        sorted((g for part in everyone for g in part[1]), key=lambda g: str(g.prompt.id)),
    )


def write_responses(folder: Path, split: str, greedy: Sequence[Group], sampled: Sequence[Group]) -> None:
    """Write ``<split>-greedy.parquet`` and, if any were drawn, ``<split>-sampled.parquet``; a row a response."""
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / f"{split}-greedy.parquet", to_parquet(greedy))
    if sampled:
        write_atomically(folder / f"{split}-sampled.parquet", to_parquet(sampled))
