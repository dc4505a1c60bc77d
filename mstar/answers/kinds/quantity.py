"""Numbers with units, read exactly."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache

from mstar.answers.kinds.units import unit_of
from mstar.answers.plain import plain

# The exponent is short: 1e999999999 would fill the memory, and responses are untrusted text.
DIGITS = r"(?:\d{1,3}(?:,\d{3})+|\d{1,60})(?:\.\d{0,60})?|\.\d{1,60}"
QUANTITY = re.compile(
    rf"(?P<sign>[+-]?)\s?(?:[$€£¥]\s?(?P<minus>-?))?(?P<digits>{DIGITS})"
    r"(?:e(?P<exponent>[+-]?\d{1,3})|\s?[×x*]\s?10\s?(?:\^|\*\*)\s?[({]?(?P<power>[+-]?\d{1,3})[)}]?"
    r"|\s?/\s?(?P<divisor>\d{1,60})|\s(?P<over>\d{1,60})/(?P<under>\d{1,60}))?"
    r"(?P<scale>\s(?:hundred|thousand|million|billion|trillion))?(?P<pi>\s?[×*]?\s?(?:π|pi(?![a-z])))?"
    r"(?P<space>\s*)(?P<unit>\D.*)?",
    re.IGNORECASE,
)
SCALES = {"hundred": 2, "thousand": 3, "million": 6, "billion": 9, "trillion": 12}
PI = Fraction("3.14159265358979323846")


@dataclass(frozen=True)
class Quantity:
    """A number and its unit."""

    value: Fraction
    """Where ``pi`` is set, the number is ``value`` times π."""
    unit: str = ""
    """Empty if none is written; words in lower case and the singular."""
    pi: bool = False


def quantity(text: str) -> Quantity | None:
    r"""The number a text is, with its unit, or ``None``; a text that merely contains one is not a number.

    Understood are a sign, thousands separators, powers of ten (``3e8``, ``3 \times 10^8``), simple fractions and mixed
    numbers, "million" and its kin, a factor π, a currency sign in front and a unit behind (`unit_of`). ``4x`` and
    ``3 or 4`` are no numbers.

    >>> quantity("−1,200.50"), quantity("twelve"), quantity("4x")
    (Quantity(value=Fraction(-2401, 2), unit='', pi=False), None, None)
    >>> quantity("14 years")
    Quantity(value=Fraction(14, 1), unit='year', pi=False)
    """
    if text.isdecimal() and text.isascii() and len(text) <= 60:
        return Quantity(Fraction(int(text)))
    found = QUANTITY.fullmatch(plain(text).removesuffix("."))
    if found is None or int(found["divisor"] or 1) == 0 or int(found["under"] or 1) == 0:
        return None
    unit = unit_of((found["unit"] or "").strip(), bool(found["space"]))
    return None if unit is None else Quantity(_value(found), unit, found["pi"] is not None)


def same_number(answer: str, reference: str, precision: int | None = None, unit: str | None = None) -> bool | None:
    """Whether two texts are the same number; ``None`` if the reference is none.

    Args:
        answer: As extracted from a response.
        reference: The data set's answer.
        precision: Decimal places that count: the numbers may differ by half a unit of the last one. ``None`` is exact.
        unit: What a reference without a unit is measured in. An answer may leave its unit out, but not give another.

    >>> same_number("3.14159", "3.14", precision=2), same_number("5 kg", "5", unit="g"), same_number("-5", "5")
    (True, False, False)
    """
    right = _reference(reference)
    if right is None:
        return None
    given = quantity(answer)
    if given is None:
        return False
    if given.unit:
        expected = right.unit or (unit_of(unit.strip()) if unit else "")
        if expected and expected != given.unit:
            return False
    return close(given, right, precision)


def close(given: Quantity, right: Quantity, precision: int | None) -> bool:
    """Whether two values differ by no more than half a unit of the last decimal that counts; ``None`` is exact.

    A multiple of π equals a decimal fraction only up to a precision.
    """
    if precision is None:
        return given.value == right.value and (given.pi == right.pi or right.value == 0)
    factors = (PI if given.pi else 1), (PI if right.pi else 1)
    return abs(given.value * factors[0] - right.value * factors[1]) <= Fraction(10) ** -precision / 2


# One reference is compared with every response to its prompt.
_reference = lru_cache(maxsize=4096)(quantity)


def _value(found: re.Match[str]) -> Fraction:
    digits = found["digits"].replace(",", "")
    size = Fraction(int(digits)) if digits.isdecimal() else Fraction(Decimal(digits))
    if power := found["exponent"] or found["power"]:
        size *= Fraction(10) ** int(power)
    if found["divisor"]:
        size /= int(found["divisor"])
    if found["over"]:
        size += Fraction(int(found["over"]), int(found["under"]))
    if found["scale"]:
        size *= 10 ** SCALES[found["scale"].strip().casefold()]
    return -size if (found["sign"] == "-") != (found["minus"] == "-") else size
