"""What a number is measured in."""

from __future__ import annotations

import re

SYMBOL = re.compile(
    r"%|°\s?[CFK]?|[kcmdµ]?m(?:\s?\^?\{?[23]\}?|[²³])?|[km]?g|[mµ]?s|h|min|hr|ft|in|yd|lb|oz|m?[lL]|N|k?J|[kM]?W|[km]?V|m?A"
    r"|[kMG]?Hz|k?Pa|K|C|F|T|Ω|k?m/[sh]|m/s(?:\^?\{?2\}?|²)|mph|rad|[\u4e00-\u9fff]{1,3}|sq\.? ?(?:cm|m|ft|in|units?)"
)
NAMES = {"percent": "%", "percentage point": "%", "per cent": "%", "degree": "°", "year old": "year"}
NAMED = re.compile(r"(?:(?:square|cubic) )?[^\W\d_]{3,}(?: old| points?| per [^\W\d_]{3,})?|per cent")
NO_UNITS = frozenset({"half", "dozen", "hundred", "thousand", "million", "billion", "trillion", "and", "times", "plus"})


def unit_of(text: str, apart: bool = True) -> str | None:
    """The unit that a text names, or ``None`` if it names none; empty for an empty text.

    A unit is a known symbol or, set apart from its number by a space, a word of three letters or more ("square inches",
    "miles per hour", "years old" count as one). Words come back in lower case and the singular.

    >>> unit_of("cm"), unit_of("Years"), unit_of("percent"), unit_of("x"), unit_of("million")
    ('cm', 'year', '%', None, None)
    """
    if not text or SYMBOL.fullmatch(text):
        return text
    words = text.casefold()
    if not apart and words.rstrip("s") not in NAMES:
        return None
    if not NAMED.fullmatch(words) or NO_UNITS & set(words.split()):
        return None
    one = " ".join(_singular(word) for word in words.split())
    return NAMES.get(one, one)


def _singular(word: str) -> str:
    if word in ("feet", "foot"):
        return "foot"
    if word.endswith(("ches", "xes")):
        return word[:-2]
    return word.removesuffix("s") if not word.endswith("ss") else word
