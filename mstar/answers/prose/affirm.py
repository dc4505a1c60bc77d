"""Whether a response says yes or no to a question, where it says neither word."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mstar.answers.prose.sentences import THEREFORE, asked, content, stem

OPENED = re.compile(r"\W*(yes|no)\b\s*(?:[,.;:!]|$|\*)", re.IGNORECASE)
NOT = re.compile(r"\b(?:not|never|none|neither|cannot|no)\b|n't\b", re.IGNORECASE)
ASKING = re.compile(r"\b(?:question|asks?|whether|if|need to|to determine|to answer)\b", re.IGNORECASE)
UNSURE = re.compile(
    r"\b(?:possible|determine|definitive|clear|unclear|enough|unable|sorry|provide|cannot see)", re.IGNORECASE
)
OPPOSITES = [
    {
        "fewer": "more",
        "less": "greater",
        "smaller": "larger",
        "shorter": "taller",
        "lower": "higher",
        "minimum": "maximum",
    },
    {"less": "more", "lowest": "highest", "smallest": "largest", "smoothest": "roughest", "before": "after"},
    {
        "few": "many",
        "fewer": "greater",
        "odd": "even",
        "decrease": "increase",
        "smaller": "bigger",
        "same": "different",
    },
]
OPPOSITE = {
    (stem(a), stem(b)) for pairs in OPPOSITES for one, other in pairs.items() for a, b in ((one, other), (other, one))
}


def affirmed(said: Sequence[str], question: str, enough: float = 0.7) -> str | None:
    """``yes`` or ``no`` as the sentences of a response say it, or ``None``.

    Heard are a yes or no that opens the first sentence and is not contradicted by it, then a sentence that repeats the
    question as a statement. With a negation, the opposite of one of its words or the sides of a comparison changed, it
    is a no.

    Args:
        said: The response's sentences.
        question: A question that yes or no answers.
        enough: Share of the question's words, in [0, 1], that a statement must repeat.

    >>> affirmed(["Cyan is not the minimum."], "Is Cyan the minimum?")
    'no'
    >>> affirmed(["It is blue."], "Is Cyan the minimum?") is None
    True
    """
    about = content(asked(question))
    if opened := (OPENED.match(said[0]) if said else None):
        restated = _restated(said[0][opened.end() :], question, about, enough)
        return None if restated not in (None, opened[1].casefold()) else opened[1].casefold()
    marked = [sentence for sentence in reversed(said) if THEREFORE.search(sentence)]
    for sentence in (*marked, *said):
        if found := _restated(sentence, question, about, enough):
            return found
    return None


def _restated(sentence: str, question: str, about: frozenset[str], enough: float) -> str | None:
    words = content(sentence)
    opposed = any((a, b) in OPPOSITE for a in about - words for b in words - about)
    if not about or len(about & words) + opposed < enough * len(about) or _unsure(sentence):
        return None
    return "no" if opposed or _negated(sentence, question) or _swapped(sentence, question) else "yes"


def _unsure(sentence: str) -> bool:
    return bool(UNSURE.search(sentence) or ASKING.search(sentence))


def _negated(sentence: str, question: str) -> bool:
    return bool(NOT.search(sentence)) and not NOT.search(question)


def _swapped(sentence: str, question: str) -> bool:
    """Whether the two sides of a comparison have changed places."""
    if " than " not in sentence or " than " not in question:
        return False
    (a, b), (c, d) = ([content(side) for side in text.split(" than ", 1)] for text in (asked(question), sentence))
    left, right, first, second = a - b, b - a, c - d, d - c
    return len(left & second) * len(right & first) > len(left & first) * len(right & second)
