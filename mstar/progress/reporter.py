"""What phases report to: it counts, times, and passes on to a display."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import ProgressBar
from torch import Tensor

from mstar.progress.display import Display, Off
from mstar.progress.tally import Tally
from mstar.types import Group


class Phase:
    """A phase at work: tells what got done. Made by ``Reporter.phase``."""

    def __init__(self, reporter: Reporter, tally: Tally) -> None:
        self.tally = tally
        self._reporter = reporter

    def add(self, done: int, responses: int = 0, tokens: int | Tensor = 0, loss: Tensor | None = None) -> None:
        """Something got done."""
        self.tally.add(done, responses, tokens)
        self.tally.loss = loss
        self._reporter.refresh()

    def add_groups(self, groups: Sequence[Group]) -> None:
        """Groups got done: sampled, or judged."""
        self.tally.add_groups(groups)
        self._reporter.refresh()


class Reporter:
    """Keeps the phases that are at work, one within another, and the seconds that each outermost one took.

    A call a group or batch, nothing a token: 5 µs of CPU for a group of 16 responses.

    Args:
        display: Where it is shown.
    """

    def __init__(self, display: Display) -> None:
        self.display = display
        self.seconds: dict[str, float] = {}
        """Of phases that stand within no other, by name, since it was last emptied."""
        self._open: list[Tally] = []
        self._paused: dict[str, Tally] = {}
        self._since = time.monotonic()

    @contextmanager
    def phase(self, name: str, total: int, done: int | None = None, unit: str = "groups") -> Iterator[Phase]:
        """Around a phase, or a part of one: entered again before it is complete, it goes on.

        Args:
            name: In a word or two.
            total: All there is to do, on this rank.
            done: What is done before it begins; ``None``: nothing, or what it had done when it was left.
            unit: What is counted.
        """
        tally = self._tally(name, total, done, unit)
        self.refresh()
        self._open.append(tally)
        self.refresh()
        try:
            yield Phase(self, tally)
        finally:
            self.refresh()
            self._open = [other for other in self._open if other is not tally]
            if not self._open and tally.complete:
                self.display.finish(tally)
                self._paused.pop(name, None)
            self.display.show(self._open)

    def refresh(self) -> None:
        """Let time pass for what is at work, and show it."""
        now = time.monotonic()
        passed, self._since = now - self._since, now
        for tally in self._open:
            tally.seconds += passed
        if self._open:
            name = self._open[0].name
            self.seconds[name] = self.seconds.get(name, 0.0) + passed
            self.display.show(self._open)

    def _tally(self, name: str, total: int, done: int | None, unit: str) -> Tally:
        found = self._paused.get(name)
        if found is None or done is not None or found.total != total or found.complete:
            found = self._paused[name] = Tally(name, total, done or 0, unit)
        return found


QUIET = Reporter(Off())
"""For whoever runs without a trainer, and for trainers with another progress bar or none."""


class ReportingBar(ProgressBar):
    """A progress bar of Lightning's that phases outside Lightning's loops report to."""

    reporter: Reporter


def reporter_of(trainer: Trainer) -> Reporter:
    """What phases of a run report to."""
    bar = trainer.progress_bar_callback
    return bar.reporter if isinstance(bar, ReportingBar) else QUIET
