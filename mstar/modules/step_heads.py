"""How a process reward model turns a backbone's outputs into one logit a step."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from mstar.modules.logprobs import token_logprobs
from mstar.modules.packing import model_inputs
from mstar.modules.tree import tree_inputs

Batch = dict[str, Tensor]


class StepHead(nn.Module, ABC):
    """Reads one logit a step off a backbone."""

    def build(self, model: PreTrainedModel) -> None:
        """Make weights that depend on the backbone's sizes; most heads have none."""

    @abstractmethod
    def forward(self, model: PreTrainedModel, batch: Batch) -> Tensor:
        """Give logits ``(R, S)`` of each step being right; positions without a step hold nonsense.

        Args:
            model: The backbone.
            batch: A part as ``mstar.modules.packing`` describes it, with ``steps`` ``(R, S)``: which of the
                response's tokens is a step's last one, from 0, and -1 for none.
        """


class ScalarHead(StepHead):
    """A linear layer on the hidden state of each step's last token: the usual process reward model.

    It starts at zero, so that every step is at 0.5 before training.

    Args:
        dropout: On the hidden states, in [0, 1).
    """

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(1, 1)

    def build(self, model: PreTrainedModel) -> None:
        """Take the width of the backbone's output layer."""
        width = model.get_output_embeddings().weight.shape[1]
        self.linear = nn.Linear(width, 1)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, model: PreTrainedModel, batch: Batch) -> Tensor:
        """See ``StepHead.forward``."""
        inputs = tree_inputs(model, model_inputs(batch))
        hidden = model.base_model(**inputs, use_cache=False).last_hidden_state  # (B, T, H)
        places = batch["places"].gather(1, batch["steps"].clamp(min=0))  # (R, S)
        chosen = hidden[batch["rows"][:, None], places].to(self.linear.weight.dtype)  # (R, S, H)
        logits: Tensor = self.linear(self.dropout(chosen))[..., 0].float()
        return logits


class LikelihoodHead(StepHead):
    """``a · log p(step) + b``: the backbone's own log-likelihood of a step's tokens, scaled and shifted.

    The whole backbone is trained through it, so likelihood turns from "what the policy would write" into "what
    leads to a right answer" (compare implicit process rewards, 2412.01981). It learns from few labels where a scalar
    head on a shallow model does not: a misread digit is unlikely given its picture, but no single hidden state behind
    the step says so. Tokens between two steps belong to the later one.

    Where most labels are low, ``a`` and ``b`` have to find that level before the backbone does: a backbone that lowers
    the likelihood of everything it is shown loses the order that it had.

    Args:
        gain: How many times as fast as the backbone's weights the two numbers learn, > 0.
    """

    gain: Tensor

    def __init__(self, gain: float = 500.0) -> None:
        super().__init__()
        if gain <= 0:
            raise ValueError(f"LikelihoodHead.gain is {gain}; give more than 0.")
        self.scale = nn.Parameter(torch.zeros(()))
        self.shift = nn.Parameter(torch.zeros(()))
        self.register_buffer("gain", torch.tensor(gain))

    def forward(self, model: PreTrainedModel, batch: Batch) -> Tensor:
        """See ``StepHead.forward``."""
        logprobs, _ = token_logprobs(model, batch)
        until = logprobs.cumsum(1).gather(1, batch["steps"].clamp(min=0))  # (R, S) up to each step's end
        before = torch.cat([until.new_zeros(len(until), 1), until[:, :-1]], 1)
        return (1 + self.gain * self.scale) * (until - before) + 1 + self.gain * self.shift


HEADS = {head.__name__: head for head in (ScalarHead, LikelihoodHead)}
