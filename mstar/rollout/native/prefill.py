"""Images encoded and prompts run through the model, once each, with all the beginnings that are to be continued."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from mstar.modules.policy import Policy
from mstar.modules.tree import Inputs, Tree, tree_inputs, trie
from mstar.rollout.native.slots import KeyShape
from mstar.types import Prompt


@dataclass(frozen=True)
class Encoded:
    """A prompt as the model is called with it, and what stands behind it."""

    inputs: Inputs
    """Of ``Renderer.process``, one row, not on the model's device yet."""
    tree: Tree
    """The beginnings to be continued; what they share stands there once."""
    paths: tuple[tuple[int, ...], ...]
    """Where each beginning's tokens stand in the tree."""

    @property
    def length(self) -> int:
        """Tokens of the prompt."""
        return self.inputs["input_ids"].shape[1]

    @property
    def pixels(self) -> int:
        """Numbers in its images."""
        return sum(value.numel() for value in self.inputs.values() if value.is_floating_point())

    @property
    def width(self) -> int:
        """Tokens of the prompt and the tree."""
        return self.length + len(self.tree.tokens)


@dataclass(frozen=True)
class Beginning:
    """Where a response starts from."""

    logits: Tensor
    """Of the first token, ``(vocabulary,)``."""
    position: Tensor
    """Of the first token: ``(1,)``, or one a rotary axis."""
    path: tuple[int, ...]
    """Where the response's given tokens stand in the tree behind the prompt."""


@dataclass(frozen=True)
class Filled:
    """A prompt that has gone through the model, with the tree behind it."""

    keys: Tensor
    """``(layers, heads, length + tokens of the tree, size)``."""
    values: Tensor
    length: int
    """Tokens of the prompt."""
    beginnings: tuple[Beginning, ...]
    """One for each prefix asked for."""


def encode(policy: Policy, prompt: Prompt, prefixes: Sequence[tuple[int, ...]]) -> Encoded:
    """Process a prompt's images and text.

    Args:
        policy: Whose renderer does it.
        prompt: Its images are opened here.
        prefixes: The beginnings to continue, ``()`` for the prompt itself.
    """
    tree, paths = trie(prefixes)
    return Encoded(policy.renderer.process([prompt]), tree, tuple(paths))


def prefill(policy: Policy, encoded: Sequence[Encoded]) -> list[Filled]:
    """Run encoded prompts through the model together; ``policy`` is inside ``PolicyModule.inference()``."""
    model: Any = policy.model
    renderer = policy.renderer
    rows = renderer.behind(renderer.merged([each.inputs for each in encoded]), [each.tree for each in encoded])
    called = tree_inputs(model, {name: place(value, policy) for name, value in rows.items()})
    if "position_ids" not in called:
        called["position_ids"] = model._prepare_position_ids_for_generation(called["input_ids"], dict(called))
    ends = [[each.length + (path[-1] if path else -1) for path in each.paths] for each in encoded]
    asked = sorted({end for each in ends for end in each})  # positions whose logits are needed, in any row
    column = {end: i for i, end in enumerate(asked)}
    cache = DynamicCache()
    logits = model(
        **called,
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=torch.tensor(asked, device=model.device),
    ).logits  # (B, asked, V)
    if logits.shape[1] != len(asked):  # some models do not know logits_to_keep and give all positions
        logits = logits[:, asked]
    layers: list[Any] = cache.layers
    keys = torch.stack([layer.keys for layer in layers])  # (layers, B, heads, T, size)
    values = torch.stack([layer.values for layer in layers])
    filled = []
    for row, each in enumerate(encoded):
        beginnings = tuple(
            Beginning(
                logits[row, column[end]].clone(),  # a view would keep all rows' logits
                called["position_ids"][..., row % called["position_ids"].shape[-2], end] + 1,
                path,
            )
            for path, end in zip(each.paths, ends[row], strict=True)
        )
        own = keys[:, row, :, : each.width], values[:, row, :, : each.width]
        filled.append(Filled(*own, each.length, beginnings))
    return filled


def key_shape(filled: Filled) -> KeyShape:
    """What a token takes in this model."""
    layers, heads, _length, size = filled.keys.shape
    return KeyShape(layers, heads, size, filled.values.shape[-1], filled.values.dtype, filled.keys.device)


def place(value: Tensor, policy: Policy) -> Tensor:
    """Move an input to the model's device, pixels also to its data type."""
    model = policy.model
    return value.to(model.device, model.dtype if value.is_floating_point() else value.dtype)
