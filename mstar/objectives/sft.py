"""Supervised fine-tuning on kept responses: the paper's objective."""

from __future__ import annotations

from torch import Tensor
from transformers import PreTrainedModel

from mstar.objectives.objective import Batch, token_logprobs


class SFT:
    """Negative log-likelihood of the response tokens, averaged over the batch's tokens (paper, section 1.1).

    The paper does not say whether it averages over tokens or over responses; tokens is what Hugging Face trainers do.
    """

    def loss(self, model: PreTrainedModel, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean of ``-log π(token)`` over response tokens, natural log."""
        logprobs, mask = token_logprobs(model, batch)
        return -logprobs.sum() / mask.sum().clamp(min=1), {}
