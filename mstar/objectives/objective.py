"""The face of an objective."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor
from transformers import PreTrainedModel

Batch = dict[str, Tensor]


class Objective(Protocol):
    """A loss on the kept responses of an optimizer step, which are given in parts that fit into memory.

    Loss and metrics are a part's share: sums over its responses, divided by counts of the *whole* step. So they add up
    to the same numbers however the step is cut. On several ranks the counts are means over ranks, as gradients are: so
    averaged shares, too, add up to the whole's.
    """

    def loss(self, model: PreTrainedModel, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Give the part's scalar share of the loss, and named scalar shares to log.

        Args:
            model: The policy, in training mode.
            batch: A part as ``mstar.modules.packing`` describes it (``token_logprobs`` reads it), with
                ``advantages`` ``(R,)``, ``old_logprobs`` ``(R, L)`` aligned with ``labels`` (not-a-number where
                unknown), and the whole step's ``num_tokens`` and ``num_responses``, scalars.
        """
        ...
