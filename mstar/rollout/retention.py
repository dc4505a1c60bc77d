"""Which rollouts of finished iterations stay on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import pyarrow.parquet as pq

from mstar.files import checksum, replacing
from mstar.rollout.store import ROLLOUTS, Stage, iteration_folder

KEPT = "kept.parquet"


class Retention(Protocol):
    """Removes what is not needed any more.

    Manifests always stay: what an iteration was made from, its counts and what became of it. Nothing of the current
    iteration is touched, for a resume reads it again.
    """

    def prune(self, run: Path, current: int) -> None:
        """Prune the iterations before ``current``; asked twice it changes nothing more."""
        ...


class KeepAll:
    """Keeps every rollout."""

    def prune(self, run: Path, current: int) -> None:
        """Leave everything."""


class KeepKept:
    """Keeps the rollouts that were trained on: enough to replay a run (``data.replay``)."""

    def prune(self, run: Path, current: int) -> None:
        """Leave out what the selectors dropped, of every iteration before the current one."""
        for iteration in range(current):
            stage = Stage(iteration_folder(run, iteration))
            if stage.sealed:
                self._prune(stage)

    def _prune(self, stage: Stage) -> None:
        """Write what stays, then the manifest that names it, then remove the rest: a kill in between loses nothing."""
        if "retention" not in stage.manifest:
            stage.verify()
            table = pq.read_table(stage.rollouts)
            with replacing(stage.folder / KEPT) as out:
                pq.write_table(table.filter(table["kept"]), out)
            note = "data.retention keeps what was trained on (KeepKept)"
            stage.amend(rollouts=KEPT, checksums={KEPT: checksum(stage.folder / KEPT)}, retention=note)
        (stage.folder / ROLLOUTS).unlink(missing_ok=True)


class KeepLast:
    """Keeps the rollouts of the last iterations.

    Args:
        num: Iterations before the current one whose rollouts stay, >= 0.
    """

    def __init__(self, num: int) -> None:
        if num < 0:
            raise ValueError(f"data.retention.num is {num}; give 0 or more iterations.")
        self.num = num

    def prune(self, run: Path, current: int) -> None:
        """Remove the rollouts of all iterations before those."""
        for iteration in range(current - self.num):
            stage = Stage(iteration_folder(run, iteration))
            if stage.sealed and stage.rollouts.is_file():
                stage.amend(retention=f"data.retention keeps the rollouts of {self.num} iterations back (KeepLast)")
                stage.rollouts.unlink()
