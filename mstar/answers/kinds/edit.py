"""Edit distance."""

from __future__ import annotations

from collections.abc import Sequence


def distance(one: str, other: str) -> int:
    """Insertions, deletions and substitutions of a character that turn one text into the other (Levenshtein).

    >>> distance("kitten", "sitting"), distance("", "abc")
    (3, 3)
    """
    if len(one) < len(other):
        one, other = other, one
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        previous, row[0] = row[0], i
        for j, b in enumerate(other, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (a != b))
    return row[-1]


def similarity(one: str, other: str) -> float:
    """1 minus the edit distance by the longer text's length, in [0, 1]; two empty texts are the same.

    >>> similarity("abc", "abd"), similarity("", "")
    (0.6666666666666667, 1.0)
    """
    longest = max(len(one), len(other))
    return 1 - distance(one, other) / longest if longest else 1.0


def nearest(text: str, choices: Sequence[str]) -> str:
    """The choice that is fewest edits away; the first of several.

    >>> nearest("sun", ["moon", "sun"])
    'sun'
    """
    return min(choices, key=lambda choice: distance(text, choice))
