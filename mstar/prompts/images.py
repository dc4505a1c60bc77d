"""Open the images of a row, however a data set stores them."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, overload

import numpy as np
from PIL import Image

MAX_PIXELS = 2**26
"""Pixels an image may have, 67 million: 200 MB once decoded. A file of a few kilobytes can claim billions."""
SEVERAL = frozenset({"MPO", "TIFF", "ICO", "PSD"})
"""Formats in which cameras, scanners and editors put previews or pages behind the one image that is meant."""
PROGRAMS = frozenset({"EPS"})
"""Formats that are programs: Pillow has another program (Ghostscript) run them."""
BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error, zlib.error)
"""What Pillow's readers raise on bytes that are not what they claim to be."""


def open_image(value: Any, root: Path, where: object) -> Image.Image:
    """The image a cell holds, as RGB.

    Args:
        value: A decoded image, Hugging Face's struct of ``bytes`` and ``path``, bytes, or a path.
        root: Folder that paths are relative to; they may not leave it.
        where: File and row, for messages.

    Raises:
        ValueError: If it cannot be read, is too large, moves, or its path leaves the root.
    """
    if isinstance(value, Image.Image):
        return still(moveless(value, where), where)
    if not isinstance(value, dict):  # as Parquet has it that was not written by `datasets`
        value = {"bytes": value, "path": None} if isinstance(value, bytes) else {"bytes": None, "path": value}
    stored, path = value.get("bytes"), value.get("path")
    if stored is None and path is None:
        raise ValueError(f"{where}: an image has neither bytes nor a path. Fill the cell in, or empty it.")
    source = inside(root, path, where) if stored is None else BytesIO(stored)
    hint = (
        f"Paths are relative to image_root ({root}); set it to the folder that holds them."
        if stored is None
        else "Its bytes are in the file: fetch it again."
    )
    with readable(where, hint), Image.open(source) as image:
        return still(moveless(image, where), where)


@contextmanager
def readable(where: object, hint: str) -> Iterator[None]:
    """Say where an image stands that Pillow cannot read, and what to do."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ValueError(f"{where}: an image is too large to be opened ({error}). Make it smaller.") from error
    except ImageError:
        raise
    except BROKEN as error:
        raise ImageError(f"{where}: an image cannot be read ({error}). {hint}") from error


class ImageError(ValueError):
    """An image that cannot be shown to a model; the message says where it stands."""


def still(image: Image.Image, where: object) -> Image.Image:
    """One picture in RGB: of a file that moves, the frame it stands at.

    Raises:
        ImageError: If it is too large, is a program, or holds numbers that have no scale.
    """
    if image.format in PROGRAMS:
        raise ImageError(f"{where}: an image is a program ({image.format}), which is not run. Save it as PNG.")
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"{where}: an image has {width:,} × {height:,} pixels, more than the {MAX_PIXELS:,} that are opened. "
            f"Make it smaller: models look at a few million."
        )
    if image.mode in ("I", "F"):
        raise ImageError(f"{where}: an image holds numbers without a scale (mode {image.mode}). Save it as 8-bit RGB.")
    if image.mode.startswith("I;16"):  # Pillow would clip nearly all of it to white
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    return image.convert("RGB")


def moveless(image: Image.Image, where: object) -> Image.Image:
    """The image, unless it moves.

    Raises:
        ImageError: If it has several frames of equal standing.
    """
    frames = getattr(image, "n_frames", 1)  # Pillow: "not all images have this attribute"
    if frames > 1 and image.format not in SEVERAL:
        raise ImageError(
            f"{where}: an image moves ({frames} frames of {image.format}). Save the frame that is meant, or map it as "
            f"a video."
        )
    return image


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


def inside(root: Path, value: Any, where: object, folder: bool = False) -> Path:
    """The file, or the folder, that a path below ``root`` names.

    Raises:
        ValueError: If it lies elsewhere, or is an address or another kind of thing.
    """
    name = str(value)[:200]
    if "://" in str(value):
        raise ValueError(
            f"{where}: image {name!r} is an address; nothing is fetched while a run reads its prompts. "
            f"Download the images, set image_root to their folder, and give paths."
        )
    if "\0" in str(value):
        raise ValueError(f"{where}: image {name!r} is no path. Paths are relative to image_root ({root}).")
    try:
        file = (root / str(value)).resolve()
        wrong = file.exists() and not (file.is_dir() if folder else file.is_file())
    except (OSError, RuntimeError) as error:  # the name is too long, a folder is closed, links lead in a circle
        raise ValueError(
            f"{where}: image {name!r} cannot be looked up ({error.args[-1]}). Paths are relative to image_root "
            f"({root})."
        ) from error
    if not file.is_relative_to(root.resolve()):
        raise ValueError(
            f"{where}: image {name!r} lies outside image_root ({root}). Set image_root to a folder that holds "
            f"all images (links are followed)."
        )
    if wrong:
        raise ValueError(f"{where}: image {name!r} is no file. Paths are relative to image_root ({root}).")
    return file
