"""Equality of an answer and a reference, by the type of the answer."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mstar.answers.choices import choice
from mstar.answers.plain import normalized, plain, yes_or_no
from mstar.answers.quantity import same_number


def equal(
    answer: str,
    reference: str,
    answer_type: str = "text",
    choices: Sequence[str] = (),
    precision: int | None = None,
    unit: str | None = None,
) -> bool | None:
    """Whether an answer equals its reference.

    The paper trains on exact match, 1(â = a*), and does not state how answers are normalized; MathVista's protocol
    lets a language model extract the answer and takes the nearest choice. This rule knows types, and takes no nearest.

    Args:
        answer: As extracted from a response.
        reference: The data set's answer.
        answer_type: ``integer``, ``float``, ``list`` or ``text`` (MathVista's field).
        choices: Options of a multiple-choice question; the answer may be a letter, an option's text or its number.
        precision: Decimal places that count in a float; ``None`` compares exactly.
        unit: What the reference is measured in; another unit in the answer makes it wrong, none does not.

    Returns:
        ``None`` if the reference cannot be read as its type.

    >>> equal("(B)", "7", choices=["3", "7"])
    True
    >>> equal("1,234", "1234", "integer"), equal("-5", "5", "integer")
    (True, False)
    >>> equal("[4, 11]", "4,11", "list")
    True
    >>> equal("3.14159", "3.14", "float", precision=2)
    True
    """
    if not normalized(reference):
        return None
    if choices:
        right = choice(reference, choices)
        return None if right is None else choice(answer, choices) == right
    if answer_type in ("integer", "float"):
        return same_number(answer, reference, precision if answer_type == "float" else None, unit)
    if answer_type == "list":
        return _same_list(answer, reference)
    return _same_text(answer, reference, precision, unit)


def items(text: str) -> list[str]:
    """Parts of a list, brackets and spaces left out.

    >>> items("[4, 11]")
    ['4', '11']
    """
    return [normalized(item) for item in re.split(r"[,;]", plain(text).strip("[](){} "))]


def _same_text(answer: str, reference: str, precision: int | None, unit: str | None) -> bool:
    if normalized(answer) == normalized(reference):
        return True
    if normalized(reference) in ("yes", "no"):
        return yes_or_no(answer) == normalized(reference)
    return same_number(answer, reference, precision, unit) is True


def _same_list(answer: str, reference: str) -> bool | None:
    right, given = items(reference), items(answer)
    if not all(right):
        return None
    return len(given) == len(right) and all(_same_text(a, b, None, None) for a, b in zip(given, right, strict=True))
