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
        self.rounded = slots.shape.device.type == "cpu" and slots.shape.dtype != model.dtype
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
                # matrix products in bf16 on a CPU would copy what is not the whole of a shelf
                longest = shelf.capacity if self.rounded else max(lengths[row] for row in shelf.rows)
                mask = self._mask(held, longest) if min(lengths[row] for row in shelf.rows) < longest else None
                rows = slice(start, start := start + len(shelf.rows))
                self.parts.append((rows, number, longest, self._ends(held, shelf.capacity), mask))
        if self.prompts is not None:
            self._group(owners)

    def _ends(self, held: Tensor, capacity: int) -> Tensor:
        """Where the newest key of each row and head stands among all of a shelf's: ``(rows * heads,)``."""
        heads = self.slots.shape.heads
        begins = torch.arange(len(held) * heads, device=held.device) * capacity
        return begins + (held - 1).repeat_interleave(heads)

    def _mask(self, held: Tensor, longest: int) -> Tensor:
        beyond = torch.arange(longest, device=held.device) >= held[:, None]
        mask = torch.zeros(beyond.shape, dtype=self.slots.shape.dtype, device=held.device)
        return mask.masked_fill_(beyond, -torch.inf)[:, None, None]  # (rows, 1, 1, longest)

    def _group(self, owners: Sequence[int]) -> None:
        """Where each row's queries stand among those of its prompt, by key head.

        ``gather`` ``(prompts * heads * widest group,)``, padded with row 0, and ``back`` ``(rows * heads,)``.
        """
        assert self.prompts is not None
        heads = self.slots.shape.heads
        members: dict[int, list[int]] = {}
        for position, owner in enumerate(owners):
            members.setdefault(owner, []).append(position)
        widest, top = max(map(len, members.values())), max(members) + 1
        row = torch.zeros(top, widest, dtype=torch.long)
        place = torch.zeros(len(owners), dtype=torch.long)
        for owner, positions in members.items():
            row[owner, : len(positions)] = torch.tensor(positions)
            place[positions] = owner * heads * widest + torch.arange(len(positions))
        head = torch.arange(heads)
        self.gather = (row[:, None] * heads + head[:, None]).flatten().to(self.slots.shape.device)
        self.back = (place[:, None] + head * widest).flatten().to(self.slots.shape.device)
        self.groups, self.widest = top, widest
        self.reach, self.prompt_mask = self.prompts.mask(sorted(members), top, whole=self.rounded)

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
        key, value = key.to(self.slots.shape.dtype), value.to(self.slots.shape.dtype)
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
        where, number, longest, ends, mask = part
        shelf, count = self.slots.shelves[number], where.stop - where.start
        keys, values = shelf.keys[layer], shelf.values[layer]
        for held, new in ((keys, key), (values, value)):
            held.view(-1, held.shape[-1]).index_copy_(0, ends, new[where].reshape(-1, held.shape[-1]))
        return attend(query[where], keys[:count, :, :longest], values[:count, :, :longest], mask, scaling)

    def _with_prompt(self, layer: int, query: Tensor, out: Tensor, mass: Tensor, scaling: float | None) -> Tensor:
        assert self.prompts is not None
        rows, shared, each, size = query.shape
        grouped = query.reshape(rows * shared, each, size).index_select(0, self.gather)
        grouped = grouped.view(self.groups, shared, self.widest * each, size)
        keys, values = self.prompts.keys[layer], self.prompts.values[layer]
        theirs, their_mass = attend(
            grouped,
            keys[: self.groups, :, : self.reach],
            values[: self.groups, :, : self.reach],
            self.prompt_mask,
            scaling,
        )
        theirs = theirs.reshape(len(self.gather), each, -1).index_select(0, self.back).view(rows, shared, each, -1)
        their_mass = their_mass.reshape(len(self.gather), each).index_select(0, self.back).view(rows, shared, each)
        return torch.lerp(theirs, out, torch.sigmoid(mass - their_mass)[..., None].to(out.dtype))


def attend(
    query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, scaling: float | None
) -> tuple[Tensor, Tensor]:
    """Attention and the log of its denominator.

    Args:
        query: ``(rows, heads, queries, size)``.
        keys: ``(rows, heads, T, size)``; in bf16 beside queries in fp32, the products are made in bf16.
        values: ``(rows, heads, T, value size)``.
        mask: Added to the scores, ``(rows, 1, 1, T)``; ``None`` for all zero.
        scaling: Of the scores; ``None`` is ``size ** -0.5``.

    Returns:
        ``(rows, heads, queries, value size)`` in the queries' type, and ``(rows, heads, queries)``, at least fp32.
    """
    if query.device.type == "cpu" and query.dtype == keys.dtype and keys.shape[-1] == values.shape[-1]:
        # The kernel behind scaled_dot_product_attention on CPUs, which also gives the denominator.
        out, mass = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
            query, keys, values, 0.0, False, attn_mask=mask, scale=scaling
        )
        return out, mass
    scores = (query.to(keys.dtype) @ keys.transpose(-1, -2)).float()
    scores *= query.shape[-1] ** -0.5 if scaling is None else scaling
    scores = scores if mask is None else scores.add_(mask)
    weights = scores.softmax(-1)
    mass = scores.amax(-1) - weights.amax(-1).log()
    return (weights.to(values.dtype) @ values).to(query.dtype), mass
