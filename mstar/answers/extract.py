"""Find the final answer a response states; never guess one."""

from __future__ import annotations

import re

MARKER = "# Answer"
STATED = re.compile(r"(?:^|\n|\b)(?:the\s+)?(?:final\s+)?answer\s*(?:is\s*:?|:)\s*(.+?)\s*(?:$|\n)", re.IGNORECASE)


def extract_answer(text: str) -> str | None:
    r"""Give the stated final answer, or ``None``.

    In this order: what follows the last ``# Answer`` (the paper's format), the last ``\boxed{…}`` with its braces
    matched, the last "Answer: …" or "the answer is …" up to the end of its line. A number that merely comes last is
    not an answer: for rewards, guessing makes false positives.

    >>> extract_answer("4+0=4\n\n# Answer\n\n4")
    '4'
    >>> extract_answer(r"so \boxed{\frac{1}{2}}")
    '\\frac{1}{2}'
    >>> extract_answer("6+5=11\nAnswer: 4,11")
    '4,11'
    >>> extract_answer("it is 11") is None
    True
    """
    if MARKER in text:
        return text.rsplit(MARKER, 1)[1].strip() or None
    if (boxed := last_boxed(text)) is not None:
        return boxed.strip() or None
    stated = STATED.findall(text)
    return stated[-1].strip().removesuffix(".") or None if stated else None


def last_boxed(text: str) -> str | None:
    r"""Content of the last ``\boxed{…}`` whose braces close.

    >>> last_boxed(r"\boxed{1} or \boxed{a_{2}}")
    'a_{2}'
    """
    for match in reversed(list(re.finditer(r"\\boxed\s*\{", text))):
        depth = 1
        for position in range(match.end(), len(text)):
            depth += {"{": 1, "}": -1}.get(text[position], 0)
            if depth == 0:
                return text[match.end() : position]
    return None
