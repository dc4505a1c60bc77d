"""Images encoded and prompts run through the model, once each, with all the beginnings that are to be continued."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from mstar.modules.policy import Policy
from mstar.modules.tree import Inputs, tree_inputs, trie
from mstar.rollout.native.slots import KeyShape
from mstar.types import Prompt


@dataclass(frozen=True)
class Beginning:
    """Where a response starts from."""

    logits: Tensor
    """Of the first token, ``(vocabulary,)``."""
    position: Tensor
    """Of the first token: ``(1,)``, or one a rotary axis."""
    keys: Tensor | None = None
    """Of the response's given tokens ``(layers, heads, length, size)``; ``None`` if there are none."""
    values: Tensor | None = None


@dataclass(frozen=True)
class Filled:
    """A prompt that has gone through the model."""

    keys: Tensor
    """``(layers, heads, length, size)``."""
    values: Tensor
    beginnings: tuple[Beginning, ...]
    """One for each prefix asked for."""


def encode(policy: Policy, prompts: Sequence[Prompt], prefixes: Sequence[Sequence[tuple[int, ...]]]) -> Inputs:
    """Model inputs of prompts with their prefixes behind them; what prefixes share stands there once."""
    inputs = policy.renderer.rows(prompts, [trie(each)[0] for each in prefixes])
    return {k: place(v, policy) for k, v in inputs.items()}


def prefill(policy: Policy, inputs: Inputs, prefixes: Sequence[Sequence[tuple[int, ...]]]) -> list[Filled]:
    """Run encoded prompts through the model.

    Args:
        policy: Inside ``PolicyModule.inference()``.
        inputs: Of ``encode``.
        prefixes: For each prompt the beginnings to continue, ``()`` for the prompt itself.
    """
    model: Any = policy.model
    lengths = inputs["prompt_lengths"].tolist()
    paths = [
        [[length + node for node in path] for path in trie(each)[1]]
        for each, length in zip(prefixes, lengths, strict=True)
    ]
    called = tree_inputs(model, inputs)
    if "position_ids" not in called:
        called["position_ids"] = model._prepare_position_ids_for_generation(called["input_ids"], dict(called))
    ends = [[path[-1] if path else length - 1 for path in each] for each, length in zip(paths, lengths, strict=True)]
    asked = sorted({end for each in ends for end in each})  # positions whose logits are needed, in any row
    column = {end: i for i, end in enumerate(asked)}
    cache = DynamicCache()
    logits = model(
        **called,
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=torch.tensor(asked, device=model.device),
    ).logits  # (B, asked, V)
    layers: list[Any] = cache.layers
    keys = torch.stack([layer.keys for layer in layers])  # (layers, B, heads, T, size)
    values = torch.stack([layer.values for layer in layers])
    filled = []
    for row, length in enumerate(lengths):
        beginnings = tuple(
            Beginning(
                logits[row, column[end]],
                called["position_ids"][..., row % called["position_ids"].shape[-2], end] + 1,
                keys[:, row][:, :, path] if path else None,
                values[:, row][:, :, path] if path else None,
            )
            for path, end in zip(paths[row], ends[row], strict=True)
        )
        filled.append(Filled(keys[:, row, :, :length], values[:, row, :, :length], beginnings))
    return filled


def key_shape(filled: Filled) -> KeyShape:
    """What a token takes in this model."""
    layers, heads, _length, size = filled.keys.shape
    return KeyShape(layers, heads, size, filled.values.shape[-1], filled.values.dtype, filled.keys.device)


def place(value: Tensor, policy: Policy) -> Tensor:
    """Move an input to the model's device, pixels also to its data type."""
    parameter = next(policy.model.parameters())
    return value.to(parameter.device, parameter.dtype if value.is_floating_point() else value.dtype)
