"""The face of an objective, and the token log-probabilities all of them need."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor
from transformers import PreTrainedModel

Batch = dict[str, Tensor]
NOT_INPUTS = ("labels", "advantages", "old_logprobs")


class Objective(Protocol):
    """A loss on a batch of kept responses."""

    def loss(self, model: PreTrainedModel, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Give the scalar loss and named scalars to log.

        Args:
            model: The policy, in training mode.
            batch: Model inputs, ``labels`` ``(B, T)`` with -100 off the response, ``advantages`` ``(B,)`` and
                ``old_logprobs`` ``(B, T)`` aligned with ``labels`` (0 where unknown).
        """
        ...


def token_logprobs(model: PreTrainedModel, batch: Batch) -> tuple[Tensor, Tensor]:
    """Log-probabilities of the labelled tokens.

    Returns:
        ``logprobs`` ``(B, T-1)``, 0 where not labelled, and the mask ``(B, T-1)`` of labelled positions; column t
        belongs to the token at position t + 1.
    """
    inputs = {k: v for k, v in batch.items() if k not in NOT_INPUTS}
    logits = model(**inputs, use_cache=False).logits[:, :-1]  # (B, T-1, V)
    labels = batch["labels"][:, 1:]
    mask = labels >= 0
    chosen = torch.log_softmax(logits.float()[mask], -1).gather(-1, labels[mask][:, None])[:, 0]
    return torch.zeros(labels.shape, device=labels.device).masked_scatter(mask, chosen), mask
