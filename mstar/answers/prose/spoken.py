"""Numbers in running text, in digits or in words."""

from __future__ import annotations

import re

from mstar.answers.plain import plain

ONES = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
TEENS = ("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen")
WORDS = {word: value for value, word in enumerate(("zero", *ONES, *TEENS))}
TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
SPOKEN = rf"(?:(?P<tens>{'|'.join(TENS)})(?:[- ](?P<after>{'|'.join(ONES)}))?|(?P<ones>{'|'.join(WORDS)}))"
NUMBER = re.compile(
    r"(?<![\w.^_/\\])(?<![A-Za-z]-)(?<!\d:)"
    r"(?P<negative>(?<![\d)]\s)\b(?:negative|minus)\s+)?(?:(?P<digits>(?:(?<![\w)%°}])[+-])?[$€£¥]?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?"
    r"(?:\s?[×x]\s?10\^\{?-?\d+\}?|/\d+(?![\d/]))?(?:\s(?:million|billion)\b)?)"
    r"(?![\w^]*_|:\d|\.?\d|(?-i:[a-fi-kn-rt-z])\b)"
    rf"|\b{SPOKEN}\b(?!-))",
    re.IGNORECASE,
)


def spoken(found: re.Match[str]) -> str:
    """A number found by `NUMBER`, in digits.

    >>> [spoken(found) for found in NUMBER.finditer("twenty-one cubes of 1,200 and N_0")]
    ['21', '1,200']
    """
    sign = "-" if found["negative"] else ""
    if found["digits"]:
        return sign + found["digits"]
    if found["tens"]:
        return f"{sign}{20 + 10 * TENS.index(found['tens'].casefold()) + _small(found['after'] or 'zero')}"
    return f"{sign}{_small(found['ones'])}"


def _small(word: str) -> int:
    return WORDS[word.casefold()]


def numbers(text: str) -> list[str]:
    """Every number of a text, in digits, in order.

    >>> numbers("After 2 of them left, there are **three** cubes.")
    ['2', '3']
    """
    return [spoken(found) for found in NUMBER.finditer(plain(text))]
