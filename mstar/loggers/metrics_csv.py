"""Metrics as a CSV file that survives kills and resumes: each row once."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning_utilities.core.rank_zero import rank_zero_only

from mstar.files import explained, write_atomically

FIRST = ("step", "epoch")
Row = dict[str, str]


class MetricsCsv(Logger):
    """Writes ``<save_dir>/metrics.csv``: a row each time metrics are logged, a column a key.

    The file is of the shape of Lightning's ``CSVLogger``. That one deletes the file when a run is resumed, and loses up
    to a hundred rows to a kill. Here a row is on disk as it is logged, and a row that is logged again (same step, same
    keys), because a resumed run comes by once more, takes the place of the first.

    Args:
        save_dir: Folder of the file; made if missing.
    """

    def __init__(self, save_dir: str) -> None:
        super().__init__()
        self.file = Path(save_dir) / "metrics.csv"
        self._columns: list[str] = []
        self._rows: dict[tuple[str, frozenset[str]], Row] | None = None

    @property
    def name(self) -> str:
        """No experiment within the folder."""
        return ""

    @property
    def version(self) -> str:
        """No version within the folder."""
        return ""

    @property
    def save_dir(self) -> str:
        """Where the file is."""
        return str(self.file.parent)

    @rank_zero_only
    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Nothing: ``config.yaml`` has every value in force."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Write a row; where a key is new, or the row was there, the file anew."""
        if self._rows is None:
            self._rows = self._read()
        row = {"step": str(0 if step is None else step), **{name: repr(value) for name, value in metrics.items()}}
        known = identity(row)
        new = [name for name in row if name not in self._columns]
        append = self.file.is_file() and not new and known not in self._rows
        self._columns = ordered([*self._columns, *new])
        self._rows[known] = row
        if append:
            with explained(self.file), self.file.open("a", encoding="utf-8", newline="") as file:
                file.write(table(self._columns, [row], head=False))
        else:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self.file, table(self._columns, list(self._rows.values())))

    def _read(self) -> dict[tuple[str, frozenset[str]], Row]:
        """The rows of an earlier run, without a last one that a kill tore apart."""
        if not self.file.is_file():
            return {}
        whole = self.file.read_text(encoding="utf-8").rpartition("\n")[0]
        found = csv.DictReader(io.StringIO(whole))
        rows = [{name: value for name, value in row.items() if value} for row in found]
        self._columns = list(found.fieldnames or [])
        kept = {identity(row): row for row in rows}
        write_atomically(self.file, table(self._columns, list(kept.values())))
        return kept


def identity(row: Row) -> tuple[str, frozenset[str]]:
    """What makes a row the same as another: its step, and what it tells of."""
    return row["step"], frozenset(row)


def ordered(columns: Sequence[str]) -> list[str]:
    """Step and epoch first, the rest as it came.

    >>> ordered(["train/loss", "epoch", "step"])
    ['step', 'epoch', 'train/loss']
    """
    return [name for name in FIRST if name in columns] + [name for name in columns if name not in FIRST]


def table(columns: Sequence[str], rows: Sequence[Row], head: bool = True) -> str:
    r"""Rows as CSV.

    >>> table(["step", "loss"], [{"step": "1"}])
    'step,loss\n1,\n'
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    if head:
        writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
