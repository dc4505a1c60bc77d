"""Prompts from a data set: the hub's, or a local copy in any of the usual formats."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from mstar.files import replacing
from mstar.layouts.asking import Asking
from mstar.layouts.columns import Columns
from mstar.layouts.layout import Layout, Question
from mstar.prompts.contents import Contents
from mstar.prompts.ids import StoredIds, twins
from mstar.prompts.images import LazyImages
from mstar.prompts.listed import ListedPrompts
from mstar.prompts.records import cache_folder, stamp
from mstar.prompts.rows import Rows
from mstar.prompts.stored import StoredImages
from mstar.prompts.unusable import UnusablePromptError
from mstar.types import Prompt

CHUNK = 64  # rows, images and all, read at once where all are read
KNOWN = 4096  # files whose stamps are kept for a while
VERSION = 2  # of the digests kept on disk


class DatasetPrompts(ListedPrompts):
    """Reads prompts from disk as they are asked for; a prompt's images are opened each time they are looked at.

    Nothing of the data set is held in memory, however large it is. ``images`` may be a column of images, of their
    paths, or of lists of either; all become RGB. Ids must differ; without an ``id`` the row's number is the id. To take
    a part, wrap it in ``Subset`` or ``Split``; docs/data.md has a page of YAML for each format.

    Args:
        path: Hub id; a folder (of images, or what ``save_to_disk`` wrote); or a ``.jsonl``, ``.json``, ``.parquet`` or
            ``.tsv`` file.
        split: Split of a hub data set or a folder.
        fields: Column of each of our fields (``id``, ``question``, ``images``, ``video``, ``answer``, ``kind``,
            ``cot``), where it is not called the same, or a text with columns in braces. Other columns go to
            ``Prompt.meta``, where verifiers look for ``answer_type``, ``choices``, ``precision`` and ``unit``.
        image_root: Folder that image paths are relative to; ``None`` is the file's own. Paths may not leave it.
        layout: How rows are written where question, answer and images have no columns of their own, for instance
            ``Turns``; ``fields`` are left out then.
        subset: Configuration of a hub data set, if it has several.
        revision: Commit of a hub data set.
        columns: Names of the cells of JSON records that are written as lists.
        streaming: Rows to take from the beginning of a hub data set without downloading the rest; 0 takes all.
        num_frames: Frames of a video that are shown.
        asking: How the questions of a layout are put; ``None`` puts them in the data set's own words.

    Raises:
        FileNotFoundError: If a local file is not there.
        ValueError: If ``fields`` names what does not exist, there is no question, images are not mapped, two rows have
            the same id, or ``layout`` reads a column that is not there.
    """

    def __init__(
        self,
        path: str,
        split: str = "train",
        fields: dict[str, str] | None = None,
        image_root: str | None = None,
        layout: Layout | None = None,
        subset: str | None = None,
        revision: str | None = None,
        columns: Sequence[str] = (),
        streaming: int = 0,
        num_frames: int = 8,
        asking: Asking | None = None,
    ) -> None:
        if layout is not None and fields:
            raise ValueError("DatasetPrompts has both fields and a layout; the layout names its columns itself.")
        self.path = path
        self.rows = Rows(path, split, subset, revision, image_root, tuple(columns), streaming)
        self.table = self.rows.open()
        self.layout = layout or Columns(fields or {}, self.table.columns, path, num_frames)
        self.asking = asking
        self._check_columns()
        self.images = StoredImages(self.table, self.layout)
        self._ids = StoredIds(range(len(self.table)), self._names)
        self._check_ids()

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, index: int, /) -> Prompt:
        """The prompt of a row; its images are opened once here, so that one that cannot be shown is named now.

        Raises:
            UnusablePromptError: If its question is empty or an image cannot be shown; the message names file and row.
        """
        index = range(len(self))[index]
        row = self.table.texts(self.layout.needs, [index])[0]
        name = self.layout.name(row, index)
        try:
            try:
                question = self.layout.read(row)
                self._check_words(question)
            except ValueError as error:
                raise ValueError(f"{self.table.where(index, name)}: {error}.") from error
            shown = self.images.shown_by(index, row)
        except ValueError as error:
            raise UnusablePromptError(name, str(error)) from error
        return Prompt(
            id=name,
            question=question.published if self.asking is None else self.asking.text(question),
            images=LazyImages(len(shown), partial(self.images.of, index)),
            answer=question.answer,
            kind=question.kind,
            cot=question.cot,
            meta=question.meta,
        )

    def ids(self) -> Sequence[str]:
        """The rows' ids."""
        return self._ids

    def contents(self) -> Contents:
        """Digests of the images as they are stored, made once and kept on disk until a file changes."""
        kept = cache_folder() / f"contents-{self._stamp()}.npz"
        if kept.is_file():
            with np.load(kept) as found:
                return Contents(found["digests"], found["counts"])
        made = Contents.of(self.images.digests(index, row) for index, row in self._rows())
        with replacing(kept) as file:
            np.savez(file, digests=made.digests, counts=made.counts)
        return made

    def _rows(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """All rows, read many at once."""
        for start in range(0, len(self), CHUNK):
            some = range(start, min(start + CHUNK, len(self)))
            yield from zip(some, self.table.texts(self.layout.needs, some), strict=True)

    def _stamp(self) -> str:
        """What changes with anything the digests are made of."""
        found = hashlib.blake2b(digest_size=16)
        files = [Path(file) for file in (*self.table.rows.files, self.path) if Path(file).is_file()]
        found.update(repr((VERSION, self.rows, len(self), [stamp(file) for file in files])).encode())
        found.update(repr((type(self.layout), sorted(vars(self.layout).items()))).encode())
        known = lru_cache(KNOWN)(self.images.stamp)  # neighbours often show the same image
        for index, row in self._rows():
            found.update("".join(map(known, self.images.files(index, row))).encode())
        return found.hexdigest()

    def _names(self, indices: Sequence[int]) -> list[str]:
        rows = self.table.texts(self.layout.naming, indices) if self.layout.naming else [{} for _ in indices]
        named = list(zip(rows, indices, strict=True))
        if empty := [index for row, index in named if any(row[column] in (None, "") for column in self.layout.naming)]:
            raise ValueError(
                f"{self.table.where(empty[0])}: its {', '.join(self.layout.naming)} is empty, but everything is joined "
                f"by id. Fill it in, or map another column: fields: {{id: COLUMN}}."
            )
        return [self.layout.name(row, index) for row, index in named]

    @staticmethod
    def _check_words(question: Question) -> None:
        """Refuse a row that asks nothing, or that has half a character (``\\ud83d``), which is not to be stored."""
        if not question.published.strip():
            raise ValueError("its question is empty; fill it in")
        for text in (question.published, question.answer, question.kind, question.cot):
            if text:
                text.encode()

    def _check_columns(self) -> None:
        for column in self.layout.needs:
            if column not in self.table.columns:
                raise ValueError(
                    f"{self.path} has no column {column!r}, which {type(self.layout).__name__} reads; its columns are "
                    f"{self.table.columns}. Name the right one in layout.init_args, or take another layout."
                )

    def _check_ids(self) -> None:
        if not self.layout.naming:
            return
        for first, second in twins(self._ids):
            named = ", ".join(map(repr, self.layout.naming))
            raise ValueError(
                f"{self.path}: rows {first} and {second} have the same {named}, {self._ids[first]!r}; ids must differ. "
                f"Mend the file, or map another column: fields: {{id: COLUMN}}."
            )
