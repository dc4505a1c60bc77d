"""Attention in rows that branch, a block of queries at a time: a block meets only the keys that some of it sees.

Of a row's square of queries and keys, branches beside one another leave most unseen; a mask alone would compute it all
the same. On CPUs only: there a call a block costs little beside what it saves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask
from transformers.modeling_utils import AttentionInterface

NAME = "mstar_tree"
BLOCK = 64
"""Queries a block."""


@dataclass(frozen=True)
class Block:
    """Queries that stand together in a row, and the keys they meet."""

    queries: slice
    keys: Tensor | None
    """Places of the keys; ``None`` for the queries' own, which see one another causally: a prompt."""
    mask: Tensor | None
    """Added to the scores, ``(1, 1, queries, keys)``; ``None`` with ``keys``."""


def blocks(mask: Tensor, seen: Tensor, prompts: list[int], ends: list[int]) -> list[list[Block]]:
    """Divide each row into its prompt and blocks of the tree behind it.

    Args:
        mask: Added to the scores, ``(B, T, T)``.
        seen: Which keys each query sees, ``(B, T, T)``.
        prompts: Length of each row's prompt.
        ends: Length of each row without padding.
    """
    found = []
    for row, (prompt, end) in enumerate(zip(prompts, ends, strict=True)):
        own = [Block(slice(0, prompt), None, None)]
        for start in range(prompt, end, BLOCK):
            queries = slice(start, min(start + BLOCK, end))
            keys = seen[row, queries].any(0).nonzero()[:, 0]
            own.append(Block(queries, keys, mask[row, queries][:, keys][None, None]))
        found.append(own)
    return found


def install(model: PreTrainedModel, mask: Tensor, found: list[list[Block]]) -> None:
    """Have the model's language layers take a mask ``(B, 1, T, T)`` by its blocks, from now on.

    They go with the mask itself, so that activation checkpointing finds them again in the backward pass. Where
    something replaces the mask by a copy, it is used whole, as every other mask is: slower, with the same result.
    """
    mask.blocks = found  # type: ignore[attr-defined]
    configs: list[Any] = [module.config for module in model.modules() if is_language_attention(module)]
    for config in configs:
        if config._attn_implementation == "sdpa":
            config._attn_implementation = NAME


def attend(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **settings: Any
) -> tuple[Tensor, None]:
    """Attention as transformers calls it; sdpa's own where the mask has no blocks.

    Args:
        module: The attention layer.
        query: ``(B, heads, T, size)``.
        key: ``(B, key heads, T, size)``.
        value: As ``key``.
        attention_mask: ``(B, 1, T, T)``.
        settings: Of ``sdpa_attention_forward``.

    Returns:
        ``(B, T, heads, size)``, 0 on padding.
    """
    rows: list[list[Block]] | None = getattr(attention_mask, "blocks", None)
    if rows is None or key.shape[2] != query.shape[2]:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **settings)
    width, found = query.shape[2], []
    for row, own in enumerate(rows):
        parts = []
        for block in own:
            keys, values = key[row : row + 1], value[row : row + 1]
            if block.keys is None:
                keys, values = keys[:, :, block.queries], values[:, :, block.queries]
            else:
                keys, values = keys.index_select(2, block.keys), values.index_select(2, block.keys)
            queries = query[row : row + 1, :, block.queries]
            parts.append(sdpa_attention_forward(module, queries, keys, values, block.mask, **settings)[0])
        if padding := width - own[-1].queries.stop:
            parts.append(parts[0].new_zeros(1, padding, *parts[0].shape[2:]))
        found.append(torch.cat(parts, 1))
    return torch.cat(found), None


def is_language_attention(module: nn.Module) -> bool:
    """Whether a module is an attention of the language model: the vision tower's know no layer index."""
    return "layer_idx" in vars(module) and "config" in vars(module)


AttentionMaskInterface.register(NAME, sdpa_mask)
AttentionInterface.register(NAME, attend)
