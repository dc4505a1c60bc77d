"""The images of stored rows: structs, paths, base64 in a TSV, or frames of a video."""

from __future__ import annotations

import ast
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from PIL import Image

from mstar.layouts.layout import Clip, Layout
from mstar.prompts.images import open_image
from mstar.prompts.rows import Table
from mstar.prompts.video import open_frames

REFERENCE = (
    64  # characters; a TSV cell no longer than this names the row that has the image (VLMEvalKit, image_base.py)
)


class StoredImages:
    """Opens the images of a table's rows.

    Args:
        table: The rows.
        layout: Which columns name a row and hold its images.
    """

    def __init__(self, table: Table, layout: Layout) -> None:
        self.table = table
        self.layout = layout

    def of(self, number: int) -> tuple[Image.Image, ...]:
        """The row's images as RGB; none where the cell is empty.

        Raises:
            ValueError: If one cannot be read; the message names file, row and id.
        """
        row = self.table.texts(self.layout.needs, [number])[0]
        where = self.table.where(number, self.layout.name(row, number))
        if not self.table.encoded:
            return tuple(image for shown in self.layout.shown(row) for image in self._opened(shown, where))
        cell = "" if self.layout.image is None else str(row[self.layout.image])
        stored = [{"bytes": _decoded(text, where), "path": None} for text in self._texts(cell, where)]
        return tuple(open_image(image, self.table.root, where) for image in stored)

    def _opened(self, shown: Any, where: str) -> list[Image.Image]:
        if isinstance(shown, Clip):
            return open_frames(shown.stored, shown.num_frames, self.table.root, where)
        return [open_image(shown, self.table.root, where)]

    def _texts(self, cell: str, where: str) -> list[str]:
        """Base64 texts of a TSV cell: one, a list of them, or those of the row it names."""
        if 0 < len(cell) <= REFERENCE:
            if cell not in self._numbers:
                raise ValueError(f"{where}: its image is that of row {cell!r}, which is not there. Fetch it again.")
            cell = str(self.table.cell(self._numbers[cell], str(self.layout.image)))
        if cell.startswith("["):
            return [str(text) for text in ast.literal_eval(cell)]
        return [cell] if cell else []

    @cached_property
    def _numbers(self) -> Mapping[str, int]:
        rows = self.table.texts(self.layout.ids, range(len(self.table)))
        return {self.layout.name(row, number): number for number, row in enumerate(rows)}


def _decoded(text: str, where: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except Base64Error as error:
        raise ValueError(f"{where}: an image cannot be read ({error}). It should be base64: fetch it again.") from error
