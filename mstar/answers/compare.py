"""Equality of an answer and a reference, by the type of the answer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation

LETTER = re.compile(r"^\(?([A-Za-z])\)?[.:)]?$")
LETTER_AND_TEXT = re.compile(r"^\(?([A-Z])[).:]\s+(.+)$")


def equal(
    answer: str,
    reference: str,
    answer_type: str = "text",
    choices: Sequence[str] = (),
    precision: int | None = None,
) -> bool | None:
    """Whether an answer equals its reference.

    Args:
        answer: As extracted from a response.
        reference: The data set's answer.
        answer_type: ``integer``, ``float``, ``list`` or ``text`` (MathVista's field).
        choices: Options of a multiple-choice question; the answer may be a letter or an option's text.
        precision: Decimal places to which floats are rounded before they are compared.

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
    if choices:
        return _equal_choice(answer, reference, choices)
    if answer_type in ("integer", "float"):
        return _equal_number(answer, reference, precision)
    if answer_type == "list":
        return _equal_list(answer, reference)
    number = _equal_number(answer, reference, precision)
    return normalized(answer) == normalized(reference) if number is None else number


def normalized(text: str) -> str:
    """Text as it is compared: case, spaces, surrounding quotes and a final full stop do not count.

    >>> normalized(' "Yes." ')
    'yes'
    """
    return " ".join(text.casefold().split()).strip("\"'` ").removesuffix(".").strip("\"'` ")


def number(text: str) -> Decimal | None:
    """The number a text is, or ``None``; thousands separators, a unit sign and a unicode minus are understood.

    >>> number("−1,200.50"), number("12%"), number("twelve")
    (Decimal('-1200.50'), Decimal('12'), None)
    """
    plain = text.strip().strip("$").replace("−", "-").removesuffix(".").removesuffix("%").strip()
    if re.fullmatch(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?", plain):
        plain = plain.replace(",", "")
    try:
        value = Decimal(plain)
    except InvalidOperation:
        return None
    return value if value.is_finite() else None


def items(text: str) -> list[str]:
    """Parts of a list, brackets and spaces left out.

    >>> items("[4, 11]")
    ['4', '11']
    """
    return [normalized(item) for item in re.split(r"[,;]", text.strip().strip("[](){}"))]


def _equal_choice(answer: str, reference: str, choices: Sequence[str]) -> bool | None:
    right, given = _choice(reference, choices), _choice(answer, choices)
    return None if right is None else given == right


def _choice(text: str, choices: Sequence[str]) -> int | None:
    """Index of the choice a text names: its own words first, then a letter, then a letter with words."""
    plain = [normalized(choice) for choice in choices]
    if normalized(text) in plain:
        return plain.index(normalized(text))
    letter = re.sub(r"^(option|choice)\s+", "", text.strip(), flags=re.IGNORECASE)
    if match := LETTER.match(letter) or LETTER_AND_TEXT.match(letter):
        index = ord(match.group(1).upper()) - ord("A")
        return index if index < len(choices) else None
    return None


def _equal_number(answer: str, reference: str, precision: int | None) -> bool | None:
    right, given = number(reference), number(answer)
    if right is None:
        return None
    if given is None:
        return False
    if precision is None:
        return given == right
    return abs(given - right) <= Decimal(1).scaleb(-precision) / 2


def _equal_list(answer: str, reference: str) -> bool | None:
    right, given = items(reference), items(answer)
    if not any(right):
        return None
    return len(given) == len(right) and all(equal(a, b) is True for a, b in zip(given, right, strict=True))
