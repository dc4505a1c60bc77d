"""A stage that runs: one process group, its log, its lines on the terminal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from mstar.recipe import leash
from mstar.recipe.plan import Stage, by_hand
from mstar.recipe.record import Plan, begin_attempt, end_attempt, keep_alive


class StageError(RuntimeError):
    """A stage failed."""


class RunningStage:
    """A stage's process, started as it is made.

    It writes straight into its log, which is complete even if the runner dies; the terminal shows what arrives there.

    Args:
        stage: What runs.
        folder: The stage's folder; the log and the record of attempts are kept in it.
        argv: The command line.
        plan: Goes into the record.
        threads: OpenMP threads.
        lock: File descriptor of the run folder's lock, held until the last process of the stage is gone.
    """

    def __init__(self, stage: Stage, folder: Path, argv: Sequence[str], plan: Plan, threads: int, lock: int) -> None:
        self.stage = stage
        self.folder = folder
        self.argv = list(argv)
        self.plan = plan
        self.log = folder / "log.txt"
        self.by_hand = by_hand(argv, threads)
        folder.mkdir(parents=True, exist_ok=True)
        number = begin_attempt(folder, plan)
        self._started = self._touched = time.monotonic()
        self._shown = self.log.stat().st_size if self.log.exists() else 0
        self._rest = b""
        with self.log.open("ab") as log:
            log.write(f"# attempt {number}, {time.strftime('%Y-%m-%d %H:%M:%S')}\n$ {self.by_hand}\n".encode())
            log.flush()
            self._process = self._start(log.fileno(), threads, lock)

    def poll(self) -> int | None:
        """Show what is new in the log; once the stage has ended, record its time and give its exit code.

        Returns:
            The exit code, 128 + n if signal n ended it; ``None`` while it runs.
        """
        process, status, usage = os.wait4(self._process.pid, os.WNOHANG)
        self._show(final=process != 0)
        if process == 0:
            self._keep_alive()
            return None
        code = os.waitstatus_to_exitcode(status)
        self._process.returncode = code  # `Popen` did not see the wait and would warn of a process left running
        assert self._process.stdin is not None
        self._process.stdin.close()
        seconds = time.monotonic() - self._started
        end_attempt(self.folder, round(seconds, 3), round(usage.ru_utime + usage.ru_stime, 3), code)
        return code

    def send(self, number: int) -> None:
        """Send a signal to the stage and every process it has started."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(bytes([number]))
        except BrokenPipeError:
            return  # it ended in this moment

    def kill(self) -> None:
        """End the stage and every process it has started, without asking them."""
        self.send(signal.SIGKILL)

    def describe_failure(self, code: int) -> str:
        """Say that the stage failed, with the end of its log and what to do next."""
        death = f"exited with {code}"
        if code - 128 in set(signal.Signals):
            death = f"was killed by {signal.Signals(code - 128).name}"
        with self.log.open(encoding="utf-8", errors="replace") as log:
            tail = "".join(f"    {line.rstrip()}\n" for line in deque(log, maxlen=30))
        return (
            f"stage {self.stage.name} {death}. The end of {self.log}:\n\n{tail}\n"
            f"To run it by hand:\n    {self.by_hand}\nOnce it is mended, the same recipe goes on from this stage."
        )

    def _start(self, log: int, threads: int, lock: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", leash.__file__, *self.argv],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            bufsize=0,
            start_new_session=True,  # Ctrl-C reaches the runner alone, which passes it on
            pass_fds=(lock,),
            env={**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONUNBUFFERED": "1"},
        )

    def _show(self, final: bool) -> None:
        with self.log.open("rb") as log:
            log.seek(self._shown)
            new = log.read()
        self._shown += len(new)
        *lines, self._rest = (self._rest + new).split(b"\n")
        if final and self._rest:
            lines.append(self._rest)
        for line in lines:
            text = line.decode(errors="replace").rstrip("\r").rpartition("\r")[2]  # a progress bar's last state
            print(f"{self.stage.name} | {text}", flush=True)

    def _keep_alive(self) -> None:
        if time.monotonic() - self._touched > 2:
            self._touched = time.monotonic()
            keep_alive(self.folder)
