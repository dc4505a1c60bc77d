"""Find the final answer a response states; never guess one."""

from __future__ import annotations

import re

MARKER = re.compile(r"#+ ?Answer\b:?")
STATED = re.compile(r"\banswer(?:\*\*)?\s*(is\b\s*:?|:)(?:\*\*)?\s*(\S.*)?", re.IGNORECASE)
BRACE = re.compile(r"(?<!\\)[{}]|\\boxed\s*\{")
SENTENCE_END = re.compile(r"\.\s+(?=[A-Z])")


def extract_answer(text: str) -> str | None:
    r"""Give the stated final answer, or ``None``.

    In this order: what follows the last ``# Answer`` (the paper's format), the last ``\boxed{…}`` with its braces
    matched, the last "Answer: …" up to the end of its line or "the answer is …" up to the end of its sentence. A number
    that merely comes last is not an answer: for rewards, guessing makes false positives. Where the last statement
    breaks off, an earlier one does not count.

    >>> extract_answer("4+0=4\n\n# Answer\n\n4")
    '4'
    >>> extract_answer(r"so \boxed{\frac{1}{2}}")
    '\\frac{1}{2}'
    >>> extract_answer("6+5=11\nAnswer: 4,11")
    '4,11'
    >>> extract_answer("it is 11") is None
    True
    """
    marked = MARKER.split(text)
    boxed = last_boxed(marked[-1])
    if boxed is not None:
        return boxed.strip() or None
    return (marked[-1].strip() or None) if len(marked) > 1 else _stated(text)


def last_boxed(text: str) -> str | None:
    r"""Content of the last ``\boxed{…}`` whose braces close.

    >>> last_boxed(r"\boxed{1} or \boxed{a_{2}}")
    'a_{2}'
    """
    opened: list[tuple[int, bool]] = []
    closed = (-1, -1)
    for brace in BRACE.finditer(text):
        if brace[0] != "}":
            opened.append((brace.end(), brace[0] != "{"))
        elif opened:
            start, boxed = opened.pop()
            closed = max(closed, (start, brace.start())) if boxed else closed
    return text[closed[0] : closed[1]] if closed[0] >= 0 else None


def _stated(text: str) -> str | None:
    stated = STATED.findall(text)
    if not stated:
        return None
    verb, line = stated[-1]
    answer = SENTENCE_END.split(line)[0] if verb.casefold().startswith("is") else line
    return answer.strip().removesuffix(".").strip() or None
