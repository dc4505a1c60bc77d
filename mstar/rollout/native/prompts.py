"""The keys and values of prompts, computed once and shared by all their responses."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mstar.rollout.native.slots import KeyShape

STEP = 16  # room is made for a multiple of so many tokens


class SharedPrompts:
    """Room for the prompts whose responses are being written; a prompt's number is given again when it is done.

    Each has room for the longest: a step reads them as one tensor. The room shrinks when half of it is not needed.
    """

    def __init__(self, shape: KeyShape) -> None:
        self.shape = shape
        self.keys, self.values = shape.keys(0, 0), shape.values(0, 0)
        self.lengths: list[int] = []
        self.free: list[int] = []

    def add(self, keys: Tensor, values: Tensor) -> int:
        """Keep a prompt's keys and values ``(layers, heads, length, size)``; returns its number."""
        length = keys.shape[2]
        self.reserve(1, length)
        number = self.free.pop()
        self.keys[:, number, :, :length], self.values[:, number, :, :length] = keys, values
        self.lengths[number] = length
        return number

    def remove(self, number: int) -> None:
        """Forget a prompt."""
        self.free.append(number)
        self.free.sort(reverse=True)  # low numbers first: a step computes up to the highest in use
        used = self._used()
        top, reach = max(used, default=-1) + 1, max((_rounded(self.lengths[number]) for number in used), default=0)
        if 2 * top * reach < self.keys.shape[1] * self.keys.shape[3]:
            self._resize(top, reach)

    def after(self, lengths: Sequence[int]) -> int:
        """Tokens there would be room for, if prompts of these lengths were added."""
        numbers, room = self._needed(len(lengths), max(lengths))
        return numbers * room

    def reserve(self, count: int, longest: int) -> None:
        """Make room for further prompts."""
        numbers, room = self._needed(count, longest)
        if (numbers, room) != (self.keys.shape[1], self.keys.shape[3]):
            self._resize(numbers, room)

    def mask(self, used: Sequence[int], top: int, whole: bool = False) -> tuple[int, Tensor | None]:
        """How far the prompts in ``used`` reach, and the mask ``(top, 1, 1, reach)`` of what is beyond each.

        ``whole`` takes all of the room there is, the rest of it masked.
        """
        reach = self.keys.shape[3] if whole else max(self.lengths[number] for number in used)
        if all(self.lengths[number] == reach for number in used):
            return reach, None
        held = torch.tensor(
            [self.lengths[n] if n in set(used) else reach for n in range(top)], device=self.shape.device
        )
        beyond = torch.arange(reach, device=self.shape.device) >= held[:, None]
        mask = torch.zeros(beyond.shape, dtype=self.shape.dtype, device=self.shape.device)
        return reach, mask.masked_fill_(beyond, -torch.inf)[:, None, None]

    def _used(self) -> list[int]:
        return sorted(set(range(len(self.lengths))) - set(self.free))

    def _needed(self, count: int, longest: int) -> tuple[int, int]:
        numbers, room = self.keys.shape[1], self.keys.shape[3]
        return max(numbers, numbers - len(self.free) + count), max(room, _rounded(longest))

    def _resize(self, numbers: int, room: int) -> None:
        used = [number for number in self._used() if number < numbers]
        self.keys = _moved(self.keys, self.shape.keys(numbers, room))
        self.values = _moved(self.values, self.shape.values(numbers, room))
        self.lengths = [self.lengths[number] if number in used else 0 for number in range(numbers)]
        self.free = sorted(set(range(numbers)) - set(used), reverse=True)

    @property
    def nbytes(self) -> int:
        """Memory taken."""
        return self.keys.nbytes + self.values.nbytes


def _rounded(length: int) -> int:
    return -(-length // STEP) * STEP


def _moved(old: Tensor, new: Tensor) -> Tensor:
    numbers, room = (min(a, b) for a, b in zip(old.shape[1:4:2], new.shape[1:4:2], strict=True))
    new[:, :numbers, :, :room] = old[:, :numbers, :, :room]
    return new
