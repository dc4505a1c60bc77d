"""When one of several ranks fails: the others end at once, and its error is the last thing said."""

from __future__ import annotations

import signal
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lightning.pytorch import Trainer
from lightning.pytorch.strategies.launchers import _SubprocessScriptLauncher

from mstar.files import read_json, write_json


@contextmanager
def first_failure_last(trainer: Trainer, folder: Path) -> Iterator[None]:
    """Around a command of several ranks: note each one's failure in ``folder``, and say on rank 0 which came first.

    A rank that waits for one that is gone fails too, with "connection closed by peer": a consequence, printed last by
    Lightning and read first by people. With NCCL it would not even fail, but wait for a time-out.
    """
    noted = folder / f".failed-{trainer.global_rank}.json"
    noted.unlink(missing_ok=True)
    try:
        yield
    except Exception as error:
        if trainer.world_size == 1:
            raise
        write_json(noted, {"rank": trainer.global_rank, "time": time.time(), "error": _told(error)})
        if not trainer.is_global_zero:
            raise
        deaths = _end_others(trainer)
        traceback.print_exc()
        ranks = range(trainer.world_size)  # an earlier run may have had more, whose notes are still there
        notes = [read_json(note) for rank in ranks if (note := folder / f".failed-{rank}.json").is_file()]
        earliest = min(notes, key=lambda note: note["time"])
        first = f"rank {earliest['rank']} failed first: {earliest['error']}"
        sys.exit(f"{deaths or first}\nThe same command goes on from what is on disk.")


def _told(error: Exception) -> str:
    notes = "".join(f"\n{note}" for note in getattr(error, "__notes__", []))
    return f"{type(error).__name__}: {error}{notes}"


def _end_others(trainer: Trainer) -> str:
    """Kill the ranks that this one started; say which of them had been killed by a signal before, if one had."""
    launcher = trainer.strategy.launcher
    if not isinstance(launcher, _SubprocessScriptLauncher):
        return ""
    codes = {rank: process.poll() for rank, process in enumerate(launcher.procs, start=1)}
    launcher.kill(signal.SIGKILL)
    numbers = {rank: -code for rank, code in codes.items() if code is not None and code < 0}
    names = {rank: signal.Signals(number).name for rank, number in numbers.items()}
    return "; ".join(f"rank {rank} was killed by {name} (out of memory?)" for rank, name in names.items())
