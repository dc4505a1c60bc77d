"""Small files that are either whole or absent: what a killed run leaves behind can be trusted."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

FULL = "free some space and run the same command again; what was finished is kept"
LOCKED = "make it writable, or give another folder (--trainer.default_root_dir, or --out of mstar run)"
HINTS = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), FULL),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST), LOCKED),
}
"""What to do about an error of the disk, by its number."""


def write_atomically(path: Path, data: bytes | str) -> None:
    """Write ``data`` to ``path`` so that a reader, or a rerun after a crash, sees the old file or the new one.

    Text is written as UTF-8. The folder must exist.

    Args:
        path: The file to write; replaced if it exists.
        data: Its whole content.
    """
    content = data.encode() if isinstance(data, str) else data
    with replacing(path) as file:
        file.write(content)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a file that takes the place of ``path`` once all is written to it and on disk, or leaves no trace.

    Raises:
        OSError: If the disk is full or the folder cannot be written; the message gives the way out.
    """
    with explained(path):
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
        try:
            with open(handle, "wb") as file:
                os.fchmod(file.fileno(), 0o644)  # mkstemp gives 0600, which would lock others out of a shared folder
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
            raise
        _sync_folder(path.parent)


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Say of an error that came from the disk and not from us what it means for the run and what to do."""
    try:
        yield
    except OSError as error:
        hint = HINTS.get(error.errno or 0)
        if hint is None or hint in str(error):
            raise
        raise OSError(error.errno, f"{os.strerror(error.errno or 0)}: {hint}", str(path)) from error


def checksum(path: Path) -> str:
    """BLAKE2 digest of a file, 32 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


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
