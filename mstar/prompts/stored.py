"""The images of stored rows: structs, paths, base64 in a TSV, or frames of a video."""

from __future__ import annotations

import ast
import os
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from PIL import Image

from mstar.layouts.layout import Clip, Layout
from mstar.prompts.contents import asked, digest
from mstar.prompts.images import inside, open_image, readable
from mstar.prompts.records import stamp
from mstar.prompts.rows import Place, Table
from mstar.prompts.video import open_frames

REFERENCE = (
    64  # characters; a TSV cell no longer than this names the row that has the image (VLMEvalKit, image_base.py)
)

KNOWN = 4096  # digests of files that are kept


class StoredImages:
    """Opens the images of a table's rows.

    Args:
        table: The rows.
        layout: Which columns name a row and hold its images.
    """

    def __init__(self, table: Table, layout: Layout) -> None:
        self.table = table
        self.layout = layout
        self._known: dict[str, int] = {}

    def of(self, number: int) -> tuple[Image.Image, ...]:
        """The images of a row of this number; see ``shown_by``."""
        return self.shown_by(number, self.table.texts(self.layout.needs, [number])[0])

    def shown_by(self, number: int, row: Mapping[str, Any]) -> tuple[Image.Image, ...]:
        """A row's images as RGB; none where the cell is empty.

        Raises:
            ValueError: If one cannot be read; the message names file, row and id.
        """
        where = Place(self.table, number, self.layout.name(row, number))
        return tuple(image for value in self._shown(row, where) for image in self._opened(value, where))

    def digests(self, number: int, row: Mapping[str, Any] | None = None) -> list[int]:
        """Digests of a row's images as they are stored; none is decoded. Of a row without images, of its question.

        A row that cannot be read has a digest of its own: the prompt is dropped when it is asked for.
        """
        where = f"{self.table.path}, row {number}"
        row = self.table.texts(self.layout.needs, [number])[0] if row is None else row
        try:
            parts = [self._parts(value, where) for value in self._shown(row, where)]
            found = [self._digest(part, where) for part in parts if part]
            return found or [asked(self.layout.read(row).published)]
        except ValueError:
            return [digest(b"unusable", where.encode())]

    def files(self, number: int, row: Mapping[str, Any]) -> list[str]:
        """A row's images that are files of their own, as the row names them; none if it cannot be read."""
        where = f"{self.table.path}, row {number}"
        try:
            parts = [part for value in self._shown(row, where) for part in self._parts(value, where)]
        except ValueError:
            return []
        return [part for part in parts if isinstance(part, str)]

    def stamp(self, name: str) -> str:
        """What changes when an image's file does; empty if it is not there."""
        try:
            return stamp(self.table.root / name)
        except (OSError, ValueError):
            return ""

    def _shown(self, row: Mapping[str, Any], where: object) -> Sequence[Any]:
        """What a row shows."""
        if not self.table.encoded:
            return self.layout.shown(row)
        texts = [text for cell in self.layout.shown(row) for text in self._texts(str(cell), where)]
        return [{"bytes": _decoded(text, where), "path": None} for text in texts]

    def _digest(self, parts: Sequence[bytes | str], where: object) -> int:
        """Of an image, that of its bytes; of a clip of several frames, of theirs."""
        found = [self._file_digest(part, where) if isinstance(part, str) else digest(part) for part in parts]
        return found[0] if len(found) == 1 else digest(*(part.to_bytes(8, "big") for part in found))

    def _file_digest(self, name: str, where: object) -> int:
        """Kept for a while: neighbours often show the same image."""
        if name not in self._known:
            if len(self._known) > KNOWN:
                self._known.clear()
            with readable(where, f"Paths are relative to image_root ({self.table.root})."):
                self._known[name] = digest(inside(self.table.root, name, where).read_bytes())
        return self._known[name]

    def _parts(self, value: Any, where: object) -> list[bytes | str]:
        """What a value is stored as: bytes, or names of files relative to the root; several for a clip's frames."""
        stored = value.stored if isinstance(value, Clip) else value
        if isinstance(stored, list | tuple):
            return [part for frame in stored for part in self._parts(frame, where)]
        if isinstance(stored, Mapping):
            stored = stored.get("path") if stored.get("bytes") is None else stored["bytes"]
        if stored is None or isinstance(stored, bytes):
            return [] if stored is None else [stored]
        if isinstance(value, Clip) and os.path.isdir(self.table.root / str(stored)):
            folder = inside(self.table.root, stored, where, folder=True)
            return sorted(f"{stored}/{file.name}" for file in folder.iterdir() if file.is_file())
        return [str(stored)]

    def _opened(self, shown: Any, where: object) -> list[Image.Image]:
        if isinstance(shown, Clip):
            return open_frames(shown.stored, shown.num_frames, self.table.root, where)
        return [open_image(shown, self.table.root, where)]

    def _texts(self, cell: str, where: object) -> list[str]:
        """Base64 texts of a TSV cell: one, a list of them, or those of the row it names."""
        if 0 < len(cell) <= REFERENCE:
            if cell not in self._numbers:
                raise ValueError(f"{where}: its image is that of row {cell!r}, which is not there. Fetch it again.")
            row = self.table.texts(self.layout.needs, [self._numbers[cell]])[0]
            cell = "".join(map(str, self.layout.shown(row)))
        if cell.startswith("["):
            try:
                return [str(text) for text in ast.literal_eval(cell)]
            except (
                SyntaxError,
                TypeError,
                ValueError,
                RecursionError,
                MemoryError,
            ) as error:  # the parser's own limits
                raise ValueError(f"{where}: its images are no list of base64 texts. Fetch it again.") from error
        return [cell] if cell else []

    @cached_property
    def _numbers(self) -> Mapping[str, int]:
        rows = self.table.texts(self.layout.naming, range(len(self.table)))
        return {self.layout.name(row, number): number for number, row in enumerate(rows)}


def _decoded(text: str, where: object) -> bytes:
    try:
        return b64decode(text, validate=True)
    except Base64Error as error:
        raise ValueError(f"{where}: an image cannot be read ({error}). It should be base64: fetch it again.") from error
