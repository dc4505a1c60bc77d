"""Group-relative policy optimisation: the same loop with another objective."""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import PreTrainedModel

from mstar.modules.logprobs import token_logprobs
from mstar.objectives.objective import Batch


class GRPO:
    """Clipped surrogate on group-normalised advantages (DeepSeekMath, eq. 3, without the KL term).

    Use it with ``KeepAll`` (or ``VariedGroups``), an interval of one batch and an engine that records log-probs.
    ``clip_high`` above ``clip_low`` is DAPO's clip-higher. Tokens are averaged over the step (DAPO), not first
    within each response (DeepSeekMath).

    Args:
        clip_low: How far the probability ratio may fall below 1, in (0, 1).
        clip_high: How far it may rise above 1, > 0.
    """

    def __init__(self, clip_low: float = 0.2, clip_high: float = 0.2) -> None:
        self.clip_low = clip_low
        self.clip_high = clip_high

    def loss(self, model: PreTrainedModel, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """``-mean_t min(ρ A, clip(ρ, 1-ε_low, 1+ε_high) A)`` with ``ρ = π(token) / π_old(token)``."""
        if bool(batch["old_logprobs"].isnan().any()):
            raise ValueError(
                "GRPO needs the log-probabilities under which responses were sampled: set data.engine to an engine "
                "with logprobs: true, and leave out data.seed_cot and refiners, whose responses have none."
            )
        logprobs, mask = token_logprobs(model, batch)
        ratio = torch.exp(logprobs - batch["old_logprobs"])
        advantages = batch["advantages"][:, None]
        clipped = ratio.clamp(1 - self.clip_low, 1 + self.clip_high)
        surrogate = torch.minimum(ratio * advantages, clipped * advantages) * mask
        tokens = batch["num_tokens"]
        share = ((ratio != clipped) & mask).sum() / tokens
        return -surrogate.sum() / tokens, {"clipped": share, "ratio": (ratio * mask).sum().detach() / tokens}
