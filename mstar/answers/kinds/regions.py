"""Overlap of boxes in an image and of spans in time."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

NUMBER = re.compile(r"-?\d{1,12}(?:\.\d{1,12})?")
CLOCK = re.compile(r"(?:(\d{1,3}):)?(\d{1,3}):(\d{2}(?:\.\d{1,6})?)")
Box = tuple[float, ...]


def boxes(text: str) -> list[Box]:
    """Every box ``x1, y1, x2, y2`` of a text, in its own units; empty if the numbers do not come in fours.

    >>> boxes("[10, 20, 30, 40]"), boxes("(1,2),(3,4)"), boxes("[1, 2, 3]")
    ([(10.0, 20.0, 30.0, 40.0)], [(1.0, 2.0, 3.0, 4.0)], [])
    """
    return _grouped([float(number) for number in NUMBER.findall(text)], 4)


def spans(text: str) -> list[Box]:
    """Every time span of a text, in seconds; clock times such as 1:05 are read, and an odd number of times is none.

    >>> spans("from 0:05 to 1:10"), spans("[2.5, 4]"), spans("12.5 - 18 s")
    ([(5.0, 70.0)], [(2.5, 4.0)], [(12.5, 18.0)])
    """
    clocks = CLOCK.findall(text)
    if clocks:
        return _grouped([3600 * float(h or 0) + 60 * float(m) + float(s) for h, m, s in clocks], 2)
    return _grouped([abs(float(number)) for number in NUMBER.findall(text)], 2)


def box_iou(one: Box, other: Box) -> float:
    """Intersection over union of two boxes, in [0, 1]; a box without area overlaps nothing.

    >>> box_iou((0, 0, 2, 2), (1, 0, 3, 2))
    0.3333333333333333
    """
    both = _extent(one[0], one[2], other[0], other[2]) * _extent(one[1], one[3], other[1], other[3])
    union = (one[2] - one[0]) * (one[3] - one[1]) + (other[2] - other[0]) * (other[3] - other[1]) - both
    return both / union if union > 0 else 0.0


def span_iou(one: Box, other: Box) -> float:
    """Intersection over union of two spans, in [0, 1].

    >>> span_iou((0, 10), (5, 15))
    0.3333333333333333
    """
    both = _extent(one[0], one[1], other[0], other[1])
    union = (one[1] - one[0]) + (other[1] - other[0]) - both
    return both / union if union > 0 else 0.0


def matched(given: Sequence[Box], right: Sequence[Box], iou: Callable[[Box, Box], float]) -> float:
    """Mean overlap of the pairs that overlap most, each used once; a missing or a superfluous one counts as 0.

    Pairs are taken greedily, the best first. In [0, 1].

    >>> matched([(0, 1), (5, 6)], [(0, 1)], span_iou)
    0.5
    """
    pairs = sorted(((iou(a, b), i, j) for i, a in enumerate(given) for j, b in enumerate(right)), reverse=True)
    total, used, taken = 0.0, set[int](), set[int]()
    for overlap, i, j in pairs:
        if i not in used and j not in taken:
            total += overlap
            used.add(i)
            taken.add(j)
    longest = max(len(given), len(right))
    return total / longest if longest else 0.0


def _grouped(numbers: Sequence[float], size: int) -> list[Box]:
    if len(numbers) % size:
        return []
    groups = [tuple(numbers[i : i + size]) for i in range(0, len(numbers), size)]
    half = size // 2
    return [group for group in groups if all(group[k] <= group[k + half] for k in range(half))]


def _extent(a: float, b: float, c: float, d: float) -> float:
    return max(0.0, min(b, d) - max(a, c))
