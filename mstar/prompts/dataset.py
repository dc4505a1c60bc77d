"""Prompts from a data set: the hub's, or local JSONL and Parquet files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
from PIL import Image, UnidentifiedImageError

from mstar.types import Prompt

LOCAL = {".jsonl": "json", ".json": "json", ".parquet": "parquet"}
REQUIRED = ("question",)
OURS = ("id", "question", "images", "answer", "kind", "cot")


class DatasetPrompts:
    """Reads prompts through ``datasets``, memory-mapped; images are opened when a prompt is asked for.

    Args:
        path: Hub id, or a ``.jsonl``, ``.json`` or ``.parquet`` file.
        split: Split of a hub data set.
        fields: Column of each of our fields (``id``, ``question``, ``images``, ``answer``, ``kind``, ``cot``), where
            it is not called the same. Other columns go to ``Prompt.meta``.
        image_root: Folder that image paths are relative to; ``None`` is the file's own. Paths may not leave it.
    """

    def __init__(
        self,
        path: str,
        split: str = "train",
        fields: dict[str, str] | None = None,
        image_root: str | None = None,
    ) -> None:
        self.path = path
        self.columns = {ours: (fields or {}).get(ours, ours) for ours in OURS}
        self.root = Path(image_root) if image_root is not None else Path(path).parent
        self.rows = _load(path, split)
        self._check()

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Prompt:
        row = self.rows[index]
        ours = {name: row.get(column) for name, column in self.columns.items()}
        return Prompt(
            id=str(index if ours["id"] is None else ours["id"]),
            question=str(ours["question"]),
            images=tuple(self._open(value, index) for value in _listed(ours["images"])),
            answer=None if ours["answer"] is None else str(ours["answer"]),
            kind=str(ours["kind"] or ""),
            cot=ours["cot"],
            meta={name: value for name, value in row.items() if name not in self.columns.values()},
        )

    def _check(self) -> None:
        have = self.rows.column_names
        for name in REQUIRED:
            if self.columns[name] not in have:
                raise ValueError(
                    f"{self.path} has no column {self.columns[name]!r} for {name!r}; its columns are {have}. Map it: "
                    f"fields: {{{name}: COLUMN}}."
                )
        if self.columns["id"] in have:
            ids = self.rows[self.columns["id"]]
            seen: dict[Any, int] = {}
            for row, value in enumerate(ids):
                if value in seen:
                    raise ValueError(
                        f"{self.path}: rows {seen[value]} and {row} have the same id {value!r}; ids must differ."
                    )
                seen[value] = row

    def _open(self, value: Any, row: int) -> Image.Image:
        if isinstance(value, Image.Image):
            return value.convert("RGB")
        file = (self.root / str(value)).resolve()
        if not file.is_relative_to(self.root.resolve()):
            raise ValueError(f"{self.path}, row {row}: image {value!r} lies outside image_root ({self.root}).")
        try:
            with Image.open(file) as image:
                return image.convert("RGB")
        except (FileNotFoundError, UnidentifiedImageError, OSError) as error:
            raise ValueError(f"{self.path}, row {row}: image {value!r} cannot be read ({error}).") from error


def _load(path: str, split: str) -> Any:
    kind = LOCAL.get(Path(path).suffix)
    if kind is None:
        return datasets.load_dataset(path, split=split)
    if not Path(path).is_file():
        raise FileNotFoundError(f"There is no file {path!r}; give a hub id, or an existing .jsonl or .parquet file.")
    return datasets.load_dataset(kind, data_files=path, split="train")


def _listed(value: Any) -> Sequence[Any]:
    if value is None:
        return ()
    return value if isinstance(value, list | tuple) else (value,)
