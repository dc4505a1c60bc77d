"""ReST-EM: every iteration starts from the warm-up policy."""

from __future__ import annotations

from lightning.pytorch import LightningModule, Trainer

from mstar.init_policy.init_policy import InitPolicy, fresh_optimizers
from mstar.init_policy.restore import restore_weights


class Restart(InitPolicy):
    """Weights go back to π⁰, optimizer and schedule start anew (M = π⁰, O = ×): ReST-EM (2312.06585).

    Responses are sampled from the policy of the iteration before; only what is trained on them starts over. π⁰ is
    read as the warm-up policy, the most natural reading of the paper's "initial checkpoint". It stays on disk as the
    warm-up's checkpoint, from which each rank takes its part.

    Args:
        warmup: Checkpoint of the warm-up run: π⁰.
    """

    def __init__(self, warmup: str) -> None:
        super().__init__(warmup)

    def begin_iteration(self, trainer: Trainer, module: LightningModule) -> None:
        """Restore π⁰ and forget moments and schedule."""
        restore_weights(trainer, module, self.read())
        fresh_optimizers(trainer)
