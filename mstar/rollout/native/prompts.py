"""The keys and values of prompts, computed once and shared by all their responses."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mstar.rollout.native.slots import KeyShape

STEP = 16  # room is made for a multiple of so many tokens


class SharedPrompts:
    """Room for the prompts whose responses are being written; a prompt's number is given again when it is done."""

    def __init__(self, shape: KeyShape) -> None:
        self.shape = shape
        self.keys, self.values = shape.keys(0, 0), shape.values(0, 0)
        self.lengths: list[int] = []
        self.free: list[int] = []

    def add(self, keys: Tensor, values: Tensor) -> int:
        """Keep a prompt's keys and values ``(layers, heads, length, size)``; returns its number."""
        length = keys.shape[2]
        self._reserve(length)
        number = self.free.pop()
        self.keys[:, number, :, :length], self.values[:, number, :, :length] = keys, values
        self.lengths[number] = length
        return number

    def remove(self, number: int) -> None:
        """Forget a prompt."""
        self.free.append(number)
        self.free.sort(reverse=True)  # low numbers first: a step computes up to the highest in use

    def mask(self, used: Sequence[int], top: int) -> tuple[int, Tensor | None]:
        """How far the prompts in ``used`` reach, and the mask ``(top, 1, 1, reach)`` of what is beyond each."""
        reach = max(self.lengths[number] for number in used)
        if all(self.lengths[number] == reach for number in used):
            return reach, None
        held = torch.tensor(
            [self.lengths[n] if n in set(used) else reach for n in range(top)], device=self.shape.device
        )
        beyond = torch.arange(reach, device=self.shape.device) >= held[:, None]
        mask = torch.zeros(beyond.shape, dtype=self.shape.dtype, device=self.shape.device)
        return reach, mask.masked_fill_(beyond, -torch.inf)[:, None, None]

    @property
    def used_bytes(self) -> int:
        """Memory that the prompts in it need."""
        return (sum(self.lengths) - sum(self.lengths[number] for number in self.free)) * self.shape.bytes_per_token

    def _reserve(self, length: int) -> None:
        numbers, room = self.keys.shape[1], self.keys.shape[3]
        if not self.free:
            more = max(4, numbers // 2)
            self.free = list(range(numbers + more - 1, numbers - 1, -1))
            self.lengths += [0] * more
            numbers += more
        room = max(room, -(-length // STEP) * STEP)
        if (numbers, room) != (self.keys.shape[1], self.keys.shape[3]):
            self.keys = _enlarged(self.keys, self.shape.keys(numbers, room))
            self.values = _enlarged(self.values, self.shape.values(numbers, room))

    @property
    def nbytes(self) -> int:
        """Memory taken."""
        return self.keys.nbytes + self.values.nbytes


def _enlarged(old: Tensor, new: Tensor) -> Tensor:
    new[:, : old.shape[1], :, : old.shape[3]] = old
    return new
