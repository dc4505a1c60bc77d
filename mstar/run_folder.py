"""The folder of a run belongs to one run at a time, and can be written."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from mstar.files import explained


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold a run folder; it is made if it is not there. The kernel lets go of it however the process ends.

    Raises:
        RuntimeError: If another process holds it.
        OSError: If it cannot be written; the message gives the way out.
    """
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RuntimeError(
                f"Another run is at work in {folder} (process {_holder(lock)}). Wait for it, stop it, or give another "
                f"folder: --trainer.default_root_dir."
            ) from None
        os.ftruncate(lock, 0)
        os.write(lock, str(os.getpid()).encode())
        yield
    finally:
        os.close(lock)


def _holder(lock: int) -> str:
    return os.pread(lock, 32, 0).decode(errors="replace") or "unknown"
