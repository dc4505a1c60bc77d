"""Where progress is shown: a bar in a terminal, lines elsewhere, or nowhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Column

from mstar.progress.tally import Tally, told, told_all


class Display(Protocol):
    """Shows the phases at work, outermost first. Told often, it decides itself how often it shows something."""

    def show(self, tallies: Sequence[Tally]) -> None:
        """Take note of what is at work; nothing is if it is empty."""
        ...

    def finish(self, tally: Tally) -> None:
        """A phase that stands within no other is over."""
        ...

    def say(self, text: str) -> None:
        """Print something, a bar or not."""
        ...


class Off:
    """Shows nothing: other ranks than the first, and whoever asked for quiet."""

    def show(self, tallies: Sequence[Tally]) -> None:
        """Nothing."""

    def finish(self, tally: Tally) -> None:
        """Nothing."""

    def say(self, text: str) -> None:
        """Nothing."""


class Lines:
    """A line every so often, and one when a phase is over: for logs.

    A thread of its own says that a phase is alive in which nothing was counted for long.

    Args:
        every: Seconds between two lines of a phase, > 0.
        shortest: Seconds from which a phase that is over gets a line.
        write: Takes a line with its end; ``None`` is standard error, as it is when something is written.
        suffix: Ends every line: whose figures they are.
    """

    def __init__(
        self,
        every: float = 30.0,
        shortest: float = 1.0,
        write: Callable[[str], object] | None = None,
        suffix: str = "",
    ) -> None:
        if every <= 0:
            raise ValueError(f"Progress.every is {every}; give seconds above 0, for instance 30.")
        self.every = every
        self.shortest = shortest
        self.write = write
        self.suffix = suffix
        self._tallies: tuple[Tally, ...] = ()
        self._due = time.monotonic() + every
        self._lock = threading.Lock()
        self._over: threading.Event | None = None
        """Ends the thread; ``None`` while there is none. Each has its own: one that is to end may do so late."""

    def show(self, tallies: Sequence[Tally]) -> None:
        """Write a line if one is due."""
        self._tallies = tuple(tallies)
        if not tallies:
            if self._over:
                self._over.set()
            self._over = None
            return
        if self._over is None:
            self._over = threading.Event()
            threading.Thread(target=self._beat, args=(self._over,), name="progress", daemon=True).start()
        self._write_if_due()

    def finish(self, tally: Tally) -> None:
        """Write how it went, unless it was over at once."""
        if tally.seconds >= self.shortest:
            self.say(told(tally))

    def say(self, text: str) -> None:
        """Write it."""
        with self._lock:
            self._due = time.monotonic() + self.every
            self._put(text)

    def _beat(self, over: threading.Event) -> None:
        while not over.wait(max(0.01, self._due - time.monotonic())):
            self._write_if_due()

    def _write_if_due(self) -> None:
        if time.monotonic() < self._due:
            return
        with self._lock:
            if self._tallies and time.monotonic() >= self._due:  # the other thread may have been first
                self._due = time.monotonic() + self.every
                self._put(told_all(self._tallies))

    def _put(self, text: str) -> None:
        lines = "".join(f"{line}{self.suffix}\n" for line in text.splitlines())
        (self.write or _to_stderr)(lines)


class Bar:
    """One bar of Rich's, in a terminal, with what `told_all` says beside it; a phase that is over leaves its line.

    Args:
        console: The terminal.
        suffix: Ends every line: whose figures they are.
    """

    def __init__(self, console: Console | None = None, suffix: str = "") -> None:
        self.console = console or Console(stderr=True, highlight=False)
        self.suffix = suffix
        self._bar: Progress | None = None
        self._shown = 0
        self._due = 0.0

    def show(self, tallies: Sequence[Tally]) -> None:
        """Move the bar; it comes with the first phase and goes with the last."""
        if not tallies:
            if self._bar:
                self._bar.stop()
            self._bar = None
            return
        if self._bar is None:
            text = TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, ratio=1))
            self._bar = Progress(BarColumn(20), text, console=self.console, transient=True, expand=True)
            self._bar.add_task("")
            self._bar.start()
        entered = len(tallies) != self._shown
        if not entered and time.monotonic() < self._due:
            return
        self._shown, self._due = len(tallies), time.monotonic() + 0.25
        outer = tallies[0]
        self._bar.update(
            self._bar.task_ids[0],
            total=max(outer.total, 1),
            completed=outer.done,
            description=f"{told_all(tallies)}{self.suffix}",
            refresh=entered,
        )

    def finish(self, tally: Tally) -> None:
        """Leave its line above the bar."""
        self.say(told(tally))

    def say(self, text: str) -> None:
        """Print above the bar."""
        self.console.print(*(f"{line}{self.suffix}" for line in text.splitlines()), sep="\n", markup=False)


def _to_stderr(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
