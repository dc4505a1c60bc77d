"""The keys and values of live responses, written in place: a slot each, moved as it grows, reused when it ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin

SMALLEST = 64  # keys the smallest slots hold; each further size holds twice as many


@dataclass(frozen=True)
class KeyShape:
    """What a layer keeps of a token; the same in every layer."""

    layers: int
    heads: int
    key_size: int
    value_size: int
    dtype: torch.dtype
    device: torch.device

    @property
    def bytes_per_token(self) -> int:
        """Memory that one token takes in all layers."""
        return self.layers * self.heads * (self.key_size + self.value_size) * self.dtype.itemsize

    def keys(self, slots: int, capacity: int) -> Tensor:
        """Room for keys: ``(layers, slots, heads, capacity, key_size)``."""
        return torch.zeros(
            self.layers, slots, self.heads, capacity, self.key_size, dtype=self.dtype, device=self.device
        )

    def values(self, slots: int, capacity: int) -> Tensor:
        """Room for values: ``(layers, slots, heads, capacity, value_size)``."""
        return torch.zeros(
            self.layers, slots, self.heads, capacity, self.value_size, dtype=self.dtype, device=self.device
        )


def capacity_for(length: int) -> int:
    """Keys that the smallest slot holding ``length`` of them has room for.

    >>> capacity_for(64), capacity_for(65), capacity_for(200)
    (64, 128, 256)
    """
    capacity = SMALLEST
    while capacity < length:
        capacity *= 2
    return capacity


class Shelf:
    """Slots of one size. The rows in it are its first ``len(rows)`` slots, without gaps.

    There are at most half as many slots again as rows: it grows by a half, and is trimmed when a third is empty.
    """

    def __init__(self, shape: KeyShape, capacity: int) -> None:
        self.shape, self.capacity = shape, capacity
        self.rows: list[int] = []
        self.keys, self.values = shape.keys(0, capacity), shape.values(0, capacity)

    def append(self, row: int) -> int:
        """Give a row the next slot."""
        if len(self.rows) == self.keys.shape[1]:
            self._resize(len(self.rows) + max(1, len(self.rows) // 2))
        self.rows.append(row)
        return len(self.rows) - 1

    def remove(self, slot: int, length: int) -> None:
        """Free a slot: the last row, ``length`` keys long, moves into it."""
        last = len(self.rows) - 1
        if slot != last:
            self.keys[:, slot, :, :length] = self.keys[:, last, :, :length]
            self.values[:, slot, :, :length] = self.values[:, last, :, :length]
            self.rows[slot] = self.rows[last]
        self.rows.pop()

    def trim(self) -> None:
        """Give back slots, if there are many more than rows."""
        if 3 * len(self.rows) < 2 * self.keys.shape[1]:
            self._resize(len(self.rows) + len(self.rows) // 4)

    def _resize(self, slots: int) -> None:
        """Copy the rows, keys first, so that only half of it is there twice."""
        keys = self.shape.keys(slots, self.capacity)
        keys[:, : len(self.rows)] = self.keys[:, : len(self.rows)]
        self.keys = keys
        values = self.shape.values(slots, self.capacity)
        values[:, : len(self.rows)] = self.values[:, : len(self.rows)]
        self.values = values


class Slots:
    """All slots, in shelves by size.

    A row starts on the smallest shelf that holds it and moves to the next when it has grown: short and long responses
    are not padded to one another, and memory follows what was written, not what might be.

    Args:
        shape: What a token takes.
    """

    def __init__(self, shape: KeyShape) -> None:
        self.shape = shape
        self.shelves: list[Shelf] = []
        self.lengths: dict[int, int] = {}
        self.place: dict[int, tuple[int, int]] = {}

    def reserve(self, longest: int) -> None:
        """Have a shelf for rows of that length."""
        while not self.shelves or self.shelves[-1].capacity < longest:
            self.shelves.append(Shelf(self.shape, SMALLEST * 2 ** len(self.shelves)))

    def add(self, row: int, keys: Tensor | None, values: Tensor | None) -> None:
        """Give a row a slot, holding the keys and values ``(layers, heads, length, size)`` it begins with, if any."""
        length = 0 if keys is None else keys.shape[2]
        self._put(row, length, keys, values)

    def _put(self, row: int, length: int, keys: Tensor | None, values: Tensor | None) -> None:
        number = next(
            i for i, shelf in enumerate(self.shelves) if shelf.capacity > length or i + 1 == len(self.shelves)
        )
        shelf = self.shelves[number]
        slot = shelf.append(row)
        if keys is not None and values is not None:
            shelf.keys[:, slot, :, :length], shelf.values[:, slot, :, :length] = keys, values
        self.lengths[row], self.place[row] = length, (number, slot)

    def remove(self, row: int) -> None:
        """Free a row's slot."""
        number, slot = self.place.pop(row)
        del self.lengths[row]
        shelf = self.shelves[number]
        last = shelf.rows[-1]
        shelf.remove(slot, self.lengths.get(last, 0))
        if last != row:
            self.place[last] = (number, slot)

    def advance(self) -> list[int]:
        """Make room for one more key in every row; return the rows in the order of the next batch."""
        for shelf in self.shelves:
            shelf.trim()  # not as rows end: their slots are mostly taken again at once
        for number, shelf in enumerate(self.shelves[:-1]):
            for row in [row for row in shelf.rows if self.lengths[row] == shelf.capacity]:
                self._promote(row, number)
        for row in self.lengths:
            self.lengths[row] += 1
        return [row for shelf in self.shelves for row in shelf.rows]

    def _promote(self, row: int, number: int) -> None:
        shelf, slot, length = self.shelves[number], self.place[row][1], self.lengths[row]
        keys, values = shelf.keys[:, slot, :, :length].clone(), shelf.values[:, slot, :, :length].clone()
        self.remove(row)
        shelf.trim()
        self._put(row, length, keys, values)

    @property
    def nbytes(self) -> int:
        """Memory taken."""
        return sum(shelf.keys.nbytes + shelf.values.nbytes for shelf in self.shelves)


class Writing(CacheLayerMixin):
    """A layer's place in the cache, as transformers sees it: what it is given is handed on to the attention."""

    is_sliding = False
    is_compileable = False

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.is_initialized = True

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Nothing to do: the slots are there."""

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Hand the new keys and values ``(rows, heads, 1, size)`` on."""
        return key_states, value_states

    def get_seq_length(self) -> int:
        """Positions are given explicitly."""
        return 0

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """The mask is the attention's own."""
        return query_length, 0

    def get_max_length(self) -> int:
        """No bound."""
        return -1


def writing_cache(layers: int) -> Cache:
    """A cache whose layers keep nothing themselves."""
    return Cache(layers=[Writing() for _ in range(layers)])
