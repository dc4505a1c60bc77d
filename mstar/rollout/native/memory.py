"""How many responses and prompts fit into memory at the same time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import psutil
import torch
from transformers import PreTrainedModel

from mstar.rollout.native.slots import SMALLEST, KeyShape, capacity_for

MOST_ROWS = {"cpu": 256, "cpu, rounded": 512, "cuda": 512}  # more are no faster


@dataclass(frozen=True)
class Room:
    """What may be in memory at the same time."""

    rows: int
    """Responses."""
    row_bytes: int
    """Of the responses, their logits included."""
    prompt_bytes: int
    """Keys and values of prompts, and of beginnings that wait for a row; no further prompt is computed above it."""
    rounded: bool = False
    """Whether keys and values are kept in bf16, whatever type the model computes them in."""

    def halved(self) -> Room:
        """Half of it, for when memory ran out all the same."""
        return replace(
            self, rows=max(1, self.rows // 2), row_bytes=self.row_bytes // 2, prompt_bytes=self.prompt_bytes // 2
        )

    def kept(self, computed: KeyShape) -> KeyShape:
        """What is kept of a token, of what the model computes."""
        return replace(computed, dtype=torch.bfloat16) if self.rounded else computed


def room(model: PreTrainedModel, tokens: int, share: float, rows: int | None = None, *, rounded: bool = False) -> Room:
    """As many rows as pay and fit into two thirds of a share of the free memory; the rest is for prompts.

    What the forward pass over prompts needs for itself is not counted; a share well below 1 leaves room for it.

    Args:
        model: The policy.
        tokens: Longest response, in tokens.
        share: Of the memory that is free now, in (0, 1].
        rows: If they are given, prompts get what these leave, at least a third.
        rounded: Whether linear layers multiply in bf16 (``PackedLinears``): then more rows pay, and keys and values
            are kept in bf16.
    """
    budget = int(free_memory(model.device) * share)
    each = bytes_per_row(model, tokens, rounded=rounded)
    most = MOST_ROWS["cpu, rounded" if rounded else "cuda" if model.device.type == "cuda" else "cpu"]
    taken = rows or max(1, min(most, budget * 2 // 3 // each))
    return Room(taken, taken * each, max(budget // 3, budget - taken * each), rounded)


def bytes_per_row(model: PreTrainedModel, tokens: int, *, rounded: bool = False) -> int:
    """Most memory of one response: keys and values of its tokens, and its logits three times (raw, warped, summed).

    A slot of each size up to the one that holds them (``Slots``).
    """
    return (2 * capacity_for(tokens) - SMALLEST) * bytes_per_token(model, rounded=rounded) + bytes_of_logits(model)


def bytes_per_token(model: PreTrainedModel, *, rounded: bool = False) -> int:
    """Memory of a token's keys and values in all layers, in bf16 if they are rounded."""
    text: Any = model.config.get_text_config()
    layers = text.per_layer_config if text.is_heterogeneous else [text] * text.num_hidden_layers
    return 2 * (torch.bfloat16 if rounded else model.dtype).itemsize * sum(map(_width, layers))


def _width(layer: Any) -> int:
    """Numbers in the keys of a token in a layer."""
    heads = getattr(layer, "num_key_value_heads", None) or layer.num_attention_heads
    return int(heads * (getattr(layer, "head_dim", None) or layer.hidden_size // layer.num_attention_heads))


def bytes_of_logits(model: PreTrainedModel) -> int:
    """Memory of a row's logits in fp32, three times."""
    return int(3 * 4 * model.config.get_text_config().vocab_size)


def free_memory(device: torch.device) -> int:
    """Bytes that are free on a device now, those that torch holds unused included."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return int(free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))
    return int(psutil.virtual_memory().available)


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether an error says that memory ran out; on CPUs torch raises a plain ``RuntimeError``."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
