"""How far a run is, and each iteration on one screen as it ends."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from typing import Any, Literal

import torch
from lightning.pytorch import LightningModule, Trainer

from mstar.callbacks.exploration import rollout_metrics
from mstar.datamodules.evolving import EvolvingDataModule
from mstar.evaluation import Evaluated
from mstar.modules.renderer import IGNORED
from mstar.progress import Phase, Reporter, ReportingBar
from mstar.progress.display import Bar, Display, Lines, Off
from mstar.progress.summary import summary

KS = (1, 2, 4, 8, 16)
Style = Literal["auto", "bar", "lines", "off"]


class Progress(ReportingBar):
    """Shows sampling, judging, temperature searches, step labels, training, validation and benchmarks.

    A bar in a terminal, else a line every ``every`` seconds and one as a phase ends; on standard error, by the first
    rank alone, which counts its own share and says that it is one of several. Every iteration ends with a page: accept
    rate, pass@k and reward-pass@k as they are logged, temperature, kept by question type, drops by reason, time by
    phase (of an iteration that was resumed: since then). ``mstar`` puts it into every run;
    ``--trainer.enable_progress_bar false`` leaves it out.

    Args:
        style: ``bar``, ``lines``, ``off``, or ``auto``: a bar where standard error is a terminal.
        every: Seconds between two lines of a phase.
    """

    def __init__(self, style: Style = "auto", every: float = 30.0) -> None:
        super().__init__()
        self.style = style
        self.every = every
        self.reporter = Reporter(Off())
        self._display: Display = Off()
        self._loop = ExitStack()
        self._phase: Phase | None = None
        self._validated = False
        Lines(every)  # refuses what is no time

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Choose where to show what; only now ranks know which they are."""
        ranks = trainer.world_size
        suffix = f" [rank 0 of {ranks}]" if ranks > 1 else ""
        self._display = display(self.style, self.every, suffix)
        self.enable()
        super().setup(trainer, pl_module, stage)  # disables it on other ranks

    def enable(self) -> None:
        """Show."""
        self.reporter.display = self._display

    def disable(self) -> None:
        """Show nothing; time is kept all the same."""
        self.reporter.display.show(())
        self.reporter.display = Off()

    def print(self, *args: Any, **kwargs: Any) -> None:
        """Print what Lightning's ``self.print`` is given."""
        self.reporter.display.say(str(kwargs.get("sep", " ")).join(map(str, args)))

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Begin with the first batch that is trained on: a run resumed in mid-epoch has no other beginning."""
        if self._phase is None:
            self._begin("training", int(trainer.num_training_batches), batch_idx, "batches")

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count a batch; what is on a device is not looked at, for that would wait for it."""
        if self._phase is not None:
            responses = sum(len(part["rows"]) for part in batch)
            tokens = torch.stack([(part["labels"] != IGNORED).sum() for part in batch]).sum()
            self._phase.add(1, responses, tokens, outputs["loss"].detach())
        if batch_idx + 1 >= trainer.num_training_batches:
            self._end()

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Training waits."""
        self._end()

    def on_validation_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Begin, unless it is the datamodule that measures, and reports."""
        if self._phase is None and not isinstance(batch, Evaluated):
            batches = trainer.num_val_batches
            self._begin("validation", int(sum(batches) if isinstance(batches, list) else batches), 0, "batches")

    def on_validation_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any, **__: Any) -> None:
        """Count a batch."""
        if self._phase is not None:
            self._phase.add(1)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """All is measured."""
        self._end()
        self._validated = True

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print the iteration's page, and begin to count time anew."""
        self._end()
        data = trainer.datamodule  # type: ignore[attr-defined]
        seconds, self.reporter.seconds = self.reporter.seconds, {}
        validated, self._validated = self._validated, False
        if trainer.is_global_zero and isinstance(data, EvolvingDataModule):
            logged = {name: float(value) for name, value in trainer.callback_metrics.items()}
            if not validated:  # Lightning keeps what an earlier iteration's validation logged
                logged = {name: value for name, value in logged.items() if not name.startswith("val/")}
            own = {f"rollout/{name}": value for name, value in rollout_metrics(data.groups, KS, None).items()}
            dropped = data.stage(trainer.current_epoch).dropped()
            self.reporter.display.say(summary(trainer.current_epoch, data.groups, own | logged, seconds, dropped))

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Leave the terminal as it was."""
        self._end()
        self.reporter.display.show(())

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """As after an exception."""
        self._end()
        self.reporter.display.show(())

    def _begin(self, name: str, total: int, done: int, unit: str) -> None:
        self._phase = self._loop.enter_context(self.reporter.phase(name, total, done, unit))

    def _end(self) -> None:
        self._loop.close()
        self._phase = None


def display(style: Style, every: float, suffix: str) -> Display:
    """Where progress is shown, by its name; a terminal that calls itself dumb gets lines."""
    if style == "auto":
        style = "bar" if sys.stderr.isatty() and os.environ.get("TERM") != "dumb" else "lines"
    if style == "bar":
        return Bar(suffix=suffix)
    return Lines(every, suffix=suffix) if style == "lines" else Off()
