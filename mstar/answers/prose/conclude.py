"""The number that a response concludes with, where it states no answer in so many words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from mstar.answers.plain import plain
from mstar.answers.prose.said import said_number
from mstar.answers.prose.sentences import THEREFORE, asked, content, sentences
from mstar.answers.prose.spoken import NUMBER, spoken

HEDGED = re.compile(
    r"\b(?:or|cannot|can't|unable|impossible|isn't|doesn't|(?:is|does|do) not"
    r"|not (?:possible|clear|enough|visible|provided))\b|\bbetween \d+ and \d+|\d:\d|\d%? to [$€£]?\d|_{2,}",
    re.IGNORECASE,
)
BLANK = re.compile(r"([\w']+)\W*(?:\((?:_+|\s*)\)|_{2,})[^\w.?!]*([\w']+)?((?:[^\w.?!]*[\w']+){0,2})")


def concluded_number(text: str, question: str = "") -> str | None:
    """The one number that a response concludes with, in digits, or ``None`` if it concludes none or several.

    Heard are, in this order: the words of the question with its blank filled in; the last sentence with a "therefore"
    or its like that speaks of what was asked; a response of one sentence; the sentence that speaks of what was asked.
    Sentences that weigh ("3 or 4", "cannot") conclude nothing.

    >>> concluded_number("There are 10 objects. Therefore, 10 - 2 = 8 objects are left.")
    '8'
    >>> concluded_number("There are three objects left after subtracting 2 cubes.", "How many objects are left?")
    '3'
    >>> concluded_number("It is 3 or 4."), concluded_number("2+2=4\\n3+3=6")
    (None, None)
    """
    said = sentences(text)
    if filled := _filled(said, question):
        return filled
    for sentence in conclusions(said, question):
        if HEDGED.search(sentence):
            return None
        if number := said_number(sentence, question):
            return number
    return None


def conclusions(said: Sequence[str], question: str) -> Iterator[str]:
    """The sentences that may conclude a response, the most telling first."""
    about = content(asked(question))
    close = [echo(sentence, about) for sentence in said]
    yield from (
        s for s, near in zip(reversed(said), reversed(close), strict=True) if THEREFORE.search(s) and near >= 0.5
    )
    if said and close[0] >= 0.6:
        yield said[0]
    if len(said) == 1:
        yield said[0]
    if said and THEREFORE.search(said[-1]):
        yield said[-1]
    if said and question and len(about) < 2:  # a question in another language, or of symbols, cannot be echoed
        yield said[-1]
    if max(close, default=0) >= 0.5:
        yield from (s for s, near in zip(reversed(said), reversed(close), strict=True) if near == max(close))


def echo(sentence: str, about: frozenset[str]) -> float:
    """Share of a question's words that a sentence repeats, in [0, 1]; 0 if the question has none."""
    return len(about & content(sentence)) / len(about) if about else 0.0


def _filled(said: Sequence[str], question: str) -> str | None:
    """The number in the place of the question's blank, as in "There are (_) dots"."""
    blank = BLANK.search(question)
    if blank is None:
        return None
    before, after = blank[1].casefold(), (blank[2] or "").casefold()
    phrase = f"{after}{blank[3]}".casefold() if blank[3] else None
    for sentence in reversed(said):
        clean = plain(sentence)
        for found in NUMBER.finditer(clean):
            left, right = clean[: found.start()].rstrip().casefold(), clean[found.end() :].lstrip(" -").casefold()
            if (left.endswith(before) and right.startswith(after)) or (phrase and right.startswith(phrase)):
                return spoken(found)
    return None
