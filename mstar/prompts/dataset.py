"""Prompts from a data set: the hub's, or local JSONL and Parquet files."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import datasets
from datasets.exceptions import DatasetGenerationError
from PIL.Image import Image

from mstar.prompts.images import LazyImages, listed, open_image, readable
from mstar.prompts.lines import explain
from mstar.prompts.listed import ListedPrompts
from mstar.prompts.unusable import UnusablePromptError
from mstar.types import Prompt

LOCAL = {".jsonl": "json", ".json": "json", ".parquet": "parquet"}
OURS = ("id", "question", "images", "answer", "kind", "cot")


class DatasetPrompts(ListedPrompts):
    """Reads prompts through ``datasets``, memory-mapped; a prompt's images are opened each time they are looked at.

    ``images`` may be a column of images, of their paths, or of lists of either; all become RGB. Ids must differ;
    without an ``id`` column the row's number is the id. To take a part, wrap it in ``Subset``.

    Args:
        path: Hub id, or a ``.jsonl``, ``.json`` or ``.parquet`` file.
        split: Split of a hub data set.
        fields: Column of each of our fields (``id``, ``question``, ``images``, ``answer``, ``kind``, ``cot``), where
            it is not called the same. Other columns go to ``Prompt.meta``, where verifiers look for ``answer_type``,
            ``choices``, ``precision`` and ``unit``.
        image_root: Folder that image paths are relative to; ``None`` is the file's own. Paths may not leave it.

    Raises:
        FileNotFoundError: If a local file is not there.
        ValueError: If ``fields`` names what does not exist, there is no question, images are not mapped, or two rows
            have the same id.
    """

    def __init__(
        self,
        path: str,
        split: str = "train",
        fields: dict[str, str] | None = None,
        image_root: str | None = None,
    ) -> None:
        self.path = path
        self.fields = fields or {}
        self.root = Path(image_root) if image_root is not None else Path(path).parent
        self.rows = _load(path, split)
        self._check_columns()
        self.columns = {
            ours: column for ours in OURS if (column := self.fields.get(ours, ours)) in self.rows.column_names
        }
        self.stored = _undecoded(self.rows)
        self.pictures = self.rows.select_columns([self.columns[name] for name in ("images",) if name in self.columns])
        self._ids = self._read_ids()

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int, /) -> Prompt:
        """The prompt of a row; its images are opened once here, so that one that cannot be shown is named now.

        Raises:
            UnusablePromptError: If its question is empty or an image cannot be shown; the message names file and row.
        """
        row = self.stored[index]
        ours = {name: row[column] for name, column in self.columns.items()}
        images = LazyImages(len(listed(ours.get("images"))), partial(self._open, index))
        try:
            if ours["question"] is None or not str(ours["question"]).strip():
                raise ValueError(f"{self.path}, row {index}: {self.columns['question']!r} is empty; fill it in.")
            list(images)
        except ValueError as error:
            raise UnusablePromptError(self._ids[index], str(error)) from error
        return Prompt(
            id=self._ids[index],
            question=str(ours["question"]),
            images=images,
            answer=_text(ours.get("answer")),
            kind=_text(ours.get("kind")) or "",
            cot=_text(ours.get("cot")),
            meta={name: value for name, value in row.items() if name not in self.columns.values()},
        )

    def _open(self, index: int) -> list[Image]:
        if "images" not in self.columns:
            return []
        where = f"{self.path}, row {index}"
        with readable(where, "Its bytes are in the data set: fetch it again."):  # some are decoded here
            cell = self.pictures[index][self.columns["images"]]
        return [open_image(value, self.root, where) for value in listed(cell)]

    def ids(self) -> Sequence[str]:
        """The rows' ids."""
        return self._ids

    def _check_columns(self) -> None:
        have = self.rows.column_names
        if unknown := set(self.fields) - set(OURS):
            raise ValueError(f"DatasetPrompts.fields names {sorted(unknown)}; our fields are {', '.join(OURS)}.")
        for ours, column in {"question": "question", **self.fields}.items():
            if column not in have:
                raise ValueError(
                    f"{self.path} has no column {column!r} for {ours!r}; its columns are {have}. Map it: "
                    f"fields: {{{ours}: COLUMN}}."
                )
        if "image" in have and "images" not in have and "images" not in self.fields:
            raise ValueError(
                f"{self.path} has a column 'image' that no prompt would show. Map it: fields: {{images: image}}."
            )

    def _read_ids(self) -> list[str]:
        if "id" not in self.columns:
            return [str(row) for row in range(len(self.rows))]
        ids = [str(value) for value in self.rows[self.columns["id"]]]
        seen: dict[str, int] = {}
        for row, name in enumerate(ids):
            if seen.setdefault(name, row) != row:
                raise ValueError(
                    f"{self.path}: rows {seen[name]} and {row} have the same {self.columns['id']!r}, {name!r}; ids "
                    f"must differ. Mend the file, or map another column: fields: {{id: COLUMN}}."
                )
        return ids


def _load(path: str, split: str) -> Any:
    kind = LOCAL.get(Path(path).suffix)
    if kind is None:
        return datasets.load_dataset(path, split=split)
    if not Path(path).is_file():
        advice = (
            "download it and give its path" if "://" in path else "give a hub id, or an existing .jsonl or .parquet"
        )
        raise FileNotFoundError(f"There is no file {path!r}; {advice} file.")
    try:
        rows = datasets.load_dataset(kind, data_files=path, split="train")
    except (DatasetGenerationError, StopIteration, ValueError) as error:  # the latter two of files without rows
        cause = error.__cause__ or error
        told = explain(Path(path)) if kind == "json" else f"{path} cannot be read as Parquet ({cause}). Fetch it again."
        raise ValueError(told) from error
    return _undecoded(rows)


def _undecoded(rows: Any) -> Any:
    """The same rows with images as they are stored: a row is read without decoding them, and one place opens them."""
    stored = datasets.Image(decode=False)
    for name, feature in rows.features.items():
        if isinstance(feature, datasets.Image):
            rows = rows.cast_column(name, stored)
        elif isinstance(feature, datasets.List) and isinstance(feature.feature, datasets.Image):
            rows = rows.cast_column(name, datasets.List(stored))
    return rows


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
