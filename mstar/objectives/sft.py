"""Supervised fine-tuning on kept responses: the paper's objective."""

from __future__ import annotations

from torch import Tensor
from transformers import PreTrainedModel

from mstar.modules.logprobs import token_logprobs
from mstar.objectives.objective import Batch


class SFT:
    """Negative log-likelihood of the response tokens, averaged over the step's tokens (paper, section 1.1).

    The paper does not say whether it averages over tokens or over responses; tokens is what Hugging Face trainers do.
    The step's tokens are those of all its parts on all ranks, each weighing the same, however they are dealt out. Under
    ``trainer.accumulate_grad_batches`` batches weigh the same instead: raise ``data.batch_size`` rather than that.
    """

    def loss(self, model: PreTrainedModel, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean of ``-log π(token)`` over response tokens, natural log."""
        logprobs, _ = token_logprobs(model, batch)
        return -logprobs.sum() / batch["num_tokens"], {}
