"""Which options of a multiple-choice question a text mentions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import islice

from mstar.answers.plain import normalized

MOST = 50
"""Mentions of one option that are looked at: they are compared in pairs, and responses may repeat themselves."""


def mentioned(sentence: str, words: Sequence[str]) -> list[str]:
    """The choices whose words stand in a sentence; one that is part of another's words there does not count.

    >>> mentioned("It is quarter past three.", ["quarter", "quarter past", "half"])
    ['quarter past']
    """
    said = normalized(sentence)
    found = ((one, word) for word in dict.fromkeys(words) for one in islice(_pattern(word).finditer(said), MOST))
    spans = [(one.start(), one.end(), word) for one, word in found]
    outer = [
        word
        for start, end, word in spans
        if not any(s <= start and end <= e and (s, e) != (start, end) for s, e, _ in spans)
    ]
    return list(dict.fromkeys(outer))


@lru_cache(maxsize=4096)
def _pattern(word: str) -> re.Pattern[str]:
    if len(word) == 1 and word.isalpha():  # an article is no choice
        return re.compile(
            rf"(?<=\bis )(?:figure |shape |image |cube |letter |option )?\(?{word}\)?(?=$|[.,;])|\({word}\)"
        )
    return re.compile(rf"(?<![\w.]){re.escape(word)}(?!\w|\.\d|[°%]?-\d)")
