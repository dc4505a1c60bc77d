"""Open the images of a row, however a data set stores them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, overload

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


class LazyImages(Sequence[Image.Image]):
    """The images of a row, opened each time they are looked at: a list of prompts holds none of them.

    Args:
        num: How many there are.
        open_all: Opens them.
    """

    def __init__(self, num: int, open_all: Callable[[], Sequence[Image.Image]]) -> None:
        self.num = num
        self.open_all = open_all

    def __len__(self) -> int:
        return self.num

    @overload
    def __getitem__(self, index: int) -> Image.Image: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Image.Image]: ...

    def __getitem__(self, index: int | slice) -> Image.Image | Sequence[Image.Image]:
        return self.open_all()[index]

    def __iter__(self) -> Iterator[Image.Image]:
        return iter(self.open_all())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and (self is other or list(self) == list(other))

    __hash__ = None  # type: ignore[assignment]


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
