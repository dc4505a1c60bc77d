"""A folder that is either whole or absent: made beside its place, and moved there when all of it is on disk."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mstar.files import explained


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Give an empty folder that takes the place of ``path`` if nothing is raised.

    What a killed attempt left beside it is removed first, but for an old folder that nothing has taken the place of.
    Files are readable by all who may read the folder: some libraries make them for their owner alone.

    Args:
        path: The folder to be; replaced if it exists.

    Raises:
        OSError: If the disk is full or the place cannot be written; the message gives the way out.
    """
    part, old = path.with_name(f".{path.name}.part"), path.with_name(f".{path.name}.old")
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _restore(old, path)
        for leftover in (part, old):
            shutil.rmtree(leftover, ignore_errors=True)
        part.mkdir()
    try:
        with explained(path):
            yield part
            _settle(part)
            if path.exists():
                path.rename(old)
            part.rename(path)
            _sync(path.parent)
    except BaseException:
        _restore(old, path)
        shutil.rmtree(part, ignore_errors=True)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _restore(old: Path, path: Path) -> None:
    """Put an old folder back if it was moved away and nothing has come in its place."""
    if old.exists() and not path.exists():
        old.rename(path)


def _settle(folder: Path) -> None:
    """Bring every file to the disk, readable."""
    for file in folder.rglob("*"):
        if file.is_file():
            file.chmod(0o644)
        _sync(file)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
