"""Which option of a multiple-choice question an answer names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from mstar.answers.kinds.mentions import mentioned
from mstar.answers.kinds.quantity import quantity, same_number
from mstar.answers.plain import normalized, plain, yes_or_no

LETTER = re.compile(
    r"(?:(?:the\s+)?(?:option|choice|letter)\s+)?"
    r"(?:[(\[]([A-Z])[)\]]|([A-Z])(?=[.:)](?:\W|$)|\s*[,(=–—-]|\s*$)|(?-i:([A-Z])(?=\s+(?:because|since|as|which)\b)))(.*)",
    re.DOTALL | re.IGNORECASE,
)
MARKED = re.compile(r"\W*A\s*:\s*")  # "A: No" is an answer, not the first option
TAIL = re.compile(r"(.+?)\s*\(([a-z])\)")
PARENTHESISED = re.compile(r"\(([A-Z])\)")
ANOTHER = re.compile(r"\W*(?:or|and)?\W*([A-Z])\W*")


def choice(text: str, choices: Sequence[str]) -> str | None:
    """Normalized words of the choice that a text names, or ``None``.

    A choice is named by its words, by its letter, alone or with words behind it, by its number, or by its yes or no.
    Words win over letters, for some data sets have letters as choices. Naming two is naming none.

    >>> choice("(B). 70°", ["60°", "70°"]), choice("70", ["60°", "70°"]), choice("A or B", ["60°", "70°"])
    ('70°', '70°', None)
    """
    words = option_words(tuple(choices))
    said = normalized(text)
    if said in words and not _other_letter(text, said, words):
        return said
    if (marked := MARKED.match(text)) and (word := _word(text[marked.end() :], words)) and quantity(word) is None:
        return word
    if found := LETTER.fullmatch(plain(text)):
        return _by_letter((found[1] or found[2] or found[3]).upper(), found[4], words)
    if (tail := TAIL.fullmatch(said)) and tail[1] in words:
        return tail[1] if ord(tail[2]) - ord("a") == words.index(tail[1]) else None
    return _by_value(text, words) or _by_beginning(said, words)


@lru_cache(maxsize=4096)
def option_words(choices: tuple[str, ...]) -> tuple[str, ...]:
    """Every option as it is compared."""
    return tuple(normalized(option) for option in choices)


def _by_letter(letter: str, rest: str, words: Sequence[str]) -> str | None:
    index = ord(letter) - ord("A")
    if index >= len(words):  # "(C) No" of two: the words speak
        return _word(rest, words)
    if not rest:
        return words[index]
    if _contradicts(rest, words[index], words):
        return None
    others = {*PARENTHESISED.findall(rest), *(found[1] for found in [ANOTHER.fullmatch(rest)] if found)} - {letter}
    return None if others else words[index]


def _word(text: str, words: Sequence[str]) -> str | None:
    said = normalized(text)
    found = said if said in words else yes_or_no(text)
    return found if found in words else None


def _contradicts(rest: str, word: str, words: Sequence[str]) -> bool:
    """Whether what stands behind a letter is another option or number than the letter's: "(B) 60°", "A: No, …"."""
    said = re.split(r"[.!?]\s", rest.strip(" .,:;-()\n"), maxsplit=1)[0]
    named = mentioned(said, words)
    return (named != [] and word not in named) or (quantity(said) is not None and same_number(said, word) is False)


def _other_letter(text: str, said: str, words: Sequence[str]) -> bool:
    """Whether a text in capitals, "(B)", is the letter of one option and the words, "(b)", of another."""
    found = PARENTHESISED.fullmatch(text.strip())
    index = ord(found[1]) - ord("A") if found else len(words)
    return index < len(words) and words[index] != said


def _by_value(text: str, words: Sequence[str]) -> str | None:
    if quantity(text) is None:
        said = yes_or_no(text)
        return said if said in words else None
    same = {word for word in words if same_number(text, word)}
    return same.pop() if len(same) == 1 else None


def _by_beginning(said: str, words: Sequence[str]) -> str | None:
    """The longest option that the text begins with, if something else than another option follows."""
    begun = [word for word in words if len(word) > 2 and re.match(rf"{re.escape(word)}(?![\w.,/°-]*\w)", said)]
    if not begun:
        return None
    longest = max(begun, key=len)
    rest = said[len(longest) :]
    return None if re.match(r"\s*(?:,\s*)?(?:or|and)\b", rest) else longest
