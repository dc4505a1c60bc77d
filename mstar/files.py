"""Small files that are either whole or absent: what a killed run leaves behind can be trusted."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any


def write_atomically(path: Path, data: bytes | str) -> None:
    """Write ``data`` to ``path`` so that a reader, or a rerun after a crash, sees the old file or the new one.

    Text is written as UTF-8. The folder must exist.

    Args:
        path: The file to write; replaced if it exists.
        data: Its whole content.
    """
    content = data.encode() if isinstance(data, str) else data
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    try:
        with open(handle, "wb") as file:
            os.fchmod(file.fileno(), 0o644)  # mkstemp gives 0600, which would lock others out of a shared run folder
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    _sync_folder(path.parent)


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        ValueError: If it is not JSON; the message names the file.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is not valid JSON ({error}). Remove it, or restore it from a copy.") from error


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON, atomically (see `write_atomically`)."""
    write_atomically(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def _sync_folder(folder: Path) -> None:
    """Make a rename in ``folder`` survive a power cut: the entry lives in the folder, not in the file."""
    if os.name != "posix":  # Windows cannot open a folder, and its rename needs no such help
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
