"""Orders of training examples that depend on seeds alone, so that a resume repeats them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

from mstar.seeds import stable_seed

T = TypeVar("T")


def shuffled(count: int, seed: int) -> list[int]:
    """A permutation of ``range(count)``.

    >>> sorted(shuffled(4, 0))
    [0, 1, 2, 3]
    """
    order = list(range(count))
    random.Random(seed).shuffle(order)
    return order


def passes(count: int, first: int, size: int, seed: int) -> list[int]:
    """``size`` indices of an endless walk over ``range(count)``, a new order each pass, from position ``first``.

    >>> walk = passes(3, 0, 6, seed=0)
    >>> sorted(walk[:3]) == sorted(walk[3:]) == [0, 1, 2]
    True
    >>> passes(3, 4, 2, seed=0) == walk[4:]
    True
    """
    walks = range(first // count, -(-(first + size) // count))
    order = [index for walk in walks for index in shuffled(count, stable_seed(seed, walk))]
    start = first - walks.start * count
    return order[start : start + size]


def dealt(items: Sequence[T], batch_size: int, rank: int, world_size: int) -> list[T]:
    """A rank's items: neighbours stay together, and a step's batches of all ranks are what one rank would take.

    Ranks get the same number; at most ``world_size - 1`` items at the end are left out.

    >>> [dealt("abcdefghijk", 2, rank, 2) for rank in (0, 1)]
    [['a', 'b', 'e', 'f', 'i'], ['c', 'd', 'g', 'h', 'j']]
    """
    even = len(items) - len(items) % world_size
    mine: list[T] = []
    for start in range(0, even, batch_size * world_size):
        step = items[start : min(start + batch_size * world_size, even)]
        size = len(step) // world_size
        mine += step[rank * size : (rank + 1) * size]
    return mine


def together(keys: Sequence[str]) -> list[list[int]]:
    """Positions of equal keys together, keys in the order they first appear.

    >>> together(["p", "q", "p"])
    [[0, 2], [1]]
    """
    found: dict[str, list[int]] = {}
    for position, key in enumerate(keys):
        found.setdefault(key, []).append(position)
    return list(found.values())
