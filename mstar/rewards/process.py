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
from mstar.types import Group, Prompt, Rollout

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
        batch_size: Responses scored in one forward pass.
    """

    def __init__(self, path: str, aggregate: Aggregate = "min", batch_size: int = 64) -> None:
        self.path = path
        self.aggregate = AGGREGATES[aggregate]
        self.batch_size = batch_size
        self.module: ProcessRewardModule | None = None
        self.device = torch.device("cpu")

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Remember where the policy lives."""
        self.device = trainer.strategy.root_device

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Free the model."""
        self.module = None

    def score(self, groups: Sequence[Group]) -> list[Group]:
        """Add ``process`` and the step rewards, in [0, 1]; responses of a prompt that read the same are scored once."""
        pairs = {(group.prompt.id, rollout.text): (group.prompt, rollout) for group in groups for rollout in group}
        # Scored in order of length, so that a batch pads little.
        order = sorted(pairs, key=lambda name: len(pairs[name][1].tokens))
        steps: dict[tuple[str, str], tuple[float, ...]] = {}
        for start in range(0, len(order), self.batch_size):
            chunk = order[start : start + self.batch_size]
            steps.update(zip(chunk, self._steps([pairs[name] for name in chunk]), strict=True))
        return [
            replace(group, rollouts=tuple(self._rewarded(r, steps[group.prompt.id, r.text]) for r in group))
            for group in groups
        ]

    def _steps(self, pairs: Sequence[tuple[Prompt, Rollout]]) -> list[tuple[float, ...]]:
        if self.module is None:
            self.module = ProcessRewardModule.from_pretrained(self.path).to(self.device)
        return self.module.score_steps([prompt for prompt, _ in pairs], [rollout.text for _, rollout in pairs])

    def _rewarded(self, rollout: Rollout, steps: tuple[float, ...]) -> Rollout:
        reward = self.aggregate(steps) if steps else 0.0
        return with_reward(replace(rollout, step_rewards=steps), "process", reward)
