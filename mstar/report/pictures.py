"""Pictures as files, each written once however many prompts and iterations show it."""

from __future__ import annotations

import hashlib
from pathlib import Path

from PIL.Image import Image, Resampling

SMALL = 256 * 256
"""Pixels up to which a picture is kept as it is (PNG)."""
SIDE = 1024
"""Longest side of larger ones (WebP), in pixels."""


class Pictures:
    """A folder of pictures, named by what they show.

    Args:
        folder: Where they are written; made if needed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.names: set[str] = set()
        folder.mkdir(parents=True, exist_ok=True)

    def add(self, image: Image) -> str:
        """Write a picture, unless it is there, and give its file's name."""
        shown = image if image.mode in ("RGB", "RGBA", "L") else image.convert("RGB")
        digest = hashlib.blake2b(repr((shown.mode, shown.size)).encode() + shown.tobytes(), digest_size=12).hexdigest()
        small = shown.width * shown.height <= SMALL
        name = f"{digest}.{'png' if small else 'webp'}"
        if name not in self.names:
            self.names.add(name)
            if small:
                shown.save(self.folder / name, "PNG")
            else:
                reduced = shown.copy()
                reduced.thumbnail((SIDE, SIDE), Resampling.LANCZOS)
                reduced.save(self.folder / name, "WEBP", quality=85)
        return name
