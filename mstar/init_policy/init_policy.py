"""What the three training methods share: taking over from the warm-up, and the moment an iteration begins."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from mstar.checkpoints import read_checkpoint
from mstar.init_policy.restore import restore_optimizers, restore_weights


class InitPolicy(Callback, ABC):
    """Takes a run over from the warm-up policy π⁰ and prepares each iteration (paper, Table 1: columns M and O).

    Args:
        warmup: Checkpoint of the warm-up run. Weights, optimizer, schedule and step count are taken from it when the
            run begins, so that ``max_steps`` counts the warm-up; ``None`` begins with the backbone as it is.
    """

    def __init__(self, warmup: str | None = None) -> None:
        self.warmup = warmup

    @abstractmethod
    def begin_iteration(self, trainer: Trainer, module: LightningModule) -> None:
        """Prepare weights and optimizer behind the iteration's rollout and before its first batch."""

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take over from the warm-up, unless the run is itself being resumed.

        Raises:
            ValueError: If the warm-up has a learning-rate schedule and this run has none, or the reverse.
        """
        if self.warmup is None or trainer.ckpt_path is not None:
            return
        checkpoint = self.read()
        restore_weights(trainer, pl_module, checkpoint)
        restore_optimizers(trainer, pl_module, checkpoint)
        schedules, states = trainer.lr_scheduler_configs, checkpoint["lr_schedulers"]
        if len(schedules) != len(states):
            raise ValueError(
                f"The warm-up ({self.warmup}) has {len(states)} learning-rate schedules, this run {len(schedules)}: "
                f"give model.lr_scheduler what the warm-up was trained with, for it runs on."
            )
        for schedule, state in zip(schedules, states, strict=True):
            schedule.scheduler.load_state_dict(state)
        self._count_on(trainer, checkpoint)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Begin the iteration: not in on_train_epoch_start, which Lightning leaves out after some resumes."""
        if batch_idx == 0:
            self.begin_iteration(trainer, pl_module)

    def read(self) -> dict[str, Any]:
        """The warm-up's checkpoint, without unpickling objects; tensors are read from disk when they are used.

        Raises:
            FileNotFoundError: If it is not there; the message says which stage makes it.
            ValueError: If it was saved in parts.
        """
        if self.warmup is not None and Path(self.warmup).is_dir():
            raise ValueError(
                f"{type(self).__name__}.warmup is {self.warmup!r}, a checkpoint in parts: save the warm-up's whole, "
                f"with save_distributed_checkpoint: false (ModelParallelStrategy) or state_dict_type: full (FSDP)."
            )
        if self.warmup is None or not Path(self.warmup).is_file():
            raise FileNotFoundError(
                f"{type(self).__name__}.warmup is {self.warmup!r}, which is no file: run the warm-up stage first, or "
                f"give the path of its checkpoints/best.ckpt."
            )
        return read_checkpoint(self.warmup, mmap=True)

    def _count_on(self, trainer: Trainer, checkpoint: dict[str, Any]) -> None:
        """Let the global step go on from the warm-up's; epochs count iterations and begin at 0."""
        loop = trainer.fit_loop.epoch_loop
        saved = checkpoint["loops"]["fit_loop"]
        loop.automatic_optimization.optim_progress.load_state_dict(
            saved["epoch_loop.automatic_optimization.optim_progress"]
        )
        loop._batches_that_stepped = saved["epoch_loop.state_dict"]["_batches_that_stepped"]


def fresh_optimizers(trainer: Trainer) -> None:
    """Forget moments and schedule positions: as if the optimizer had just been built."""
    for optimizer in trainer.optimizers:
        optimizer.state.clear()
    for config in trainer.lr_scheduler_configs:
        schedule = config.scheduler
        for group, rate in zip(schedule.optimizer.param_groups, schedule.base_lrs, strict=True):
            group["lr"] = group["initial_lr"] = rate
        schedule.last_epoch = -1
        schedule._step_count = 0
        schedule._initial_step()
