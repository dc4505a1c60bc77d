"""Ids of many prompts, read where they are stored, and finding a prompt by its id."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence, Set
from typing import overload

import numpy as np
from numpy.typing import NDArray

CHUNK = 4096  # ids read at once
MASK = 2**63 - 1


class StoredIds(Sequence[str]):
    """Ids of a source's prompts, none of which is held in memory.

    Args:
        indices: Prompts, in order.
        read: Gives the ids of some of them.
    """

    def __init__(self, indices: Sequence[int] | NDArray[np.int64], read: Callable[[Sequence[int]], list[str]]) -> None:
        self.indices = indices
        self.read = read

    def __len__(self) -> int:
        return len(self.indices)

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> StoredIds: ...

    def __getitem__(self, index: int | slice) -> str | StoredIds:
        if isinstance(index, slice):
            return StoredIds(self.indices[index], self.read)
        return self.read([int(self.indices[index])])[0]

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), CHUNK):
            yield from self.read([int(index) for index in self.indices[start : start + CHUNK]])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]


def picked(ids: Sequence[str], indices: Sequence[int] | NDArray[np.int64]) -> StoredIds:
    """Some of a source's ids."""
    if isinstance(ids, StoredIds):
        return StoredIds(indices, lambda some: ids.read([int(ids.indices[index]) for index in some]))
    return StoredIds(indices, lambda some: [ids[index] for index in some])


class Index:
    """Where each id stands: 16 bytes a prompt, whatever the ids.

    Args:
        ids: Ids, in order.
    """

    def __init__(self, ids: Sequence[str]) -> None:
        self.ids = ids
        hashes = hashed(ids)
        self.order = np.argsort(hashes, kind="stable")
        self.hashes = hashes[self.order]

    def find(self, name: str) -> int | None:
        """The first prompt of an id; ``None`` if there is none."""
        value = hash(name) & MASK
        start, end = (int(np.searchsorted(self.hashes, value, side)) for side in ("left", "right"))
        return next((index for index in self.order[start:end].tolist() if self.ids[index] == name), None)

    def among(self, names: Set[str]) -> NDArray[np.int64]:
        """All prompts of some ids, in order; many at once are found faster than one by one."""
        wanted = np.fromiter((hash(name) & MASK for name in names), np.int64, len(names))
        candidates = np.sort(self.order[np.isin(self.hashes, wanted)])
        right = np.fromiter((name in names for name in picked(self.ids, candidates)), np.bool_, len(candidates))
        return candidates[right]

    def twins(self) -> Iterator[tuple[int, int]]:
        """Each prompt whose id another one before it has, behind the first of these."""
        same = np.flatnonzero(self.hashes[1:] == self.hashes[:-1])
        for index in sorted(self.order[same + 1].tolist()):
            first = self.find(self.ids[index])
            if first is not None and first != index:
                yield first, index


def twins(ids: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Each prompt whose id another one before it has, behind the first of these; 8 bytes a prompt where all differ."""
    hashes = hashed(ids)
    hashes.sort()
    if (hashes[1:] == hashes[:-1]).any():
        yield from Index(ids).twins()


def hashed(ids: Sequence[str]) -> NDArray[np.int64]:
    """A hash of each id, good for this process."""
    return np.fromiter((hash(name) & MASK for name in ids), np.int64, len(ids))
