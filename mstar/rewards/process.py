"""The process reward: a trained model scores every step; the response's reward aggregates them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod
from statistics import fmean
from typing import Literal

import torch
from lightning.pytorch import LightningModule, Trainer

from mstar.modules.process_reward import ProcessRewardModule
from mstar.rewards.reward import RewardModel, with_reward
from mstar.types import Group, Rollout

Aggregate = Literal["min", "product", "last", "mean"]
AGGREGATES: dict[str, Callable[[Sequence[float]], float]] = {
    "min": min,
    "product": prod,
    "last": lambda steps: steps[-1],
    "mean": fmean,
}


class ProcessReward(RewardModel):
    """R_p(ŷ) = min over steps of f(step), f a process reward model that is trained once and then frozen.

    Loaded when first asked, on the policy's device, and let go at teardown. A response without any step scores 0.

    Args:
        path: Folder written by training a ``ProcessRewardModule``.
        aggregate: How step rewards make the response's: ``min`` (the paper), ``product``, ``last`` or ``mean``.
        token_budget: Tokens a forward pass, padding included. A prompt is computed once for all its responses.
    """

    def __init__(self, path: str, aggregate: Aggregate = "min", token_budget: int = 8192) -> None:
        self.path = path
        self.aggregate = AGGREGATES[aggregate]
        self.token_budget = token_budget
        self.module: ProcessRewardModule | None = None
        self.device = torch.device("cpu")

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Remember where the policy lives."""
        super().setup(trainer, pl_module, stage)
        self.device = trainer.strategy.root_device

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Free the model."""
        self.module = None

    def score(self, groups: Sequence[Group]) -> list[Group]:
        """Add ``process`` and the step rewards, in [0, 1]; responses of a prompt that read the same are scored once."""
        pairs = {(group.prompt.id, rollout.text): group.prompt for group in groups for rollout in group}
        if self.module is None:
            self.module = ProcessRewardModule.from_pretrained(self.path).to(self.device)
        with self.progress.phase("process reward", len(pairs), done=0, unit="responses") as phase:
            found = self.module.score_steps(list(pairs.values()), [text for _, text in pairs], self.token_budget)
            phase.add(len(pairs))
        steps = dict(zip(pairs, found, strict=True))
        return [
            replace(group, rollouts=tuple(self._rewarded(r, steps[group.prompt.id, r.text]) for r in group))
            for group in groups
        ]

    def _rewarded(self, rollout: Rollout, steps: tuple[float, ...]) -> Rollout:
        reward = self.aggregate(steps) if steps else 0.0
        return with_reward(replace(rollout, step_rewards=steps), "process", reward)
