"""Time that passed while ranks worked side by side."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric


class Seconds(Metric):
    """Adds up wall-clock seconds; of ranks that worked side by side the slowest one's count."""

    full_state_update = False
    seconds: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("seconds", torch.zeros((), dtype=torch.float64), dist_reduce_fx="max")

    def update(self, seconds: float) -> None:
        """Add what passed."""
        self.seconds += seconds

    def compute(self) -> Tensor:
        """Seconds ``()``."""
        return self.seconds
