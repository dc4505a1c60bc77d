"""A data set's rows, memory-mapped, a stretch at a time: memory does not grow with what has been read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import datasets

STRETCH = 1 << 23
"""Bytes read before the files are mapped anew."""


class Mapped:
    """Reads rows of a data set as they are stored: images are not decoded.

    Pages of a mapped file that were read stay resident until the system needs their memory, so that a long walk looks
    as if it held all it has seen. Files are therefore mapped anew now and then, which costs milliseconds. In a random
    order a few hundred rows bring in most of a small file all the same: the system maps far around each. A data set
    that is more than the rows of its files, in order (a slice, or one in memory), stays as it is.

    Args:
        rows: The data set.
        stretch: Bytes between two mappings.
    """

    def __init__(self, rows: datasets.Dataset, stretch: int = STRETCH) -> None:
        self.rows = rows = rows if rows._indices is None else rows.flatten_indices()
        self.stretch = stretch
        self.columns: list[str] = rows.column_names
        self.files = [file["filename"] for file in rows.cache_files]
        self.whole = bool(self.files) and len(self._mapped()) == len(rows)
        self.seen = 0

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, columns: Sequence[str], indices: Sequence[int]) -> list[dict[str, Any]]:
        """Some columns of some rows, in the order asked for.

        Raises:
            IndexError: If a row is not there.
        """
        if self.whole and self.seen > self.stretch:
            self.rows, self.seen = self._mapped(), 0
        found: list[dict[str, Any]] = []
        for start, length in stretches(indices):
            if not 0 <= start <= start + length <= len(self):
                raise IndexError(f"there are {len(self)} rows; {start} is not one of them")
            part = self.rows.data.fast_slice(start, length).select(list(columns))
            self.seen += part.nbytes
            found += part.to_pylist()
        return found

    def _mapped(self) -> datasets.Dataset:
        parts = [datasets.Dataset.from_file(file) for file in self.files]
        return parts[0] if len(parts) == 1 else datasets.concatenate_datasets(parts)


def stretches(indices: Sequence[int]) -> list[tuple[int, int]]:
    """Runs of neighbours: where each begins and its length.

    >>> stretches([3, 4, 5, 9, 0])
    [(3, 3), (9, 1), (0, 1)]
    """
    found: list[tuple[int, int]] = []
    for index in indices:
        if found and sum(found[-1]) == index:
            found[-1] = (found[-1][0], found[-1][1] + 1)
        else:
            found.append((int(index), 1))
    return found
