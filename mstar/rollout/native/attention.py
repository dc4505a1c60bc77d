"""Attention of one new token a row to its prompt, shared with the row's siblings, and to its own slot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask
from transformers.modeling_utils import AttentionInterface

from mstar.modules.tree_attention import is_language_attention
from mstar.rollout.native.prompts import SharedPrompts
from mstar.rollout.native.slots import Slots

NAME = "mstar_slots"
AttentionMaskInterface.register(NAME, sdpa_mask)


class SlotAttention:
    """Attends to slots and shared prompts; both parts are joined by their log-sum-exp.

    The prompt's keys are read once for all its rows, not once a row. ``prepare`` is called before each step.

    Args:
        slots: Keys and values of each row.
        prompts: Keys and values of the prompts that rows share; ``None`` if the slots hold them.
        model: Whose language layers attend this way while ``installed``.
    """

    def __init__(self, slots: Slots, prompts: SharedPrompts | None, model: PreTrainedModel) -> None:
        self.slots, self.prompts = slots, prompts
        self.configs: list[Any] = list(
            {id(m.config): m.config for m in model.modules() if is_language_attention(m)}.values()
        )
        self.parts: list[tuple[slice, int, int, Tensor, Tensor | None]] = []

    def prepare(self, order: Sequence[int], owners: Sequence[int]) -> None:
        """Lay out the next step.

        Args:
            order: Rows in the order of the batch, as ``Slots.advance`` gave it.
            owners: For each, the number of its prompt.
        """
        lengths, device = self.slots.lengths, self.slots.shape.device
        self.parts, start = [], 0
        for number, shelf in enumerate(self.slots.shelves):
            if shelf.rows:
                held = torch.tensor([lengths[row] for row in shelf.rows], device=device)
                longest = max(lengths[row] for row in shelf.rows)
                mask = self._mask(held, longest) if min(lengths[row] for row in shelf.rows) < longest else None
                self.parts.append((slice(start, start + len(shelf.rows)), number, longest, held - 1, mask))
                start += len(shelf.rows)
        if self.prompts is not None:
            self._group(owners)

    def _mask(self, held: Tensor, longest: int) -> Tensor:
        beyond = torch.arange(longest, device=held.device) >= held[:, None]
        mask = torch.zeros(beyond.shape, dtype=self.slots.shape.dtype, device=held.device)
        return mask.masked_fill_(beyond, -torch.inf)[:, None, None]  # (rows, 1, 1, longest)

    def _group(self, owners: Sequence[int]) -> None:
        """Where each row's query stands among those of its prompt: ``(prompts, widest group)``, padded with row 0."""
        assert self.prompts is not None
        members: dict[int, list[int]] = {}
        for position, owner in enumerate(owners):
            members.setdefault(owner, []).append(position)
        widest, top = max(map(len, members.values())), max(members) + 1
        gather, back = [0] * (top * widest), [0] * len(owners)
        for owner, positions in members.items():
            for column, position in enumerate(positions):
                gather[owner * widest + column] = position
                back[position] = owner * widest + column
        device = self.slots.shape.device
        self.gather, self.back = torch.tensor(gather, device=device), torch.tensor(back, device=device)
        self.groups, self.widest = top, widest
        self.reach, self.prompt_mask = self.prompts.mask(sorted(members), top)

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Make the model's language layers attend through this object."""
        before = [config._attn_implementation for config in self.configs]
        AttentionInterface.register(NAME, self)
        try:
            for config in self.configs:
                config._attn_implementation = NAME
            yield
        finally:
            for config, implementation in zip(self.configs, before, strict=True):
                config._attn_implementation = implementation

    def __call__(
        self,
        module: nn.Module,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: Tensor | None,
        scaling: float | None = None,
        **_: Any,
    ) -> tuple[Tensor, None]:
        """Attend from one token a row; ``query`` ``(rows, heads, 1, size)`` gives ``(rows, 1, heads, size)``."""
        layer: int = module.layer_idx  # type: ignore[assignment]
        rows, heads, _one, size = query.shape
        # Under autocast rotated queries and keys are fp32 beside values of the lower precision.
        query, key, value = (each.to(self.slots.shape.dtype) for each in (query, key, value))
        shared = key.shape[1]
        query = query.reshape(rows, shared, heads // shared, size)  # queries of one key head are rows of one matrix
        found = [self._own(layer, query, key, value, part, scaling) for part in self.parts]
        out, mass = (torch.cat(parts) if len(found) > 1 else parts[0] for parts in zip(*found, strict=True))
        if self.prompts is not None:
            out = self._with_prompt(layer, query, out, mass, scaling)
        return out.reshape(rows, 1, heads, -1), None

    def _own(
        self, layer: int, query: Tensor, key: Tensor, value: Tensor, part: Any, scaling: float | None
    ) -> tuple[Tensor, Tensor]:
        where, number, longest, last, mask = part
        shelf, count = self.slots.shelves[number], where.stop - where.start
        keys, values = shelf.keys[layer], shelf.values[layer]
        rows = torch.arange(count, device=keys.device)
        keys[rows, :, last] = key[where, :, 0]
        values[rows, :, last] = value[where, :, 0]
        return attend(query[where], keys[:count, :, :longest], values[:count, :, :longest], mask, scaling)

    def _with_prompt(self, layer: int, query: Tensor, out: Tensor, mass: Tensor, scaling: float | None) -> Tensor:
        assert self.prompts is not None
        _rows, shared, each, size = query.shape
        grouped = query.index_select(0, self.gather).view(self.groups, self.widest, shared, each, size)
        grouped = grouped.transpose(1, 2).reshape(self.groups, shared, self.widest * each, size)
        keys, values = self.prompts.keys[layer], self.prompts.values[layer]
        theirs, their_mass = attend(
            grouped,
            keys[: self.groups, :, : self.reach],
            values[: self.groups, :, : self.reach],
            self.prompt_mask,
            scaling,
        )
        theirs = theirs.view(self.groups, shared, self.widest, each, -1).transpose(1, 2)
        theirs = theirs.reshape(self.groups * self.widest, shared, each, -1).index_select(0, self.back)
        their_mass = their_mass.view(self.groups, shared, self.widest, each).transpose(1, 2)
        their_mass = their_mass.reshape(self.groups * self.widest, shared, each).index_select(0, self.back)
        return torch.lerp(theirs, out, torch.sigmoid(mass - their_mass)[..., None].to(out.dtype))


def attend(
    query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, scaling: float | None
) -> tuple[Tensor, Tensor]:
    """Attention and the log of its denominator.

    Args:
        query: ``(rows, heads, queries, size)``.
        keys: ``(rows, heads, T, size)``.
        values: ``(rows, heads, T, value size)``.
        mask: Added to the scores, ``(rows, 1, 1, T)``; ``None`` for all zero.
        scaling: Of the scores; ``None`` is ``size ** -0.5``.

    Returns:
        ``(rows, heads, queries, value size)`` and ``(rows, heads, queries)``.
    """
    if query.device.type == "cpu" and keys.shape[-1] == values.shape[-1]:
        # The kernel behind scaled_dot_product_attention on CPUs, which also gives the denominator.
        out, mass = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
            query, keys, values, 0.0, False, attn_mask=mask, scale=scaling
        )
        return out, mass
    scores = (query @ keys.transpose(-1, -2)).float() * (query.shape[-1] ** -0.5 if scaling is None else scaling)
    scores = scores if mask is None else scores + mask
    mass = scores.logsumexp(-1)
    return torch.exp(scores - mass[..., None]).to(values.dtype) @ values, mass
