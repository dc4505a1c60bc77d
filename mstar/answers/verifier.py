"""The face of a verifier, and the strict one."""

from __future__ import annotations

import re
from typing import Protocol

from mstar.answers.extract import READ, extract_answer
from mstar.answers.kinds.choices import choice
from mstar.answers.prose.affirm import OPENED
from mstar.answers.prose.choose import concluded_choice
from mstar.answers.prose.conclude import concluded_number
from mstar.answers.prose.leading import leading_number
from mstar.answers.prose.sentences import first_turn
from mstar.answers.reference import reference
from mstar.answers.verify import Judgement, judge
from mstar.types import Prompt

OPENING = re.compile(r"\W*[A-Z](?:[.:)]|\s*[-–])\s")
FIGURES = re.compile(r"(?:[^\w=≈]|\d)+")  # "7, 8" is stated and is no number; "5 + 2 = 7" may be read on
LISTED = re.compile(r"\[[^\[\]]*\]")


class Verifier(Protocol):
    """Judges a response: a function, or an object of a class that a configuration names by ``class_path``.

    It says ``unscorable``, with a reason, where it can tell neither right nor wrong, and never turns an exception into
    a verdict.
    """

    def __call__(self, text: str, prompt: Prompt, /) -> Judgement:
        """Judge a response's text against its prompt."""
        ...


class Strict:
    """Judges what a response states or, if it states nothing, what it concludes in plain words; it never guesses.

    `verify`, the default of rewards, demands that the answer is stated ("# Answer", a box, "the answer is"). This one
    also takes a response that is nothing but an answer, and a conclusion that leaves no doubt: "Therefore, 8 remain.",
    "The sun is not the smallest." as a no. Two candidates are none.
    """

    def __call__(self, text: str, prompt: Prompt, /) -> Judgement:
        """Judge a response."""
        if len(text) > READ:  # where it begins is not read: only what it states counts
            return judge(extract_answer(text), prompt)
        return judge(strict_answer(first_turn(text), prompt), prompt)


def strict_answer(text: str, prompt: Prompt) -> str | None:
    """The answer a response states, is or concludes, or ``None``.

    >>> strict_answer("There are three cubes.", Prompt("p", "How many cubes?", meta={"answer_type": "integer"}))
    '3'
    """
    stated = extract_answer(text)
    right = reference(prompt)
    if right.kind == "choice":
        if stated is not None:
            return stated
        for part in (text.strip(), text.strip().split("\n", 1)[0]):
            if choice(part, right.choices) and not OPENED.match(part):  # what follows a yes may contradict it
                return part
        return None if OPENING.match(text) else concluded_choice(text, prompt.question, right.choices)
    if right.kind in ("integer", "float") and not (stated and (FIGURES.fullmatch(stated) or leading_number(stated))):
        if "\n" not in text.strip() and (bare := leading_number(text)):
            return bare
        return concluded_number(text, prompt.question) or stated
    if right.kind == "list" and stated is None and len(found := LISTED.findall(text)) == 1:
        return str(found[0])
    return stated
