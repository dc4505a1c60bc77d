"""An optimizer step whose batch does not fit into memory at once: forward and backward a part at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Self

import torch
from lightning.pytorch import LightningModule
from torch import Tensor
from transformers import PreTrainedModel

from mstar.modules.even import Weighed, even
from mstar.modules.renderer import Inputs, Renderer

Share = tuple[Tensor, dict[str, Tensor]]


class PartsModule(LightningModule, ABC):
    """Trains on batches that come in parts; gradients are those of the whole batch.

    Lightning runs backward once a batch, on what ``training_step`` returns. Here every part but the last has its
    backward pass inside ``training_step``, so that one part's activations are alive at a time, and the last part's is
    left to Lightning: with it ranks exchange gradients, once a step, since DDP's reducer does not listen earlier.
    Precision plugins and clipping work as ever.

    The loss is a mean over the tokens of all ranks (``even``). ``accumulate_grad_batches`` averages the means of its
    batches, as Lightning does: there a token of a batch with few weighs more. Raise ``data.batch_size`` instead, which
    costs no memory here.
    """

    model: PreTrainedModel | None

    @property
    @abstractmethod
    def renderer(self) -> Renderer:
        """The renderer of the model's own processor."""

    @abstractmethod
    def part_loss(self, part: Inputs) -> Share:
        """A part's share of the step's loss, and shares of what is logged: over all parts they add up."""

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Move or convert the weights; buffers that no checkpoint holds keep the type that the model made them in.

        Lightning's ``bf16-true`` converts all. Rotary frequencies rounded to bf16 turn tokens some hundred places on by
        other angles, and the policy that is trained would not be the one that is exported.
        """
        made = [
            (module, name, buffer)
            for module in self.modules()
            for name, buffer in module._buffers.items()
            if name in module._non_persistent_buffers_set and buffer is not None
        ]
        super().to(*args, **kwargs)
        for module, name, buffer in made:
            moved = module._buffers[name]
            if moved is not None and moved.dtype != buffer.dtype:
                module._buffers[name] = buffer.to(moved.device)
        return self

    def training_step(self, batch: Sequence[Inputs], batch_idx: int) -> Tensor:
        """The step's loss; what is left to differentiate in it is the last part's share.

        Raises:
            RuntimeError: If the loss is not finite: the weights are as the step before left them.
        """
        if batch_idx % self.trainer.accumulate_grad_batches == 0:
            self.trainer.optimizers[0].zero_grad()
        parts = self._agreed(batch)
        shares = [self._backward(*part) for part in parts[:-1]]
        last, metrics = self._weighed(*parts[-1])
        shares.append((last.detach(), metrics))
        loss = torch.stack([share for share, _ in shares]).sum()
        if not loss.isfinite():
            raise RuntimeError(self._not_finite(float(loss), batch_idx))
        settings: dict[str, Any] = {"batch_size": sum(len(part["rows"]) for part in batch), "sync_dist": True}
        self.log("train/loss", loss, prog_bar=True, **settings)
        for name in metrics:
            self.log(f"train/{name}", torch.stack([m[name].detach() for _, m in shares]).sum(), **settings)
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

    def _agreed(self, batch: Sequence[Inputs]) -> list[Weighed]:
        if self.trainer.world_size == 1:
            return [(part, 1.0) for part in batch]
        assert self.model is not None
        return even(batch, self.all_gather, self.model, self.renderer)  # type: ignore[arg-type]

    def _weighed(self, part: Inputs, weight: float) -> Share:
        loss, metrics = self.part_loss(part)
        return (loss, metrics) if weight else (loss * 0, {name: value * 0 for name, value in metrics.items()})

    def _backward(self, part: Inputs, weight: float) -> Share:
        loss, metrics = self._weighed(part, weight)
        with torch.autocast(self.device.type, enabled=False):  # a backward pass runs in the types of its forward pass
            self.trainer.strategy.backward(loss / self.trainer.accumulate_grad_batches, None)
        return loss.detach(), metrics
