"""Which option of a multiple-choice question an answer names."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mstar.answers.plain import normalized, plain, yes_or_no
from mstar.answers.quantity import same_number

LETTER = re.compile(
    r"(?:(?:option|choice)\s+)?(?:\(([A-Z])\)|([A-Z])(?=[.:)](?:\s|$)|\s*[,(]|$))(.*)", re.DOTALL | re.IGNORECASE
)
PARENTHESISED = re.compile(r"\(([A-Z])\)")
ANOTHER = re.compile(r"\W*(?:or|and)?\W*([A-Z])\W*")


def choice(text: str, choices: Sequence[str]) -> str | None:
    """Normalized words of the choice that a text names, or ``None``.

    A choice is named by its words, by its letter, alone or with words behind it, by its number, or by its yes or no.
    Words win over letters, for some data sets have letters as choices. Naming two is naming none.

    >>> choice("(B). 70°", ["60°", "70°"]), choice("70", ["60°", "70°"]), choice("A or B", ["60°", "70°"])
    ('70°', '70°', None)
    """
    words = [normalized(option) for option in choices]
    if normalized(text) in words:
        return normalized(text)
    if found := LETTER.fullmatch(plain(text)):
        return _by_letter((found[1] or found[2]).upper(), found[3], words)
    return _by_value(text, words)


def _by_letter(letter: str, rest: str, words: Sequence[str]) -> str | None:
    index = ord(letter) - ord("A")
    if index >= len(words):
        return None
    said = normalized(rest.strip(" .,:;-()"))
    others = {*PARENTHESISED.findall(rest), *(found[1] for found in [ANOTHER.fullmatch(rest)] if found)} - {letter}
    return None if others or (said in words and said != words[index]) else words[index]


def _by_value(text: str, words: Sequence[str]) -> str | None:
    same = {word for word in words if same_number(text, word) or yes_or_no(text) == word}
    return same.pop() if len(same) == 1 else None
