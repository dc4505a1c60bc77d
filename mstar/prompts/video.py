"""Frames of a video: of a folder, of a file that moves, or of a container that PyAV decodes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import IO, Any

from PIL import Image, ImageSequence

from mstar.prompts.images import ImageError, inside, open_image, readable, still

CONTAINERS = {".mp4", ".mkv", ".webm", ".mov", ".avi", ".m4v"}
PICTURES = {".png", ".jpg", ".jpeg", ".webp", ".bmp"}


def open_frames(value: Any, num: int, root: Path, where: object) -> list[Image.Image]:
    """Frames of a video as RGB, evenly spread: each the middle of its share of the time.

    Args:
        value: A list of frames, as images are stored or their paths; the path of a folder of frames, ordered by name;
            or the path or bytes of a file that moves (GIF, WebP, APNG) or of a container (``.mp4``, …).
        num: How many at most; a shorter video gives all it has.
        root: Folder that paths are relative to; they may not leave it.
        where: File and row, for messages.

    Raises:
        ValueError: If it cannot be read, or has no frames.
        ImportError: If it is a container and PyAV is not installed.
    """
    if value is None:
        return []
    if isinstance(value, list | tuple):
        return [open_image(value[i], root, where) for i in spread(len(value), num)]
    stored, path = (value.get("bytes"), value.get("path")) if isinstance(value, dict) else (None, value)
    if stored is None and path is None:
        raise ImageError(f"{where}: a video has neither bytes nor a path. Fill the cell in, or empty it.")
    if stored is None and os.path.isdir(root / str(path)):
        return _of_folder(str(path), num, root, where)
    source = BytesIO(stored) if stored is not None else inside(root, path, where)
    if Path(str(path)).suffix.lower() in CONTAINERS:
        return _of_container(source, num, where)
    with readable(where, "Give a folder of frames, or a file that moves."), Image.open(source) as image:
        chosen = set(spread(getattr(image, "n_frames", 1), num))  # Pillow: "not all images have this attribute"
        return [still(frame, where) for i, frame in enumerate(ImageSequence.Iterator(image)) if i in chosen]


def spread(total: int, num: int) -> list[int]:
    """Which of ``total`` frames are shown.

    >>> spread(100, 4), spread(3, 8), spread(5, 1)
    ([12, 37, 62, 87], [0, 1, 2], [2])
    """
    if total <= num:
        return list(range(total))
    return [(2 * i + 1) * total // (2 * num) for i in range(num)]


def _of_folder(path: str, num: int, root: Path, where: object) -> list[Image.Image]:
    folder = inside(root, path, where, folder=True)
    files = sorted(file.name for file in folder.iterdir() if file.suffix.lower() in PICTURES)
    if not files:
        raise ImageError(f"{where}: the folder {path!r} has no frames ({', '.join(sorted(PICTURES))}). Fill it.")
    return [open_image(f"{path}/{files[i]}", root, where) for i in spread(len(files), num)]


def _of_container(source: Path | IO[bytes], num: int, where: object) -> list[Image.Image]:
    """Decoded twice: once to count, for what containers say of their length is not to be relied on."""
    try:
        import av
    except ImportError as error:
        raise ImportError(
            f"{where}: a video file needs PyAV ( pip install -e '.[video]'). Or give folders of frames."
        ) from error
    try:
        chosen = spread(sum(1 for _ in _decoded(av, source)), num)
        found = [
            frame.to_image()
            for index, frame in enumerate(islice(_decoded(av, source), chosen[-1] + 1 if chosen else 0))
            if index in set(chosen)
        ]
    except av.FFmpegError as error:
        raise ImageError(f"{where}: a video cannot be read ({error}). Fetch it again.") from error
    if not found:
        raise ImageError(f"{where}: a video has no frames. Fetch it again.")
    return [still(image, where) for image in found]


def _decoded(av: Any, source: Path | IO[bytes]) -> Iterator[Any]:
    if not isinstance(source, Path):
        source.seek(0)
    with av.open(str(source) if isinstance(source, Path) else source) as container:
        if not container.streams.video:
            return
        yield from container.decode(video=0)
