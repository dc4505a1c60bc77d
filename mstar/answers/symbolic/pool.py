"""Workers that compare expressions, and are killed when they take too long."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import threading
import weakref
from typing import Any


class WorkerError(RuntimeError):
    """A comparison that did not come to an end: too long, too much memory, or the worker died."""


class WorkerPool:
    """Keeps a worker process for each thread that asks at the same time, at most ``size``, and starts them when needed.

    A limit is kept by the kernel (CPU time, address space) and by this side (wall time, four times as long), never by a
    signal handler: it works on any thread. A worker over a limit is killed and replaced.

    Args:
        size: Workers at the same time; a thread waits while all are busy.
        seconds: CPU seconds a comparison may take, > 0.
        megabytes: Address space of a worker, in MiB.
        start_seconds: Wall seconds that a worker may take to start.
    """

    def __init__(
        self, size: int = 2, seconds: float = 5.0, megabytes: int = 2048, start_seconds: float = 120.0
    ) -> None:
        self.seconds = seconds
        self.megabytes = megabytes
        self.start_seconds = start_seconds
        self._free: list[_Worker] = []
        self._lock = threading.Lock()
        self._slots = threading.BoundedSemaphore(size)

    def verify(self, gold: str, answer: str) -> bool | None:
        """Whether math-verify takes the answer for equal to the gold; ``None`` if the gold cannot be read.

        Raises:
            WorkerError: If it took more than a limit.
        """
        with self._slots:
            worker = self._take()
            try:
                said = worker.ask([gold, answer], 4 * self.seconds)
            except BaseException:
                worker.kill()
                raise
            with self._lock:
                self._free.append(worker)
        if isinstance(said, str):
            raise WorkerError(f"comparing {answer[:80]!r} with {gold[:80]!r}: {said}")
        return None if said is None else bool(said)

    def close(self) -> None:
        """End the workers; the next question starts new ones."""
        with self._lock:
            while self._free:
                self._free.pop().kill()

    def _take(self) -> _Worker:
        with self._lock:
            while self._free:
                worker = self._free.pop()
                if worker.owned and worker.process.poll() is None:
                    return worker
        return _Worker(self.seconds, self.megabytes, self.start_seconds)


class _Worker:
    """One process, asked one question at a time."""

    def __init__(self, seconds: float, megabytes: int, start_seconds: float) -> None:
        command = [sys.executable, "-m", "mstar.answers.symbolic.worker", str(seconds), str(megabytes)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
        )
        self.seconds = seconds
        self.megabytes = megabytes
        self.parent = os.getpid()
        weakref.finalize(self, _end, self.process)
        if self._read(start_seconds) != b"ready\n":
            assert self.process.stderr is not None
            self.process.kill()
            why = self.process.stderr.read().decode(errors="replace").strip().splitlines()
            raise WorkerError(
                f"a worker did not start: {why[-1] if why else 'no reason given'}. Try: pip install math-verify"
            )

    @property
    def owned(self) -> bool:
        """Whether this process started it; after a fork, two must not speak to one worker."""
        return self.parent == os.getpid()

    def ask(self, question: Any, wall_seconds: float) -> Any:
        """One answer.

        Raises:
            WorkerError: If there is none.
        """
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it died in between: nothing is read below
            self.process.stdin.write(json.dumps(question).encode() + b"\n")
            self.process.stdin.flush()
        line = self._read(wall_seconds)
        if not line.endswith(b"\n"):
            raise WorkerError(f"comparing {question[1][:80]!r} with {question[0][:80]!r} {self._why()}")
        return json.loads(line)

    def kill(self) -> None:
        """End it at once."""
        _end(self.process)

    def _why(self) -> str:
        """Why there is no answer: its time is up on this side or the kernel's, or it died of something else."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            if self.process.wait(timeout=0.2) != -signal.SIGPROF:
                return f"ended its worker, most likely for want of memory ({self.megabytes} MiB are allowed)"
        return f"took more than {self.seconds} s"

    def _read(self, wall_seconds: float) -> bytes:
        assert self.process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            return self.process.stdout.readline() if selector.select(wall_seconds) else b""


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            with contextlib.suppress(BrokenPipeError):  # what was still to be sent has no reader any more
                pipe.close()
