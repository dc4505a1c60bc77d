"""Open the images of a row, however a data set stores them."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image


def open_image(value: Any, root: Path, where: str) -> Image.Image:
    """The image a cell holds, as RGB.

    Args:
        value: A decoded image, Hugging Face's struct of ``bytes`` and ``path``, or a path.
        root: Folder that paths are relative to; they may not leave it.
        where: File and row, for messages.

    Raises:
        ValueError: If it cannot be read, or its path leaves the root.
    """
    if isinstance(value, Image.Image):
        return value.convert("RGB")
    if not isinstance(value, dict):
        value = {"bytes": None, "path": value}  # as Parquet has it that was not written by `datasets`
    stored = value["bytes"]
    try:
        with Image.open(BytesIO(stored) if stored else inside(root, value["path"], where)) as image:
            return image.convert("RGB")
    except OSError as error:
        raise ValueError(
            f"{where}: an image cannot be read ({error}). "
            + (
                "Its bytes are in the file: fetch it again."
                if stored
                else f"Paths are relative to image_root ({root}); set it to the folder that holds them."
            )
        ) from error


def inside(root: Path, value: Any, where: str) -> Path:
    """The file that a path below ``root`` names.

    Raises:
        ValueError: If it lies elsewhere.
    """
    file = (root / str(value)).resolve()
    if not file.is_relative_to(root.resolve()):
        raise ValueError(
            f"{where}: image {str(value)!r} lies outside image_root ({root}). Set image_root to a folder that holds "
            f"all images (links are followed)."
        )
    return file


def listed(value: Any) -> Sequence[Any]:
    """The images of a cell that holds none, one or several.

    >>> listed(None), listed("a.png"), listed(["a.png", "b.png"])
    ((), ('a.png',), ['a.png', 'b.png'])
    """
    if value is None:
        return ()
    return value if isinstance(value, list | tuple) else (value,)
