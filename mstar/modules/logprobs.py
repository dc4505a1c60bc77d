"""Log-probabilities of response tokens, with logits only where a response token is predicted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel

from mstar.modules.packing import Pair, before, model_inputs, pack
from mstar.modules.renderer import Inputs, Renderer
from mstar.modules.tree import shares, tree_inputs

ALIVE = 2**25
"""Logits that may be alive at once (128 MB in fp32); more are made in chunks, and again in the backward pass."""
# Settings of models that change logits behind their head, which chunks do not see.
CHANGED = ("final_logit_softcapping", "logit_scale", "logits_scaling", "lm_head_multiplier")


def changes_logits(model: PreTrainedModel) -> bool:
    """Whether the model's logits are not what its head gives."""
    text = model.config.get_text_config()
    return any(getattr(text, name, None) for name in CHANGED)


def token_logprobs(model: PreTrainedModel, part: Inputs) -> tuple[Tensor, Tensor]:
    """Log-probabilities of the responses' tokens, differentiable.

    Args:
        model: The policy, or a process reward's backbone.
        part: One of ``pack``, on the model's device.

    Returns:
        ``logprobs`` ``(R, L)``, natural log, 0 on padding, and the mask ``(R, L)`` of tokens.
    """
    mask = part["labels"] >= 0
    width = part["input_ids"].shape[1]
    first = part["rows"][:, None] * width  # (R, 1) the row's place in the flattened rows
    tokens, inverse = torch.unique((first + part["places"])[mask], return_inverse=True)  # those of several count once
    source = torch.empty_like(tokens).scatter_(0, inverse, (first + before(part))[mask])
    target = part["input_ids"].flatten()[tokens]
    chosen = _predicted(model, tree_inputs(model, model_inputs(part)), source, target)[inverse]
    return torch.zeros(mask.shape, dtype=chosen.dtype, device=mask.device).masked_scatter(mask, chosen), mask


@torch.no_grad()
def response_logprobs(
    model: PreTrainedModel, renderer: Renderer, pairs: Sequence[Pair], token_budget: int = 8192
) -> list[tuple[float, ...]]:
    """Log-probabilities of existing responses at temperature 1, natural log.

    Args:
        model: In the mode and precision context they are wanted in.
        renderer: The model's.
        pairs: Prompts, each with the tokens of a response, end token included if it has one.
        token_budget: Tokens a forward pass, padding included.

    Returns:
        One tuple a pair, one number a token.
    """
    found: list[tuple[float, ...]] = [()] * len(pairs)
    for part in pack(renderer, pairs, token_budget, shares(model)):
        logprobs, mask = token_logprobs(model, on_device(model, part))
        for number, row, real in zip(part["index"].tolist(), logprobs, mask, strict=True):
            found[number] = tuple(row[real].tolist())
    return found


def on_device(model: PreTrainedModel, part: Inputs) -> Inputs:
    """Move a part to the model, its pixels (and whatever else the model is given that is no count) to its data type."""
    own = {name for name, value in model_inputs(part).items() if value.is_floating_point()}
    return {name: value.to(model.device, model.dtype if name in own else value.dtype) for name, value in part.items()}


def _predicted(model: PreTrainedModel, inputs: dict[str, Any], source: Tensor, target: Tensor) -> Tensor:
    """Log-probabilities ``(N,)`` of the tokens ``target``, each behind a position ``source`` of the flattened rows."""
    head: Any = model.get_output_embeddings()
    text = model.config.get_text_config()
    size = max(1, ALIVE // text.vocab_size)
    # The head of a sharded model is whole in its own forward only: no chunks there.
    changed = changes_logits(model) or isinstance(head.weight, DTensor)
    chunked = len(source) > size and not changed
    found: list[Tensor] = []

    def select(module: Any, args: tuple[Tensor, ...]) -> tuple[Tensor]:
        hidden = args[0].flatten(0, 1)[source]  # (N, H)
        if not chunked:
            return (hidden[None],)
        for h, t in zip(torch.split(hidden, size), torch.split(target, size), strict=True):
            found.append(checkpoint(lambda h, t: _chosen(module.forward(h), t), h, t, use_reentrant=False))
        return (hidden[None, :0],)

    hook = head.register_forward_pre_hook(select)
    try:
        logits = model(**inputs, use_cache=False).logits
    finally:
        hook.remove()
    return torch.cat(found) if chunked else _chosen(logits[0], target)


def _chosen(logits: Tensor, target: Tensor) -> Tensor:
    return torch.log_softmax(logits.float(), -1).gather(-1, target[:, None])[:, 0]
