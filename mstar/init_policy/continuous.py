"""Continuous self-evolution: nothing is ever reset."""

from __future__ import annotations

from lightning.pytorch import LightningModule, Trainer

from mstar.init_policy.init_policy import InitPolicy


class Continue(InitPolicy):
    """Weights, optimizer moments, schedule and step count run on (M = π^t, O = ✓): M-STaR's choice."""

    def begin_iteration(self, trainer: Trainer, module: LightningModule) -> None:
        """Leave everything as it is."""
