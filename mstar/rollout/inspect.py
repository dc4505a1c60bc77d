"""Look at a run's store: its stages, whether they are what was written, their rollouts, and all of these as a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mstar.rollout.store import MANIFEST, Stage
from mstar.types import Rollout


@dataclass(frozen=True)
class Health:
    """What was found of a stage."""

    name: str
    """Its folder, relative to the run's."""
    fault: str
    """What is wrong, in words; empty if nothing is."""
    note: str
    """What there is."""


def find_stages(run: Path) -> dict[str, Stage]:
    """All stages below a run folder, sealed or not, by their folder's place in it.

    Raises:
        FileNotFoundError: If there are none.
    """
    files = [*run.rglob(MANIFEST), *run.rglob("part-*.jsonl")] if run.is_dir() else []
    folders = sorted({file.parent for file in files})
    if not folders:
        raise FileNotFoundError(f"{run} holds no rollouts; give the folder of a run or of one of its stages.")
    return {str(folder.relative_to(run)): Stage(folder) for folder in folders}


def check(name: str, stage: Stage) -> Health:
    """Hold a stage against its manifest: checksums, every row readable, as many as were counted."""
    try:
        if not stage.sealed:
            groups, drops = stage.generated(), stage.dropped()
            return Health(name, "", f"open: {len(groups):,} groups and {len(drops):,} dropped prompts so far")
        manifest = stage.manifest
        if "retention" in manifest and not stage.rollouts.is_file():
            return Health(name, "", f"sealed; rollouts removed: {manifest['retention']}")
        found = [rollout for rollouts in stage.read().values() for rollout in rollouts]
    except (RuntimeError, ValueError, KeyError, TypeError, OSError) as error:
        return Health(name, str(error), "")
    return Health(name, _miscounted(found, manifest), f"sealed: {len(found):,} rollouts")


def _miscounted(found: Sequence[Rollout], manifest: dict[str, Any]) -> str:
    counts = {"kept": sum(r.kept is True for r in found)}
    if "retention" not in manifest:
        counts["rollouts"] = len(found)
    wrong = [
        f"{n:,} {name}, not {manifest['counts'][name]:,}" for name, n in counts.items() if n != manifest["counts"][name]
    ]
    return f"it holds {', '.join(wrong)} as its manifest says" if wrong else ""


def rows_of(stage: Stage) -> Iterator[Rollout]:
    """A stage's rollouts, scored and decided if it is sealed."""
    groups = stage.read() if stage.sealed else stage.generated()
    return (rollout for rollouts in groups.values() for rollout in rollouts)


def table_of(stages: dict[str, Stage], kept: bool) -> pa.Table:
    """Rollouts of sealed stages as one table, a row each, with the stage they are of.

    Args:
        stages: By name.
        kept: Only those that were trained on.

    Raises:
        RuntimeError: If a file is not what was sealed, or none is left.
    """
    tables = []
    for name, stage in stages.items():
        if stage.sealed and stage.rollouts.is_file():
            stage.verify()
            table = pq.read_table(stage.rollouts)
            table = table.filter(table["kept"]) if kept else table
            tables.append(table.add_column(0, "stage", pa.array([name] * len(table), pa.string())))
    if not tables:
        raise RuntimeError("No stage is finished and still has its rollouts; see: mstar rollouts ls")
    return pa.concat_tables(tables, promote_options="permissive")
