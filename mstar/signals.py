"""Being told to stop: finish the group at work, write a checkpoint, leave; on a cluster, ask to be started again."""

from __future__ import annotations

import logging
import os
import subprocess
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.connectors.signal_connector import _SignalConnector
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities.exceptions import SIGTERMException

log = logging.getLogger(__name__)
JUST_BEGUN = {"ready": 1, "started": 1, "processed": 0, "completed": 0}
"""Where a validation stands before its first batch is measured; from there Lightning validates anew."""


class Signals(_SignalConnector):
    """Notes that the run was told to stop, by SIGTERM or by SLURM's requeue signal, and does nothing else.

    Lightning's own handlers broadcast, and for SLURM write a checkpoint, at whatever instruction the signal arrives:
    among a collective's, or in the middle of a step. Here the run looks at the note where it can stop: behind a group
    (`write_groups`), behind an optimizer step or a batch of a validation (`Leave`).
    """

    def __init__(self, trainer: Trainer) -> None:
        super().__init__(trainer)
        self.told = False
        self.requeue = False

    def _sigterm_notifier_fn(self, signum: int, _: FrameType) -> None:
        launcher = self.trainer.strategy.launcher
        if not self.told and launcher is not None:
            launcher.kill(signum)
        self.told = True

    def _slurm_sigusr_handler_fn(self, signum: int, frame: FrameType) -> None:
        self.requeue = True
        self._sigterm_notifier_fn(signum, frame)


def told_to_stop(trainer: Trainer) -> bool:
    """Whether this process was told to stop."""
    signals = trainer._signal_connector
    return signals.told if isinstance(signals, Signals) else trainer.received_sigterm


class Leave(Callback):
    """Leaves where a run can stop, with ``checkpoints/last.ckpt`` written, and all ranks at the same place.

    Sampling and labelling need no checkpoint: what is finished is in the store.
    """

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Leave behind an optimizer step, as ``ModelCheckpoint`` saves one: gradients are in no checkpoint."""
        if not trainer.fit_loop.epoch_loop._should_accumulate() and self._told(trainer):
            self._save(trainer)
            raise SIGTERMException

    def on_validation_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any, **__: Any) -> None:
        """Leave; the epoch is saved so that all of it is validated anew."""
        if not self._told(trainer):
            return
        if trainer.state.fn == TrainerFn.FITTING:
            progress = trainer.fit_loop.epoch_loop.val_loop.batch_progress
            for part in ("total", "current"):
                progress.load_state_dict({**progress.state_dict(), part: JUST_BEGUN})
            self._save(trainer)
        raise SIGTERMException

    def on_test_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any, **__: Any) -> None:
        """Leave."""
        if self._told(trainer):
            raise SIGTERMException

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Have SLURM start the job again, if that is what it asked for."""
        signals = trainer._signal_connector
        asked = isinstance(signals, Signals) and signals.requeue
        if asked and isinstance(exception, SIGTERMException) and trainer.is_global_zero:
            requeue()

    def _told(self, trainer: Trainer) -> bool:
        """Whether any rank was told."""
        told = told_to_stop(trainer)
        if trainer.world_size == 1:
            return told
        count = torch.tensor(float(told), device=trainer.strategy.root_device)
        return bool(trainer.strategy.reduce(count, reduce_op="sum") > 0)

    def _save(self, trainer: Trainer) -> None:
        trainer.save_checkpoint(Path(trainer.default_root_dir) / "checkpoints" / "last.ckpt")


def requeue() -> None:
    """Ask SLURM to start this job again."""
    array, job = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ["SLURM_JOB_ID"]
    name = f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}" if array else job
    done = subprocess.run(["scontrol", "requeue", name], capture_output=True, text=True)
    if done.returncode:
        log.warning("scontrol requeue %s failed: %s", name, done.stderr.strip())
