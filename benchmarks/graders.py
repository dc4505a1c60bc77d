r"""Rules that others grade with, written anew from descriptions of them, and math-verify alone.

Each says whether a response is right, and nothing else: none of them knows an unscorable one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from math_verify import parse, verify

from mstar.types import Prompt

BOXED = re.compile(r"\\boxed{([^}]*)}")
LETTER = re.compile(r"\(([a-zA-Z])\)")
STATED = re.compile(r"(?:answer is|answer:|# answer)\s*(.*)", re.IGNORECASE)
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def math_verify_alone(text: str, prompt: Prompt) -> bool:
    """What ``parse`` finds in the response against what it finds in the reference, in this process, without limits."""
    expected = parse(f"${prompt.answer}$", parsing_timeout=None)
    return verify(expected, parse(text, parsing_timeout=None), timeout_seconds=None)


def ms_swift(text: str, prompt: Prompt) -> bool:
    r"""The first ``\boxed{…}`` up to the first closing brace, else the text; equal as text with the reference's."""
    return _boxed(text) == _boxed(f"\\boxed{{{prompt.answer}}}")


def _boxed(text: str) -> str:
    found = BOXED.search(text)
    return (found[1] if found else text).strip()


def lmms_eval(text: str, prompt: Prompt) -> bool:
    """MathVista's scoring: by type, the nearest choice by edit distance, equal as text.

    Where a language model is asked to extract, a pattern stands for it here: it takes microseconds, the model a second.
    """
    stated = STATED.search(text.replace("\n", " ")) or BOXED.search(text)
    answer = (stated[1] if stated else text).strip().removesuffix(".")
    choices, kind = prompt.meta.get("choices"), prompt.meta.get("answer_type")
    if choices:
        return _nearest(answer, choices) == prompt.answer
    if kind in ("integer", "float"):
        number = NUMBER.search(answer)
        if number is None:
            return False
        value = float(number[0])
        answer = str(int(value)) if kind == "integer" else str(round(value, int(prompt.meta["precision"])))
    return answer == prompt.answer


def _nearest(answer: str, choices: Sequence[str]) -> str:
    letters = LETTER.findall(answer)
    letter = letters[0].upper() if letters else answer
    if len(letter) == 1 and 0 <= ord(letter) - ord("A") < len(choices):
        return choices[ord(letter) - ord("A")]
    return min(choices, key=lambda one: _distance(answer, one))


def _distance(a: str, b: str) -> int:
    row = list(range(len(b) + 1))
    for i, left in enumerate(a, 1):
        corner, row[0] = row[0], i
        for j, right in enumerate(b, 1):
            corner, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, corner + (left != right))
    return row[-1]
