"""The rows of a published file or hub data set."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from glob import glob
from pathlib import Path
from typing import Any

import datasets
from pyarrow import csv, string

TSV_BLOCK = 1 << 28  # bytes; the longest row, image and all, must fit in one


@dataclass(frozen=True)
class Rows:
    """Where the rows of a benchmark are: on the hub, or in a local copy of what is published there."""

    path: str
    """Hub id; or a local ``.parquet`` (``*`` for several), ``.json``, ``.jsonl`` or ``.tsv`` file."""
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
            FileNotFoundError: If a local file is not there.
            ValueError: If it is not what its ending says.
        """
        ending = Path(self.path).suffix
        if ending not in (".parquet", ".json", ".jsonl", ".tsv"):
            return Table(self.path, self.root, _undecoded(self._from_hub()))
        files = sorted(glob(self.path))
        if not files:
            raise FileNotFoundError(
                f"There is no file {self.path!r}; give a hub id, or an existing .parquet, .json, .jsonl or .tsv file."
            )
        if ending == ".parquet":
            rows = datasets.load_dataset("parquet", data_files=files, split="train")
            return Table(self.path, self.root, _undecoded(rows))
        if ending == ".tsv":
            return Table(self.path, self.root, datasets.Dataset(_read_tsv(Path(self.path))), encoded=True)
        return Table(self.path, self.root, _read_json(Path(self.path)))

    @property
    def root(self) -> Path:
        """The folder of images."""
        return Path(self.path).parent if self.image_root is None else Path(self.image_root)

    def _from_hub(self) -> Any:
        return datasets.load_dataset(self.path, self.subset, split=self.split, revision=self.revision)


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


def _read_tsv(path: Path) -> Any:
    """All columns as text: an option may be the word "None" or the number 1.0."""
    with path.open(encoding="utf-8") as file:
        header = file.readline().rstrip("\r\n").split("\t")
    return csv.read_csv(
        path,
        read_options=csv.ReadOptions(block_size=TSV_BLOCK),
        parse_options=csv.ParseOptions(delimiter="\t", newlines_in_values=True),
        convert_options=csv.ConvertOptions(column_types=dict.fromkeys(header, string())),
    )


def _read_json(path: Path) -> list[Mapping[str, Any]]:
    """Records of JSON lines, of a JSON list, or of a JSON object of records by id (MathVista's testmini.json)."""
    text = path.read_text(encoding="utf-8")
    try:
        found = (
            [json.loads(line) for line in text.splitlines() if line] if path.suffix == ".jsonl" else json.loads(text)
        )
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is not valid JSON ({error}). Fetch it again.") from error
    records = list(found.values()) if isinstance(found, dict) else found
    if not isinstance(records, list) or not records or not all(isinstance(record, dict) for record in records):
        raise ValueError(f"{path} holds no list of records; give the file of questions as it is published.")
    return records
