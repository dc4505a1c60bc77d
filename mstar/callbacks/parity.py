"""The parity gate: is the model that is trained the one that wrote the responses, and does it see the same?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from mstar.datamodules.evolving import EvolvingDataModule
from mstar.modules.logprobs import response_logprobs
from mstar.modules.policy import Policy, PolicyModule
from mstar.types import Group, Prompt, Rollout


@dataclass(frozen=True)
class Gap:
    """How far two sets of log-probabilities of the same tokens are apart, in nats."""

    mean: float
    """Mean absolute difference a token."""
    largest: float
    """The largest difference of a token."""
    tokens: int


class ParityGate(Callback):
    """Recomputes the log-probabilities of a few of an iteration's responses under the model that is to be trained.

    As it begins, with their images, through the same packing as training. Where they differ from those recorded while
    sampling, the sampler saw other pixels, other weights (a stale cache, a lossy merge) or other positions than the
    trainer; rewards then fall and it looks as if training had spoilt the policy. Needs an engine that records
    log-probabilities (``data.engine.logprobs: true``). Logged as ``parity/gap`` and ``parity/largest_gap``.

    Args:
        num_responses: Responses a rank recomputes, those of different prompts first.
        max_gap: Largest mean absolute difference a token that passes, in nats. Kernels and batch shapes differ by 1e-6
            in fp32 and by up to 0.02 in bf16; wrong pixels or weights by 0.1 and more.
    """

    def __init__(self, num_responses: int = 4, max_gap: float = 0.05) -> None:
        if num_responses < 1:
            raise ValueError(f"ParityGate.num_responses is {num_responses}; give 1 or more.")
        self.num_responses = num_responses
        self.max_gap = max_gap
        self.worst: Gap | None = None
        """Of all ranks' gaps in this iteration."""

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compare, before the init policy changes anything. Lightning does not ask where a run is resumed in mid-epoch.

        Raises:
            RuntimeError: If the gap is above ``max_gap`` on any rank, or is not a number.
            ValueError: If log-probabilities were not recorded.
        """
        data = trainer.datamodule  # type: ignore[attr-defined]
        if not isinstance(data, EvolvingDataModule) or not isinstance(pl_module, PolicyModule):
            raise ValueError("ParityGate compares a PolicyModule with the rollouts of an EvolvingDataModule.")
        mine = data.ranks.share(data.groups) or data.groups[:1]
        with pl_module.inference() as policy:
            gap = measure(policy, pick(mine, self.num_responses))
        self.worst = self._worst(trainer, gap)
        if not self.worst.mean <= self.max_gap:
            raise RuntimeError(told(self.worst, self.max_gap, trainer.current_epoch))

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the gap; a run that is resumed within the iteration has not measured it anew."""
        if self.worst is not None:
            pl_module.log_dict({"parity/gap": self.worst.mean, "parity/largest_gap": self.worst.largest})

    def state_dict(self) -> dict[str, Any]:
        """The iteration's gap."""
        return {} if self.worst is None else asdict(self.worst)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore it."""
        self.worst = Gap(**state_dict) if state_dict else None

    def _worst(self, trainer: Trainer, gap: Gap) -> Gap:
        """The largest of all ranks' gaps; not-a-number if one is."""
        if trainer.world_size == 1:
            return gap
        mine = torch.tensor([gap.mean, gap.largest], device=trainer.strategy.root_device)
        mine = mine.nan_to_num(nan=math.inf)
        mean, largest = trainer.strategy.reduce(mine, reduce_op="max").tolist()
        return Gap(mean, largest, gap.tokens)


def pick(groups: Sequence[Group], number: int) -> list[tuple[Prompt, Rollout]]:
    """Responses of as many prompts as there are, prompts with images first; their first responses, then their second.

    >>> plain, seen = Prompt("a", "?"), Prompt("b", "?", images=(None,))
    >>> twice = lambda p: Group(p, tuple(Rollout(p.id, i, "", (1,)) for i in range(2)))
    >>> [(prompt.id, rollout.index) for prompt, rollout in pick([twice(plain), twice(seen)], 3)]
    [('b', 0), ('a', 0), ('b', 1)]
    """
    ordered = sorted(groups, key=lambda group: not group.prompt.images)
    layers = max((len(group) for group in ordered), default=0)
    own = [
        (group.prompt, group.rollouts[layer])
        for layer in range(layers)
        for group in ordered
        if layer < len(group) and group.rollouts[layer].origin == "policy"
    ]
    return own[:number]


def measure(policy: Policy, responses: Sequence[tuple[Prompt, Rollout]]) -> Gap:
    """Hold the recorded log-probabilities against the policy's own.

    Raises:
        ValueError: If none were recorded.
    """
    silent = [rollout for _, rollout in responses if rollout.logprobs is None]
    if silent or not responses:
        name = f"of prompt {silent[0].prompt_id!r} " if silent else ""
        raise ValueError(
            f"ParityGate compares log-probabilities, and none were recorded with the responses {name}sampled: set "
            f"data.engine to mstar.rollout.NativeEngine with logprobs: true, and sample into a new run folder."
        )
    pairs = [(prompt, rollout.tokens) for prompt, rollout in responses]
    own = [value for row in response_logprobs(policy.model, policy.renderer, pairs) for value in row]
    recorded = [value for _, rollout in responses for value in rollout.logprobs or ()]
    gaps = torch.tensor(own, dtype=torch.float64).sub(torch.tensor(recorded, dtype=torch.float64)).abs()
    return Gap(float(gaps.mean()), float(gaps.max()), len(gaps))


def told(gap: Gap, limit: float, iteration: int) -> str:
    """Say what a gap means and what to look at."""
    return (
        f"iteration {iteration}: the model to be trained is not the one that wrote the rollouts, or does not see what "
        f"that one saw: the log-probabilities of {gap.tokens:,} tokens differ by {gap.mean:.3g} nat on average (at "
        f"most {gap.largest:.3g}), and ParityGate.max_gap is {limit:g}. Check that engine and trainer use the same "
        f"processor (max_pixels), precision and weights (adapters, quantisation); nothing was trained on these."
    )
