"""The rows of a data set, wherever they are: files, a folder, the hub, or a stream of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from glob import glob
from pathlib import Path
from typing import Any

import datasets
from huggingface_hub.constants import HF_HOME

from mstar.files import replacing
from mstar.prompts.local import read_parquet, read_tsv
from mstar.prompts.mapped import Mapped
from mstar.prompts.records import cache_folder, kept_records

ENDINGS = (".parquet", ".json", ".jsonl", ".tsv")
KINDS = f"{', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}"


@dataclass(frozen=True)
class Rows:
    """Where the rows of a data set are: on the hub, or in a local copy of what is published there."""

    path: str
    """Hub id, or a folder: a copy of a hub data set, of images, or what ``save_to_disk`` wrote; or a ``.parquet``
    (``*`` for several), ``.json``, ``.jsonl`` or ``.tsv`` file."""
    split: str = "test"
    """Split of a hub data set or a folder."""
    subset: str | None = None
    """Configuration of a hub data set, if it has several."""
    revision: str | None = None
    """Commit of a hub data set; say it in what you publish."""
    image_root: str | None = None
    """Folder that image paths are relative to; ``None`` is the file's own. Paths may not leave it."""
    columns: tuple[str, ...] = ()
    """Names of the cells of JSON records that are written as lists: ``["what?", "this", 7]``."""
    streaming: int = 0
    """Rows to take from the beginning of a hub data set without downloading the rest; 0 downloads all of it. They are
    kept on disk, so that a rerun walks the same rows; another number fetches anew."""

    def open(self) -> Table:
        """Open the rows; images stay as they are stored.

        Raises:
            FileNotFoundError: If a local file is not there, or the hub's cannot be reached.
            ValueError: If it is not what its ending says.
        """
        ending = Path(self.path).suffix
        if ending not in ENDINGS:
            return Table(self.path, self.root, Mapped(self._data_set()))
        several = glob(self.path) if ending == ".parquet" else []
        files = [self.path] if Path(self.path).is_file() else sorted(several)
        if not files:
            advice = "download it and give its path" if "://" in self.path else f"give a hub id, or an existing {KINDS}"
            raise FileNotFoundError(f"There is no file {self.path!r}; {advice} file.")
        if ending == ".parquet":
            return Table(self.path, self.root, Mapped(read_parquet(files)))
        if ending == ".tsv":
            return Table(self.path, self.root, Mapped(read_tsv(Path(self.path))), encoded=True)
        records, columns = kept_records(Path(self.path), self.columns)
        return Table(self.path, self.root, Mapped(records), records=tuple(columns), listed=bool(self.columns))

    @property
    def root(self) -> Path:
        """The folder of images."""
        if self.image_root is not None:
            return Path(self.image_root)
        if Path(self.path).suffix in ENDINGS:
            return Path(self.path).parent
        return Path(self.path) if Path(self.path).is_dir() else Path(HF_HOME)

    def _data_set(self) -> datasets.Dataset:
        """A folder's or the hub's."""
        folder = Path(self.path)
        try:
            if (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file():
                return self._saved()
            if self.streaming:
                return self._streamed()
            return datasets.load_dataset(self.path, self.subset, split=self.split, revision=self.revision)
        except OSError as error:  # not there, not public, or no network
            raise FileNotFoundError(
                f"{self.path!r} cannot be read from the hub ({error}). Log in with `hf auth login` if it is gated, or "
                f"give a copy of its files: rows.path, ending in {KINDS}."
            ) from error

    def _saved(self) -> datasets.Dataset:
        """What ``Dataset.save_to_disk`` or ``DatasetDict.save_to_disk`` wrote."""
        found = datasets.load_from_disk(self.path)
        if isinstance(found, datasets.Dataset):
            return found
        if self.split not in found:
            raise ValueError(f"{self.path} has no split {self.split!r}; it has {sorted(found)}. Name one: split.")
        return found[self.split]

    def _streamed(self) -> datasets.Dataset:
        """The first rows of a stream, from where they are kept or fetched now."""
        words = json.dumps([self.path, self.subset, self.split, self.revision, self.streaming])
        kept = cache_folder() / f"{hashlib.blake2b(words.encode(), digest_size=16).hexdigest()}.parquet"
        if not kept.is_file():
            stream = datasets.load_dataset(
                self.path, self.subset, split=self.split, revision=self.revision, streaming=True
            )
            with replacing(kept) as file:
                stream.take(self.streaming).decode(False).to_parquet(file)
        return read_parquet([str(kept)])


@dataclass(frozen=True)
class Place:
    """Where a row stands, in words that are found when they are needed."""

    table: Table
    number: int
    name: str

    def __str__(self) -> str:
        return self.table.where(self.number, self.name)


class Table:
    """Rows by number.

    Args:
        path: Where they come from, for messages.
        root: Folder of image paths.
        rows: The stored rows.
        encoded: Whether images are base64 texts.
        records: Columns of JSON records, whose texts and lines ``rows`` holds; ``None`` if it holds columns itself.
        listed: Whether the records are lists.
    """

    def __init__(
        self,
        path: str,
        root: Path,
        rows: Mapped,
        encoded: bool = False,
        records: tuple[str, ...] | None = None,
        listed: bool = False,
    ) -> None:
        self.path = path
        self.root = root
        self.rows = rows
        self.encoded = encoded
        self.records = records
        self.listed = listed
        self.columns: list[str] = list(rows.columns if records is None else records)

    def __len__(self) -> int:
        return len(self.rows)

    def texts(self, columns: Sequence[str], indices: Sequence[int]) -> list[dict[str, Any]]:
        """Some columns of some rows; a record without one of them gives ``None``."""
        if self.records is None:
            return self.rows.read(columns, indices)
        found = (json.loads(row["record"]) for row in self.rows.read(["record"], indices))
        named = (dict(zip(self.records, row, strict=True)) if self.listed else row for row in found)
        return [{column: row.get(column) for column in columns} for row in named]

    def where(self, number: int, name: str = "") -> str:
        """File, row, line of a JSON file, and id, for messages."""
        more = [] if self.records is None else [f"line {self.rows.read(['line'], [number])[0]['line']}"]
        more += [f"id {name}"] if name not in ("", str(number)) else []
        return f"{self.path}, row {number}" + (f" ({', '.join(more)})" if more else "")
