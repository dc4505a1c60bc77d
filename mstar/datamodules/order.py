"""Orders of training examples that depend on seeds alone, so that a resume repeats them."""

from __future__ import annotations

import random

from mstar.seeds import stable_seed


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
