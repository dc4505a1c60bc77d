"""Attention to slots and shared prompts, against attention of each row to its own keys in one piece."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mstar.rollout.native.attention import SlotAttention
from mstar.rollout.native.prompts import SharedPrompts
from mstar.rollout.native.slots import KeyShape, Slots

SIZE = 8
PROMPTS = {0: 20, 1: 33, 2: 5}  # number: tokens
ROWS = {0: (0, 3), 1: (0, 70), 2: (1, 64), 3: (0, 130), 4: (2, 10)}  # row: its prompt, tokens it has


class Model(nn.Module):
    """A model without layers."""

    dtype = torch.float32


class Layer(nn.Module):
    """What attention needs to know of a layer."""

    layer_idx = 0


@pytest.mark.parametrize(("dtype", "near"), [(torch.float32, 1e-5), (torch.bfloat16, 0.05)])
@pytest.mark.parametrize(("heads", "key_heads"), [(6, 2), (4, 4), (3, 1)])
def test_rows_attend_to_their_prompt_and_to_themselves(
    heads: int, key_heads: int, dtype: torch.dtype, near: float
) -> None:
    torch.manual_seed(0)
    shape = KeyShape(1, key_heads, SIZE, SIZE, dtype, torch.device("cpu"))
    theirs = {number: torch.randn(2, 1, key_heads, length, SIZE) for number, length in PROMPTS.items()}
    own = {row: torch.randn(2, 1, key_heads, length, SIZE) for row, (_, length) in ROWS.items()}
    shared, slots = SharedPrompts(shape), Slots(shape, lambda _capacity: len(ROWS))
    for number, (keys, values) in theirs.items():
        assert shared.add(keys, values) == number
    slots.reserve(140)
    for row, (keys, values) in own.items():
        slots.add(row, keys, values)
    model: Any = Model()
    attention = SlotAttention(slots, shared, model)
    order = slots.advance()
    attention.prepare(order, [ROWS[row][0] for row in order])
    query = torch.randn(len(order), heads, 1, SIZE)
    new = torch.randn(2, len(order), key_heads, 1, SIZE)
    found, _ = attention(Layer(), query, new[0], new[1], None)
    for place, row in enumerate(order):
        parts = (theirs[ROWS[row][0]][:, 0], own[row][:, 0], new[:, place])
        keys, values = torch.cat(parts, 2)
        torch.testing.assert_close(found[place, 0], dense(query[place], keys, values), rtol=0, atol=near)


def dense(query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """A row's attention ``(heads, size)`` to all its keys ``(key heads, T, size)``."""
    repeats = query.shape[0] // keys.shape[0]
    keys, values = keys.repeat_interleave(repeats, 0), values.repeat_interleave(repeats, 0)
    return nn.functional.scaled_dot_product_attention(query, keys, values)[:, 0]
