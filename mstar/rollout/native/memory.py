"""How many responses and prompts fit into memory at the same time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psutil
import torch
from transformers import PreTrainedModel

from mstar.rollout.native.slots import SMALLEST, capacity_for

MOST_ROWS = {"cpu": 256, "cpu, packed": 512, "cuda": 512}  # more are no faster


@dataclass(frozen=True)
class Room:
    """What may be in memory at the same time."""

    rows: int
    """Responses."""
    row_bytes: int
    """Of the responses, their logits included."""
    prompt_bytes: int
    """Keys and values of prompts, and of beginnings that wait for a row; no further prompt is computed above it."""

    def halved(self) -> Room:
        """Half of it, for when memory ran out all the same."""
        return Room(max(1, self.rows // 2), self.row_bytes // 2, self.prompt_bytes // 2)


def room(model: PreTrainedModel, tokens: int, share: float, rows: int | None = None, *, packed: bool = False) -> Room:
    """As many rows as pay and fit into two thirds of a share of the free memory; the rest is for prompts.

    What the forward pass over prompts needs for itself is not counted; a share well below 1 leaves room for it.

    Args:
        model: The policy.
        tokens: Longest response, in tokens.
        share: Of the memory that is free now, in (0, 1].
        rows: If they are given, prompts get what these leave, at least a third.
        packed: Whether linear layers are packed in bf16 (``PackedLinears``): then more rows pay.
    """
    budget = int(free_memory(model.device) * share)
    each = bytes_per_row(model, tokens)
    most = MOST_ROWS["cpu, packed" if packed else "cuda" if model.device.type == "cuda" else "cpu"]
    taken = rows or max(1, min(most, budget * 2 // 3 // each))
    return Room(taken, taken * each, max(budget // 3, budget - taken * each))


def bytes_per_row(model: PreTrainedModel, tokens: int) -> int:
    """Most memory of one response: keys and values of its tokens, and its logits three times (raw, warped, summed).

    A slot of each size up to the one that holds them (``Slots``).
    """
    return (2 * capacity_for(tokens) - SMALLEST) * bytes_per_token(model) + bytes_of_logits(model)


def bytes_per_token(model: PreTrainedModel) -> int:
    """Memory of a token's keys and values in all layers."""
    text: Any = model.config.get_text_config()
    layers = text.per_layer_config if text.is_heterogeneous else [text] * text.num_hidden_layers
    return 2 * model.dtype.itemsize * sum(map(_width, layers))


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
