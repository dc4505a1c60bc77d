"""Attention by blocks gives what one square gives, in both directions, also where layers are computed twice."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from mstar.modules.renderer import Renderer
from mstar.modules.tree import Tree, tree_inputs
from mstar.modules.tree_attention import BLOCK, NAME, is_language_attention
from tests.architectures import ARCHITECTURES, prompts_for


def comb(branches: int, length: int) -> Tree:
    """Branches of equal length beside one another."""
    tokens = tuple(60 + (i * 7 + j) % 30 for i in range(branches) for j in range(length))
    return Tree(tokens, tuple((i // length + 1) * length for i in range(len(tokens))))


def forward_and_backward(model: Any, inputs: dict[str, Any], real: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    model.zero_grad()
    logits = model(**inputs, use_cache=False).logits[real]
    logits.square().mean().backward()
    grads = [each.grad.flatten() for each in model.parameters() if each.grad is not None]
    return logits.detach(), torch.cat(grads)


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_blocks_give_what_a_square_gives(name: str, checkpointing: bool) -> None:
    model: Any
    model, processor = ARCHITECTURES[name]()
    rows = Renderer(processor).rows(prompts_for(name, 2), [comb(5, 37), comb(3, 21)])
    if checkpointing:
        model.activation_checkpointing_enable({"use_reentrant": False})
        model.train()
    called = tree_inputs(model, rows)
    blocks = called["attention_mask"].blocks
    assert [block.queries.stop for block in blocks[0]][-1] == int(rows["attention_mask"][0].sum())
    assert max(len(block.keys) for block in blocks[0][1:]) < called["attention_mask"].shape[-1] - BLOCK
    configs = [each.config for each in model.modules() if is_language_attention(each)]
    assert all(config._attn_implementation == NAME for config in configs)
    real = rows["attention_mask"].bool()
    logits, grads = forward_and_backward(model, called, real)
    called["attention_mask"] = called["attention_mask"].clone()  # a copy has no blocks
    square, square_grads = forward_and_backward(model, called, real)
    assert torch.allclose(logits, square, atol=1e-5)
    assert (grads - square_grads).norm() <= 1e-5 * square_grads.norm()
