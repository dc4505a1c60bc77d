"""MathVista's official protocol, with rules where it asks a language model.

The protocol (Lu et al., 2024; its scripts ``extract_answer`` and ``calculate_score``) has GPT-4 shorten the response to
an answer, which is then normalised by type and compared as text. We differ in the first half alone: the answer is what
the response states, else what it concludes, else what it says last.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from mstar.answers.extract import READ, UNDECIDED, extract_answer, stated
from mstar.answers.kinds.choices import choice, option_words
from mstar.answers.kinds.edit import nearest
from mstar.answers.kinds.mentions import mentioned
from mstar.answers.kinds.quantity import quantity
from mstar.answers.prose.choose import concluded_choice, own_words, said_choice
from mstar.answers.prose.conclude import concluded_number, conclusions
from mstar.answers.prose.said import said_number
from mstar.answers.prose.sentences import content, first_turn, sentences
from mstar.answers.prose.spoken import numbers
from mstar.answers.reference import Reference, reference
from mstar.answers.verify import Judgement
from mstar.types import Prompt

LETTER = re.compile(r"\(([a-zA-Z])\)")
OPENING = re.compile(r"[^\w(]*(?:\(([A-Za-z])\)|([A-Z])\s*(?:[.):–-]|\n|$))[^\S\n]*(.*)")
ALONE = re.compile(r"^\W*([A-Z])(?:\W*$|[:.)])")
BETWEEN = re.compile(
    r"\b(?:between|from) [$€£]?[\d,.]+%? (?:and|to) [$€£]?\d|\d%? (?:to|or) \d|\d[-–]\d+\s+[a-z]", re.IGNORECASE
)
UNANSWERED = "Cannot be determined"
"""What the language model is taken to write for a response that answers none of two choices; of more, nothing."""
LISTED = re.compile(r"\[[^\[\]]*\]")
LONGEST = 2_000
"""Characters of a stated answer that are read: edit distance and sentences take time that grows with the square."""


def extract_choice(text: str, question: str, choices: Sequence[str]) -> str:
    """What a response answers to a question with choices: a choice's own text, or words to find the nearest one for."""
    words = option_words(tuple(choices))
    for phrase in (extract_answer(text), *reversed(stated(text))):
        if phrase and (found := _lettered(phrase, choices) or _own(choice(phrase, choices), words, choices)):
            return found
    if found := _opened(text, words, choices):
        return found
    if phrase := extract_answer(text):
        return _own(concluded_choice(text, question, choices), words, choices) or phrase
    if found := _own(choice(text, choices) or concluded_choice(text, question, choices), words, choices):
        return found
    if UNDECIDED.search(text):
        return UNANSWERED if len(choices) == 2 else ""
    said = sentences(text)
    if all(quantity(word) for word in words) and (number := extract_number(text, question)):
        return number
    for sentence in (*conclusions(said, question), *said[:1], *reversed(said)):
        if found := _own(said_choice(sentence, question, words) or _last_mentioned(sentence, words), words, choices):
            return found
    if all(quantity(word) for word in words):
        return ""
    return _own(_some_words(text, words), words, choices) or text.strip()


def extract_number(text: str, question: str) -> str | None:
    """The number a response gives, in digits; ``None`` if it gives none."""
    for phrase in (extract_answer(text), *reversed(stated(text))):
        if phrase and BETWEEN.search(phrase):
            return None
        if phrase and (found := leading_number(phrase, question)):
            return found
    if quantity(text) is not None:
        return text
    if found := concluded_number(text, question):
        return found
    said = sentences(text)
    if said and UNDECIDED.search(said[-1]):
        return None
    for sentence in (*conclusions(said, question), *reversed(said)):
        if BETWEEN.search(sentence):
            return None
        if found := said_number(sentence, question) or next(reversed(numbers(sentence)), None):
            return found
    return None


def leading_number(phrase: str, question: str) -> str | None:
    """The number that a stated answer is or begins with, else the one it says."""
    found = numbers(phrase[:LONGEST])
    return said_number(phrase[:LONGEST], question) or (found[0] if found else None)


