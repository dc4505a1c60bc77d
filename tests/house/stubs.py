"""What house tests plug in by class_path."""

from __future__ import annotations

from typing import Any, ClassVar

from lightning.pytorch import Callback, LightningModule, Trainer

from mstar.answers import Judgement
from mstar.types import Prompt


def even_length(text: str, prompt: Prompt) -> Judgement:
    """Likes responses of even length: about half of what a random policy writes."""
    good = len(text) % 2 == 0
    return Judgement("correct" if good else "wrong", text[-1:], "even" if good else "odd")


class Killed(Exception):  # noqa: N818 (it is no error)
    """Stands for a kill: nothing is saved any more."""


class KillAtStep(Callback):
    """Ends the run before the batch that follows an optimizer step.

    Args:
        step: Number of optimizer steps done.
    """

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Raise once the step is reached."""
        if trainer.global_step == self.step:
            raise Killed(f"step {self.step}")


class KillAtEpochEnd(Callback):
    """Ends the run behind an epoch, after its checkpoint was written.

    Args:
        epoch: From 0.
    """

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Watch for the next epoch's rollouts."""
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        evolve = data.evolve

        def watched(iteration: int) -> Any:
            if iteration > self.epoch:
                raise Killed(f"epoch {self.epoch}")
            return evolve(iteration)

        data.evolve = watched


class Probe(Callback):
    """Notes weights and optimizer state as each iteration's first batch begins, behind the init policy."""

    seen: ClassVar[list[dict[str, Any]]] = []

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Copy what training starts from."""
        if batch_idx == 0:
            optimizer = trainer.optimizers[0]
            self.seen.append(
                {
                    "step": trainer.global_step,
                    "weights": {name: value.clone() for name, value in pl_module.state_dict().items()},
                    "moments": [float(s["step"]) for s in optimizer.state.values()],
                    "rate": optimizer.param_groups[0]["lr"],
                }
            )


class Batches(Callback):
    """Keeps every training batch, and the model as the first one found it."""

    seen: ClassVar[list[Any]] = []
    first: ClassVar[dict[str, Any]] = {}

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Note the batch."""
        if not self.seen:
            self.first.update({name: value.clone() for name, value in pl_module.state_dict().items()})
        self.seen.append(batch)


class KillInValidation(Callback):
    """Ends the run in the validation of an epoch.

    Args:
        epoch: From 0.
    """

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_validation_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Raise before the first batch is measured."""
        if trainer.current_epoch == self.epoch:
            raise Killed(f"validation of epoch {self.epoch}")
