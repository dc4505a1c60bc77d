"""The number a stated answer begins with."""

from __future__ import annotations

import re

from mstar.answers.plain import plain
from mstar.answers.prose.spoken import NUMBER, spoken

NAMED = re.compile(r"(?:[A-Za-z∠△][\w∠△]{0,4}(?:\([a-z0-9]\))?\s*)?[=≈:]\s*")
GOES_ON = re.compile(
    r"\s*(?:[-+*×÷/=^(<>±]|(?:and|or|to|times|plus|minus|half|point|squared|cubed|x|if|not|dozen)\b)|\w",
    re.IGNORECASE,
)
DENIED = re.compile(r"\b(?:not|never)\b|n't\b", re.IGNORECASE)


def leading_number(text: str) -> str | None:
    """The number, in digits, that a text begins with, unless another number, a denial or what adds to it follows.

    >>> leading_number("5 objects are left"), leading_number("x = -3"), leading_number("5 or 6")
    ('5', '-3', None)
    """
    said = plain(text)
    if name := NAMED.match(said):
        said = said[name.end() :]
    found = NUMBER.match(said)
    if found is None or GOES_ON.match(said, found.end()):
        return None
    if NUMBER.search(said, found.end()) or DENIED.search(said, found.end()):
        return None
    return spoken(found)
