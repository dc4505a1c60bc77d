"""The rows of a published file or hub data set."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from glob import glob
from pathlib import Path
from typing import Any

import datasets

from mstar.benchmarks.local import read_json, read_parquet, read_tsv

ENDINGS = (".parquet", ".json", ".jsonl", ".tsv")
KINDS = f"{', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}"


@dataclass(frozen=True)
class Rows:
    """Where the rows of a benchmark are: on the hub, or in a local copy of what is published there."""

    path: str
    """Hub id, or a folder that is a copy of one; or a ``.parquet`` (``*`` for several), ``.json``, ``.jsonl`` or
    ``.tsv`` file."""
    split: str = "test"
    """Split of a hub data set."""
    subset: str | None = None
    """Configuration of a hub data set, if it has several."""
    revision: str | None = None
    """Commit of a hub data set; say it in what you publish."""
    image_root: str | None = None
    """Folder that image paths are relative to; ``None`` is the file's own. Paths may not leave it."""

    def open(self) -> Table:
        """Open the rows; images stay as they are stored.

        Raises:
            FileNotFoundError: If a local file is not there, or the hub's cannot be reached.
            ValueError: If it is not what its ending says.
        """
        ending = Path(self.path).suffix
        if ending not in ENDINGS:
            return Table(self.path, self.root, _undecoded(self._from_hub()))
        files = sorted(glob(self.path))
        if not files:
            raise FileNotFoundError(f"There is no file {self.path!r}; give a hub id, or an existing {KINDS} file.")
        if ending == ".parquet":
            return Table(self.path, self.root, _undecoded(read_parquet(files)))
        if ending == ".tsv":
            return Table(self.path, self.root, read_tsv(Path(self.path)), encoded=True)
        return Table(self.path, self.root, read_json(Path(self.path)))

    @property
    def root(self) -> Path:
        """The folder of images."""
        return Path(self.path).parent if self.image_root is None else Path(self.image_root)

    def _from_hub(self) -> Any:
        try:
            return datasets.load_dataset(self.path, self.subset, split=self.split, revision=self.revision)
        except OSError as error:  # not there, not public, or no network
            raise FileNotFoundError(
                f"{self.path!r} cannot be read from the hub ({error}). Log in with `hf auth login` if it is gated, or "
                f"give a copy of its files: rows.path, ending in {KINDS}."
            ) from error


class Table:
    """Rows by number.

    Args:
        path: Where they come from, for messages.
        root: Folder of image paths.
        rows: A ``datasets.Dataset`` with undecoded images, or a list of records.
        encoded: Whether images are base64 texts.
    """

    def __init__(self, path: str, root: Path, rows: Any, encoded: bool = False) -> None:
        self.path = path
        self.root = root
        self.rows = rows
        self.encoded = encoded
        records = rows if isinstance(rows, list) else ()
        self.columns: list[str] = list(dict.fromkeys(key for row in records for key in row)) or rows.column_names

    def __len__(self) -> int:
        return len(self.rows)

    def texts(self, columns: Sequence[str], indices: Iterable[int]) -> list[dict[str, Any]]:
        """Some columns of some rows; a record without one of them gives ``None``."""
        if isinstance(self.rows, list):
            return [{column: self.rows[i].get(column) for column in columns} for i in indices]
        narrow = self.rows.select_columns(list(columns))
        return [narrow[i] for i in indices]

    def where(self, number: int, name: str) -> str:
        """File, row and id, for messages."""
        return f"{self.path}, row {number}" + (f" (id {name})" if name != str(number) else "")

    def cell(self, index: int, column: str) -> Any:
        """One cell, such as an image as it is stored."""
        return self.texts([column], [index])[0][column]


def _undecoded(rows: Any) -> Any:
    """Keep images as bytes, so that the row of one that cannot be decoded can be named."""
    for column, feature in rows.features.items():
        if isinstance(feature, datasets.Image):
            rows = rows.cast_column(column, datasets.Image(decode=False))
    return rows
