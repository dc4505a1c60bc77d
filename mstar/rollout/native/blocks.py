"""Attention of images in bf16, as many heads at a time as leave their scores in a core's cache.

For CPUs that multiply faster in bf16 than in fp32: torch's own attention multiplies no faster there in either type.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask
from transformers.modeling_utils import AttentionInterface

from mstar.modules.tree_attention import is_language_attention

NAME = "mstar_blocks"
SCORES = 2**20  # that are made at a time, two bytes each
FEWEST_ROWS = 64  # of a product, if not even one head's scores fit
BIASES = ("position_bias", "softcap")  # arguments that change scores


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    is_causal: bool | None = None,
    **rest: Any,
) -> tuple[Tensor, None]:
    """Attend from every token to every token; ``(B, heads, T, size)`` gives ``(B, T, heads, size)`` in bf16.

    Inputs, scores and probabilities are rounded to bf16, as they are where a bf16 model attends without a fused kernel.
    Attention that is masked, causal, biased, grouped or to other tokens is left to torch's own.
    """
    masked = attention_mask is not None or (module.is_causal if is_causal is None else is_causal)
    if masked or query.shape[1:3] != key.shape[1:3] or any(rest.get(name) is not None for name in BIASES):
        out, _ = sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, is_causal=is_causal, **rest
        )
        return out, None
    batch, heads, tokens, size = query.shape
    scaled = query * (size**-0.5 if scaling is None else scaling)
    found = _attend(*(each.to(torch.bfloat16).flatten(0, 1) for each in (scaled, key, value)))
    return found.view(batch, heads, tokens, -1).transpose(1, 2), None


def _attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """``(heads, T, size)``, scaled already."""
    out = torch.empty_like(value)
    tokens = key.shape[1]
    heads = max(1, SCORES // tokens**2)
    rows = max(FEWEST_ROWS, SCORES // tokens)
    for head in range(0, len(query), heads):
        of = slice(head, head + heads)
        for row in range(0, tokens, rows):
            scores = query[of, row : row + rows] @ key[of].transpose(-1, -2)
            torch.bmm(scores.softmax(-1), value[of], out=out[of, row : row + rows])
    return out


def tower_attentions(model: PreTrainedModel) -> list[Any]:
    """Attention outside the language model, such as the vision tower's, with a configuration of its own."""
    attentions = [m for m in model.modules() if "is_causal" in vars(m) and "config" in vars(m)]
    language = {id(m.config) for m in attentions if is_language_attention(m)} | {id(model.config)}
    return [m for m in attentions if id(m.config) not in language]


@contextmanager
def installed(configs: Sequence[Any]) -> Iterator[None]:
    """Let what has these configurations attend this way, if it attends by torch's kernel."""
    chosen = [config for config in configs if config._attn_implementation == "sdpa"]
    try:
        for config in chosen:
            config._attn_implementation = NAME
        yield
    finally:
        for config in chosen:
            config._attn_implementation = "sdpa"


AttentionMaskInterface.register(NAME, sdpa_mask)
AttentionInterface.register(NAME, attend)
