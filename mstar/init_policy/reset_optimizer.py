"""Iterative rejection fine-tuning: the weights run on, the optimizer does not."""

from __future__ import annotations

from lightning.pytorch import LightningModule, Trainer

from mstar.init_policy.init_policy import InitPolicy, fresh_optimizers


class ResetOptimizer(InitPolicy):
    """Weights run on; optimizer moments and schedule start anew each iteration (M = π^t, O = ×): iterative RFT."""

    def begin_iteration(self, trainer: Trainer, module: LightningModule) -> None:
        """Forget moments and schedule."""
        fresh_optimizers(trainer)
