"""What a policy was trained on, as a data set of its own: the kept responses, joined to their prompts by id."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mstar.rollout.inspect import table_of
from mstar.rollout.store import Stage, iteration_folder


@dataclass(frozen=True)
class Kept:
    """A run's kept responses, and where they come from."""

    stages: tuple[dict[str, Any], ...]
    """Of each finished iteration: its ``name`` and ``counts``, and what its manifest says it was made from."""
    table: pa.Table | None
    """A row a response; ``None`` if no iteration is finished or none has its rollouts any more."""

    @property
    def missing(self) -> int:
        """Responses that were trained on and have been removed since (``data.retention``)."""
        trained: int = sum(stage["counts"]["kept"] for stage in self.stages)
        return trained - (0 if self.table is None else len(self.table))


def read_kept(run: Path, last: int) -> Kept:
    """Read what a run's finished iterations have kept.

    Args:
        run: Whose rollouts were trained on: the run itself, or the one it replays.
        last: The last iteration that the weights have seen, from 0.

    Raises:
        RuntimeError: If a file is not what was sealed.
    """
    folders = [iteration_folder(run, iteration) for iteration in range(last + 1)]
    sealed = {folder.name: stage for folder in folders if (stage := Stage(folder)).sealed}
    left = {name: stage for name, stage in sealed.items() if stage.rollouts.is_file()}
    facts = tuple(_facts(name, stage) for name, stage in sealed.items())
    return Kept(facts, table_of(left, kept=True) if left else None)


def _facts(name: str, stage: Stage) -> dict[str, Any]:
    manifest = stage.manifest
    key = manifest["key"]
    return {
        "name": name,
        "counts": manifest["counts"],
        "sampling": key["sampling"],
        "seed": key["seed"],
        "policy": key["policy"],
        "prompts": key["prompts"],
        "checksum": next(iter(manifest.get("checksums", {}).values()), ""),
        "versions": manifest["versions"],
    }


def write_kept(kept: Kept, folder: Path) -> None:
    """Write the rows as ``data/train.parquet``, which ``datasets.load_dataset(folder)`` finds."""
    assert kept.table is not None
    (folder / "data").mkdir(parents=True)
    pq.write_table(kept.table, folder / "data" / "train.parquet")
