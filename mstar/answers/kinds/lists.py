"""Lists, sets and intervals."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from mstar.answers.kinds.quantity import quantity, same_number
from mstar.answers.plain import normalized, plain

INTERVAL = re.compile(r"([(\[\]])\s*([^,;]+?)\s*[,;]\s*([^,;]+?)\s*([)\]\[])")
INFINITE = {"∞": "∞", "+∞": "∞", "\\infty": "∞", "+\\infty": "∞", "inf": "∞", "infinity": "∞", "oo": "∞"}


def items(text: str) -> list[str]:
    """Parts of a list, brackets, quotes and an "and" before the last left out.

    >>> items("[4, 11]"), items("red, green and blue")
    (['4', '11'], ['red', 'green', 'blue'])
    """
    bare = plain(text).strip("[](){} ")
    if "," in bare or ";" in bare or " and " in bare:
        bare = re.sub(r",?\s+and\s+", ",", bare)
    return [normalized(item) for item in re.split(r"[,;]", bare)]


def same_list(answer: str, reference: str, precision: int | None = None) -> bool | None:
    """Whether two lists have equal items in the same order; ``None`` if the reference is empty.

    >>> same_list("[4, 11.0]", "4,11"), same_list("11, 4", "4,11")
    (True, False)
    """
    right, given = items(reference), items(answer)
    if not all(right):
        return None
    return len(given) == len(right) and all(_same(a, b, precision) for a, b in zip(given, right, strict=True))


def overlap(answer: str, reference: str) -> float | None:
    """F1 of the items of two sets, in [0, 1]; order and repetition do not count. ``None`` if the reference is empty.

    >>> overlap("cat, dog", "dog, cat"), overlap("cat, cow", "dog, cat")
    (1.0, 0.5)
    """
    right, given = _written_once(items(reference)), _written_once(items(answer))
    if not all(right):
        return None
    both = sum((Counter(right) & Counter(given)).values())
    return 2 * both / (len(right) + len(given))


def same_interval(answer: str, reference: str) -> bool | None:
    """Whether two intervals have equal ends and the same brackets; ``None`` if the reference is none.

    >>> same_interval("(-1, 2.0]", "(-1,2]"), same_interval("[-1, 2]", "(-1,2]")
    (True, False)
    """
    right, given = _interval(reference), _interval(answer)
    return None if right is None else given == right


def _same(answer: str, reference: str, precision: int | None) -> bool:
    return answer == reference or same_number(answer, reference, precision) is True


def _written_once(parts: Sequence[str]) -> set[str]:
    return {_canonical(part) for part in parts}


def _canonical(part: str) -> str:
    number = quantity(part)
    return f"{number.value} {number.unit}{'π' * number.pi}" if number else part


def _interval(text: str) -> tuple[str, ...] | None:
    found = INTERVAL.fullmatch(plain(text).removesuffix("."))
    if found is None:
        return None
    closed = "[" if found[1] == "[" else "(", "]" if found[4] == "]" else ")"
    return closed[0], _end(found[2]), _end(found[3]), closed[1]


def _end(text: str) -> str:
    sign = "-" if text.startswith("-") else ""
    return sign + "∞" if text.removeprefix("-").strip() in INFINITE else _canonical(text)
