"""The choice that a response concludes with, where it states no answer in so many words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from mstar.answers.extract import UNDECIDED
from mstar.answers.kinds.choices import option_words
from mstar.answers.kinds.mentions import mentioned
from mstar.answers.kinds.quantity import quantity, same_number
from mstar.answers.plain import plain
from mstar.answers.prose.affirm import OPENED, UNSURE, affirmed
from mstar.answers.prose.conclude import HEDGED, conclusions
from mstar.answers.prose.said import said_number
from mstar.answers.prose.sentences import content, sentences

LETTERED = re.compile(
    r"\(([A-Za-z])\)|\b(?:[Oo]ption|[Cc]hoice)\s+\**\(?([A-Z])\b|选项?\s*[是为]?\s*([A-F])(?![A-Za-z])"
    r"|^\**([A-Z])(?:[.)]\s|\**\s+is\s+(?:the\s+)?(?:correct|right|answer))"
)
CLAUSE = re.compile(
    r"^(?:if|when|since|because|given|as|after|based on|according to|in|from|among)\b[^,]*,\s*", re.IGNORECASE
)
AFTER = re.compile(
    r"[,;(]?\s*\b(?:because|since|as (?:the|there|it|they)|where|while|whereas|given that|if|when|due to|in order"
    r"|(?<=, )which)\b",
    re.IGNORECASE,
)


def concluded_choice(text: str, question: str, choices: Sequence[str]) -> str | None:
    """Normalized words of the one choice that a response concludes with, or ``None`` if of none or several.

    A choice is concluded by its letter in brackets, by a yes or no that opens the response, by its words, its number,
    by words that no other choice has, or by being the only one that is mentioned.

    >>> concluded_choice("The fish will likely decrease.", "What happens?", ["It will rise", "It will decrease"])
    'it will decrease'
    >>> concluded_choice("Either 60° or 70°.", "Find x.", ["60°", "70°"]) is None
    True
    """
    words = option_words(tuple(choices))
    said = sentences(text)
    if UNDECIDED.search(text):
        return None
    if said and LETTERED.match(said[0]) and (found := said_choice(said[0], question, words)):
        return found
    if {"yes", "no"} == set(words) and said:
        found = affirmed(said, question)
        if found or OPENED.match(said[0]):  # a yes that its own sentence contradicts is none
            return found
    for sentence in conclusions(said, question):
        if found := said_choice(sentence, question, words):
            return found
    named = mentioned(" ".join(said), words)
    return named[0] if len(named) == 1 and not UNSURE.search(text) else None


def said_choice(sentence: str, question: str, words: Sequence[str]) -> str | None:
    """The one choice that a sentence names, or ``None``."""
    if letters := {"".join(found).upper() for found in LETTERED.findall(sentence)}:
        index = ord(letters.pop()) - ord("A")
        return words[index] if not letters and index < len(words) else None
    if HEDGED.search(sentence) and not any(" or " in word for word in words):
        return None
    main = main_clause(sentence)
    named = mentioned(main, words)
    if len(named) == 1:
        return named[0]
    if named:
        return None
    return _by_number(main, question, words) or _by_own_words(main, question, words)


def main_clause(sentence: str) -> str:
    """A sentence without the condition it opens with and without the reason it gives.

    >>> main_clause("If clams die, octopuses suffer because they eat clams.")
    'octopuses suffer'
    """
    sentence = CLAUSE.sub("", sentence)
    cut = AFTER.search(sentence, 1)
    return sentence[: cut.start()] if cut else sentence


def _by_number(sentence: str, question: str, words: Sequence[str]) -> str | None:
    if sum(quantity(word) is not None for word in words) < len(words) - 1:
        return None
    number = said_number(sentence, question)
    same = {word for word in words if number and same_number(number, word)}
    return same.pop() if len(same) == 1 else None


def _by_own_words(sentence: str, question: str, words: Sequence[str]) -> str | None:
    own = own_words(tuple(words))
    said = content(plain(sentence))
    named = [word for word, mine in zip(words, own, strict=True) if mine & said]
    whole = [word for word, mine in zip(words, own, strict=True) if mine and mine <= said]
    return whole[0] if len(whole) == 1 and len(named) == 1 else None


@lru_cache(maxsize=4096)
def own_words(words: tuple[str, ...]) -> tuple[frozenset[str], ...]:
    """For each choice the words that no other choice has.

    >>> [sorted(own) for own in own_words(("it will rise", "it will fall"))]
    [['ris'], ['fal']]
    """
    contents = [content(word) for word in words]
    return tuple(
        mine - frozenset().union(*(other for j, other in enumerate(contents) if j != i))
        for i, mine in enumerate(contents)
    )
