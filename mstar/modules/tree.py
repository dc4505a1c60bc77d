"""Rows in which several continuations follow one prompt, so that what they share is computed once.

A row is ``[prompt | token | token | …]``: behind the prompt stand the tokens of a tree in preorder. A token sees its
ancestors and nothing else, so each branch is computed as if it stood alone behind the prompt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from mstar.modules.families import family_of
from mstar.modules.remote import is_remote
from mstar.modules.tree_attention import BLOCK, NAME, blocks, install

Inputs = dict[str, Tensor]
TREE = ("ends", "prompt_lengths")  # what a row says of its tree; not the model's own inputs
# Settings under which a token sees more or less than its ancestors: such models get a row for each branch.
OTHER_ATTENTION = ("sliding_window", "attention_chunk_size", "cross_attention_layers", "linear_num_key_heads")


@dataclass(frozen=True)
class Tree:
    """Tokens behind a prompt, in preorder."""

    tokens: tuple[int, ...] = ()
    ends: tuple[int, ...] = ()
    """For each token the index behind its last descendant."""


def trie(prefixes: Sequence[Sequence[int]]) -> tuple[Tree, list[tuple[int, ...]]]:
    """Beginnings of responses, each token that several share once.

    Returns:
        The tree, and for each prefix its path: indices into the tree's tokens.

    >>> trie([(5, 6), (5,), (5, 7)])
    (Tree(tokens=(5, 6, 7), ends=(3, 2, 3)), [(0, 1), (0,), (0, 2)])
    """
    order = sorted(range(len(prefixes)), key=lambda i: tuple(prefixes[i]))
    tokens: list[int] = []
    ends: list[int] = []
    path: list[int] = []
    paths: list[tuple[int, ...]] = [()] * len(prefixes)
    for i in order:  # sorted, so that equal beginnings are neighbours
        prefix = prefixes[i]
        common = _common([tokens[node] for node in path], prefix)
        path = path[:common]
        for token in prefix[common:]:
            path.append(len(tokens))
            tokens.append(token)
            ends.append(0)
        for node in path:
            ends[node] = len(tokens)
        paths[i] = tuple(path)
    return Tree(tuple(tokens), tuple(ends)), paths


def cut(prefixes: Sequence[Sequence[int]], longest: int) -> list[list[int]]:
    """Divide prefixes so that each part's ``trie`` has at most ``longest`` tokens; a longer prefix is a part alone.

    Returns:
        Indices of the prefixes, those that begin alike together.

    >>> cut([(5, 6), (7, 8, 9), (5, 6, 7)], 3)
    [[0, 2], [1]]
    """
    parts: list[list[int]] = []
    size = 0
    before: Sequence[int] = ()
    for i in sorted(range(len(prefixes)), key=lambda i: tuple(prefixes[i])):
        new = len(prefixes[i]) - _common(before, prefixes[i])
        if not parts or size + new > longest:
            parts.append([])
            size, new = 0, len(prefixes[i])
        parts[-1].append(i)
        size, before = size + new, prefixes[i]
    return parts


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    """Tokens that both begin with."""
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def shares(model: PreTrainedModel) -> bool:
    """Whether branches can stand in one row of this model: every layer is plain causal attention over all before.

    Models with sliding windows, linear or cross attention, or image tokens that see ahead are computed a row a branch.
    """
    if model.config._attn_implementation not in (None, "sdpa", "eager", NAME) or is_remote(model):
        return False  # other kernels, and other people's attention, take no mask of ours
    text = model.config.get_text_config()
    windows = any(getattr(text, name, None) for name in OTHER_ATTENTION)
    kinds = set(getattr(text, "layer_types", None) or ["full_attention"])
    return not windows and kinds == {"full_attention"} and not family_of(model).sees_ahead


def tree_inputs(model: PreTrainedModel, inputs: Inputs) -> dict[str, Any]:
    """What the model is called with: rows that branch get a mask ``(B, 1, T, T)`` and positions by depth.

    Args:
        model: The policy or a process reward's backbone.
        inputs: Rows of ``Renderer.rows``, on the model's device.

    Raises:
        ValueError: If a row branches and the model cannot share (``shares``).
    """
    ends, prompt = inputs["ends"], inputs["prompt_lengths"]
    own = {k: v for k, v in inputs.items() if k not in TREE}
    real = inputs["attention_mask"].sum(-1)  # (B,)
    index = torch.arange(ends.shape[1], device=ends.device)
    if bool(((ends == real[:, None]) | (index >= real[:, None])).all()):
        return own  # no branches: an ordinary causal row
    if not shares(model):
        raise ValueError(f"{model.config.model_type} needs a row for each response: its attention is not plain causal.")
    seen = (index[None, None] <= index[None, :, None]) & (index[None, :, None] < ends[:, None])  # (B, T, T)
    seen |= torch.eye(len(index), dtype=torch.bool, device=ends.device)  # padding sees itself: no row without a key
    depth = seen.sum(-1) - 1  # (B, T)
    added = additive(seen, model)
    mask = added[:, None]
    if mask.device.type == "cpu" and int((real - prompt).max()) > 2 * BLOCK:
        install(model, mask, blocks(added, seen, prompt.tolist(), real.tolist()))
    return {
        **own,
        "attention_mask": mask,
        "position_ids": _positions(model, own, prompt, depth),
    }


def additive(seen: Tensor, model: PreTrainedModel) -> Tensor:
    """0 where a token is seen and the least number where not, in the type that attention computes in.

    Attention would turn a boolean mask into this in every layer again.
    """
    device = seen.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else model.dtype
    return torch.zeros(seen.shape, dtype=dtype, device=seen.device).masked_fill_(~seen, torch.finfo(dtype).min)


def _positions(model: PreTrainedModel, own: dict[str, Any], prompt: Tensor, depth: Tensor) -> Tensor:
    """Positions of the prompt as the model counts them, then one further a token of depth: ``(B, T)`` or M-RoPE's."""
    flat: Any = model
    positions: Tensor = flat._prepare_position_ids_for_generation(own["input_ids"], dict(own))  # ([3,] B, T)
    last = (prompt - 1)[:, None]  # (B, 1)
    at = last.expand(*positions.shape[:-1], 1)
    behind = positions.gather(-1, at) + (depth - depth.gather(-1, last))
    index = torch.arange(depth.shape[-1], device=depth.device)
    return torch.where(index < prompt[:, None], positions, behind)
