"""Equality of an answer and a reference, by the type of the answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from fractions import Fraction

from mstar.answers.kinds.choices import choice, option_words
from mstar.answers.kinds.edit import similarity
from mstar.answers.kinds.lists import overlap, same_interval, same_list
from mstar.answers.kinds.quantity import quantity, same_number
from mstar.answers.kinds.regions import box_iou, boxes, matched, span_iou, spans
from mstar.answers.plain import normalized, yes_or_no
from mstar.answers.prose.leading import leading_number
from mstar.answers.reference import Reference
from mstar.answers.symbolic.expression import same_expression

LONGEST = 2_000
"""Characters of a text whose edit distance is taken: it costs the product of the lengths."""


def degree(answer: str, right: Reference) -> float | None:
    """How far an answer is right, in [0, 1]: 0 or 1 for types that know only equality.

    Returns:
        ``None`` if the reference cannot be read as its type, or its type is none of `ROUTES`.

    Raises:
        WorkerError: If an expression took too long or too much memory to compare.
    """
    route = ROUTES.get(right.kind)
    if route is None or not normalized(right.answer):
        return None
    found = route(answer, right)
    return None if found is None else float(found)


def equal(
    answer: str,
    reference: str,
    answer_type: str = "text",
    choices: Sequence[str] = (),
    precision: int | None = None,
    unit: str | None = None,
    tolerance: float = 0.0,
) -> bool | None:
    """Whether an answer equals its reference.

    The paper trains on exact match, 1(â = a*), and does not state how answers are normalized; MathVista's protocol
    lets a language model extract the answer and takes the nearest choice. This rule knows types, and takes no nearest.

    Args:
        answer: As extracted from a response.
        reference: The data set's answer.
        answer_type: One of `ROUTES`; the first four are MathVista's.
        choices: Options of a multiple-choice question; the answer may be a letter, an option's text or its number.
        precision: Decimal places that count in a float; ``None`` compares exactly.
        unit: What the reference is measured in; another unit in the answer makes it wrong, none does not.
        tolerance: Share of the reference by which a number may differ, >= 0.

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
    kind = "choice" if choices else answer_type
    found = degree(answer, Reference(reference, kind, tuple(choices), precision, tolerance, unit))
    return None if found is None else found >= 1


def _same_choice(answer: str, right: Reference) -> bool | None:
    expected = choice(right.answer, right.choices)
    return None if expected is None else choice(answer, right.choices) == expected


def _same_integer(answer: str, right: Reference) -> bool | None:
    return _same_number(answer, right, None)


def _same_float(answer: str, right: Reference) -> bool | None:
    return _same_number(answer, right, right.precision)


def _same_number(answer: str, right: Reference, precision: int | None) -> bool | None:
    same = same_number(answer, right.answer, precision, right.unit)
    if same is not False:
        return same
    if quantity(answer) is None and (leading := leading_number(answer)):
        return same_number(leading, right.answer, precision, right.unit) or _near(leading, right)
    return _near(answer, right)


def _near(answer: str, right: Reference) -> bool:
    """Within the tolerance, units apart."""
    given, expected = quantity(answer), quantity(right.answer)
    if not right.tolerance or given is None or expected is None or given.pi != expected.pi:
        return False
    return abs(given.value - expected.value) <= Fraction(right.tolerance) * abs(expected.value)


def _same_text(answer: str, right: Reference) -> bool:
    said, expected = normalized(answer), normalized(right.answer)
    if said == expected:
        return True
    if expected in ("yes", "no"):
        return yes_or_no(answer) == expected
    return same_number(answer, right.answer, right.precision, right.unit) is True


def _same_list(answer: str, right: Reference) -> bool | None:
    return same_list(answer, right.answer, right.precision)


def _same_boxes(answer: str, right: Reference) -> float | None:
    expected = boxes(right.answer)
    return matched(boxes(answer), expected, box_iou) if expected else None


def _same_spans(answer: str, right: Reference) -> float | None:
    expected = spans(right.answer)
    return matched(spans(answer), expected, span_iou) if expected else None


def _similar(answer: str, right: Reference) -> float:
    return similarity(normalized(answer)[:LONGEST], normalized(right.answer)[:LONGEST])


def _has_label(answer: str, right: Reference) -> bool:
    """The answer has the label's words, and no other label's."""
    said, expected = normalized(answer), normalized(right.answer)
    others = [word for word in option_words(right.choices) if word != expected and word not in expected]
    return _has_word(said, expected) and not any(_has_word(said, word) for word in others)


def _has_word(text: str, word: str) -> bool:
    return word in text and re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text) is not None


ROUTES: dict[str, Callable[[str, Reference], float | bool | None]] = {
    "text": _same_text,
    "integer": _same_integer,
    "float": _same_float,
    "list": _same_list,
    "choice": _same_choice,
    "expression": lambda answer, right: same_expression(answer, right.answer),
    "interval": lambda answer, right: same_interval(answer, right.answer),
    "set": lambda answer, right: overlap(answer, right.answer),
    "boxes": _same_boxes,
    "spans": _same_spans,
    "edit": _similar,
    "label": _has_label,
}
"""What compares an answer of each type."""
