"""Learning-rate schedules that torch has no class for."""

from __future__ import annotations

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


class WarmupStableDecay(LambdaLR):
    """Rises linearly, stays, and falls linearly: transformers' ``get_wsd_schedule``, as a class that YAML can name.

    Args:
        optimizer: Whose rates are scheduled.
        num_warmup_steps: Steps of the rise from 0.
        num_stable_steps: Steps at the optimizer's own rate.
        num_decay_steps: Steps of the fall.
        min_ratio: Share of the rate that is left at the end, and ever after.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        num_warmup_steps: int = 0,
        num_stable_steps: int = 0,
        num_decay_steps: int = 1,
        min_ratio: float = 0.0,
    ) -> None:
        def factor(step: int) -> float:
            if step < num_warmup_steps:
                return (step + 1) / num_warmup_steps
            gone = (step - num_warmup_steps - num_stable_steps) / num_decay_steps
            return 1 - (1 - min_ratio) * min(1.0, max(0.0, gone))

        super().__init__(optimizer, factor)