def extract_list(text: str) -> str | None:
    """The last list in square brackets, else the numbers of the answer or of the last sentence that has two.

    >>> extract_list("The years were 2014 and 2016.")
    '[2014, 2016]'
    """
    if found := LISTED.findall(text):
        return str(found[-1])
    for phrase in (extract_answer(text) or "", *reversed(sentences(text))):
        if len(said := numbers(phrase)) > 1:
            return f"[{', '.join(said)}]"
    return None


def normalise_choice(extraction: str, choices: Sequence[str]) -> str:
    """The choice that the official protocol takes: by a letter in brackets, by a letter alone, else the nearest text.

    >>> normalise_choice("(B) 60", ["60", "70"]), normalise_choice("seventy", ["sixty", "seventyone"])
    ('70', 'seventyone')
    """
    extraction = extraction.strip()
    if letters := LETTER.findall(extraction):
        extraction = letters[0].upper()
    if len(extraction) == 1 and 0 <= ord(extraction) - ord("A") < len(choices):
        return choices[ord(extraction) - ord("A")]
    return extraction if extraction in choices else nearest(extraction[:LONGEST], choices)


def normalise_number(extraction: str | None, answer_type: str, precision: int | None) -> str | None:
    """The text that the official protocol compares: an integer cut, not rounded; a float rounded to its precision.

    >>> normalise_number("4.7", "integer", None), normalise_number("0.128", "float", 2)
    ('4', '0.13')
    """
    number = quantity(extraction or "")
    if number is None:
        return None
    value = float(number.value)
    return str(int(value)) if answer_type == "integer" else str(round(value, precision or 0))


class MathVista:
    """Grades as MathVista's official protocol does, guesses included: for numbers to publish, not for rewards.

    The protocol knows no unscorable answer: the nearest choice is always taken, and what is no number is wrong. Only a
    prompt without a reference is unscorable.
    """

    def __call__(self, text: str, prompt: Prompt, /) -> Judgement:
        """Judge a response by the fields of MathVista in ``prompt.meta``."""
        if prompt.answer is None or not prompt.answer.strip():
            return Judgement("unscorable", None, "the prompt has no reference answer")
        right = reference(prompt)
        found = self.extract(first_turn(text[-READ:]), prompt.question, right)
        if found is None:
            return Judgement("wrong", None, "no answer")
        if found == right.answer:
            return Judgement("correct", found, "right")
        return Judgement("wrong", found, "wrong answer")

    def extract(self, text: str, question: str, right: Reference) -> str | None:
        """The normalised answer of a response, or ``None``."""
        if right.kind == "choice":
            return normalise_choice(extract_choice(text, question, right.choices), right.choices)
        if right.kind in ("integer", "float"):
            return normalise_number(extract_number(text, question), right.kind, right.precision)
        if right.kind == "list":
            return extract_list(text)
        return extract_answer(text) or text.strip() or None


def _opened(text: str, words: Sequence[str], choices: Sequence[str]) -> str | None:
    """The letter a response opens with or, if it is not in brackets, the choice that is named behind it."""
    opened = OPENING.match(text)
    if opened is None:
        return None
    named = [] if opened[1] else mentioned(re.split(r"[.!?]\s", opened[3])[0], words)
    if len(named) == 1 and ord(opened[2]) - ord("A") < len(words):
        return _own(named[0], words, choices)
    return _lettered(f"({opened[1] or opened[2]})", choices)


def _lettered(phrase: str, choices: Sequence[str]) -> str | None:
    """The protocol takes a letter in brackets for a place in the list, even where the choices are letters.

    A letter beyond the list, as in "(C) Cannot be determined" of two, is then compared with the choices like any text.
    """
    letters = LETTER.findall(phrase) or ALONE.findall(phrase)
    if not letters:
        return None
    index = ord(letters[0].upper()) - ord("A")
    return choices[index] if index < len(choices) else letters[0].upper()


def _own(word: str | None, words: Sequence[str], choices: Sequence[str]) -> str | None:
    return None if word is None else choices[words.index(word)]


def _some_words(text: str, words: Sequence[str]) -> str | None:
    """The choice of which a response says words that are no other choice's."""
    said = content(text)
    some = [word for word, own in zip(words, own_words(tuple(words)), strict=True) if own & said]
    return some[0] if len(some) == 1 else None


def _last_mentioned(sentence: str, words: Sequence[str]) -> str | None:
    named = mentioned(sentence, words)
    return named[-1] if named else None
