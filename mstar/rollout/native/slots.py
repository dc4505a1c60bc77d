"""The keys and values of live responses, written in place: a slot each, moved as it grows, reused when it ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin

LINE = 64  # bytes of a CPU's cache line, at whose multiples reading is faster
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
        """Room for keys, all zero: ``(layers, slots, heads, capacity, key_size)``."""
        return self._zeros(self.layers, slots, self.heads, capacity, self.key_size)

    def values(self, slots: int, capacity: int) -> Tensor:
        """Room for values, all zero: ``(layers, slots, heads, capacity, value_size)``."""
        return self._zeros(self.layers, slots, self.heads, capacity, self.value_size)

    def _zeros(self, *shape: int) -> Tensor:
        if self.device.type != "cpu" or 0 in shape:
            return torch.zeros(shape, dtype=self.dtype, device=self.device)
        # pages come as they are written to, large ones where the system has them; torch.zeros would write to them all
        size = prod(shape) * self.dtype.itemsize
        try:
            bare = torch.from_numpy(np.zeros(size + LINE, np.uint8))
        except MemoryError as error:
            raise torch.OutOfMemoryError(str(error)) from error
        start = -bare.data_ptr() % LINE
        return bare[start : start + size].view(self.dtype).view(shape)


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
    """Slots of one size, for as many rows as may come; those in it are its first ``len(rows)`` slots, without gaps."""

    def __init__(self, shape: KeyShape, slots: int, capacity: int) -> None:
        self.capacity = capacity
        self.rows: list[int] = []
        self.used = 0  # slots that were ever written to
        self.keys, self.values = shape.keys(slots, capacity), shape.values(slots, capacity)

    def append(self, row: int) -> int:
        """Give a row the next slot."""
        self.rows.append(row)
        self.used = max(self.used, len(self.rows))
        return len(self.rows) - 1

    def remove(self, slot: int, length: int) -> None:
        """Free a slot: the last row, ``length`` keys long, moves into it."""
        last = len(self.rows) - 1
        if slot != last:
            self.keys[:, slot, :, :length] = self.keys[:, last, :, :length]
            self.values[:, slot, :, :length] = self.values[:, last, :, :length]
            self.rows[slot] = self.rows[last]
        self.rows.pop()

    @property
    def nbytes(self) -> int:
        """Memory taken."""
        slots = max(1, self.keys.shape[1])
        return (self.keys.nbytes + self.values.nbytes) // slots * self.used


class Slots:
    """All slots, in shelves by size.

    A row starts on the smallest shelf that holds it and moves to the next when it has grown: short and long responses
    are not padded to one another. A shelf has room for all rows that may come to stand there; on a CPU its memory is
    taken as slots are first written to.

    Args:
        shape: What a token takes.
        most_rows: How many rows may at most have slots of a capacity.
    """

    def __init__(self, shape: KeyShape, most_rows: Callable[[int], int]) -> None:
        self.shape = shape
        self.most_rows = most_rows
        self.shelves: list[Shelf] = []
        self.lengths: dict[int, int] = {}
        self.place: dict[int, tuple[int, int]] = {}

    def reserve(self, longest: int) -> None:
        """Have a shelf for rows of that length."""
        while not self.shelves or self.shelves[-1].capacity < longest:
            capacity = SMALLEST * 2 ** len(self.shelves)
            self.shelves.append(Shelf(self.shape, self.most_rows(capacity), capacity))

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
        for number, shelf in enumerate(self.shelves[:-1]):
            for row in [row for row in shelf.rows if self.lengths[row] == shelf.capacity]:
                self._promote(row, number)
        for row in self.lengths:
            self.lengths[row] += 1
        return [row for shelf in self.shelves for row in shelf.rows]

    def _promote(self, row: int, number: int) -> None:
        shelf, slot, length = self.shelves[number], self.place[row][1], self.lengths[row]
        keys, values = shelf.keys[:, slot, :, :length], shelf.values[:, slot, :, :length]
        last = shelf.rows[-1]
        self._put(row, length, keys, values)  # on the next shelf
        shelf.remove(slot, self.lengths[last])
        if last != row:
            self.place[last] = (number, slot)

    @property
    def nbytes(self) -> int:
        """Memory taken."""
        return sum(shelf.nbytes for shelf in self.shelves)


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
