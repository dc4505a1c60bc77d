"""An optimizer step whose batch does not fit into memory at once: forward and backward a part at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor

from mstar.modules.renderer import Inputs

Share = tuple[Tensor, dict[str, Tensor]]


class PartsModule(LightningModule, ABC):
    """Trains on batches that come in parts; gradients are those of the whole batch.

    Lightning runs backward once a batch, on what ``training_step`` returns. Here every part but the last has its
    backward pass inside ``training_step``, so that one part's activations are alive at a time, and the last part's is
    left to Lightning: with it ranks exchange gradients, once a step, since DDP's reducer does not listen earlier.
    Precision plugins, clipping and ``accumulate_grad_batches`` work as ever.
    """

    @abstractmethod
    def part_loss(self, part: Inputs) -> Share:
        """A part's share of the step's loss, and shares of what is logged: over all parts they add up."""

    def training_step(self, batch: Sequence[Inputs], batch_idx: int) -> Tensor:
        """The step's loss; what is left to differentiate in it is the last part's share.

        Raises:
            RuntimeError: If the loss is not finite: the weights are as the step before left them.
        """
        if batch_idx % self.trainer.accumulate_grad_batches == 0:
            self.trainer.optimizers[0].zero_grad()
        shares = [self._backward(part) for part in batch[:-1]]
        last, metrics = self.part_loss(batch[-1])
        shares.append((last.detach(), metrics))
        loss = torch.stack([share for share, _ in shares]).sum()
        if not loss.isfinite():
            raise RuntimeError(self._not_finite(float(loss), batch_idx))
        size = sum(len(part["rows"]) for part in batch)
        self.log("train/loss", loss, prog_bar=True, batch_size=size)
        for name in metrics:
            self.log(f"train/{name}", torch.stack([m[name].detach() for _, m in shares]).sum(), batch_size=size)
        return last + (loss - last.detach())

    def optimizer_zero_grad(self, epoch: int, batch_idx: int, optimizer: Any) -> None:
        """Do nothing: Lightning asks between forward and backward, and ``training_step`` has already done it."""

    def _not_finite(self, loss: float, batch_idx: int) -> str:
        trainer = self.trainer
        return (
            f"the loss is {loss} at step {trainer.global_step} (batch {batch_idx} of epoch {trainer.current_epoch}); "
            f"weights, checkpoints and rollouts are those of the step before. Lower model.optimizer.lr, set "
            f"trainer.gradient_clip_val to 1.0, or train in bf16 or fp32 if trainer.precision ({trainer.precision}) is "
            f"fp16; then run the same command again."
        )

    def _backward(self, part: Inputs) -> Share:
        loss, metrics = self.part_loss(part)
        with torch.autocast(self.device.type, enabled=False):  # a backward pass runs in the types of its forward pass
            self.trainer.strategy.backward(loss / self.trainer.accumulate_grad_batches, None)
        return loss.detach(), metrics
