"""Numbers with units, read exactly."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from mstar.answers.plain import plain

# The exponent is short: 1e999999999 would fill the memory, and responses are untrusted text.
DIGITS = r"(?:\d{1,3}(?:,\d{3})+|\d{1,60})(?:\.\d{0,60})?|\.\d{1,60}"
QUANTITY = re.compile(
    rf"(?P<sign>[+-]?)\s*[$€£]?\s*(?P<digits>{DIGITS})(?:e(?P<exponent>[+-]?\d{{1,3}})|/(?P<divisor>\d{{1,60}}))?"
    r"(?P<space>\s*)(?P<unit>\D[^\s]*)?",
    re.IGNORECASE,
)
SYMBOL = re.compile(
    r"%|°[CFK]?|[kcm]?m(?:\^?[23]|[²³])?|[km]?g|m?s|h|min|hr|ft|in|lb|oz|m?[lL]|N|k?J|[km]?W|[km]?V|m?A|[kM]?Hz|k?Pa|K|C|F|T|Ω"
    r"|k?m/[sh]|m/s(?:\^2|²)|mph"
)
WORDS = {"percent": "%", "degree": "°"}
SCALES = {"half", "dozen", "hundred", "thousand", "million", "billion", "trillion"}


@dataclass(frozen=True)
class Quantity:
    """A number and its unit."""

    value: Fraction
    unit: str = ""
    """Empty if none is written; words in lower case and the singular."""


def quantity(text: str) -> Quantity | None:
    """The number a text is, with its unit, or ``None``; a text that merely contains one is not a number.

    Understood are a sign, thousands separators, a power of ten (``3e8``), a simple fraction, a currency sign in front
    and one unit behind. A unit is a known symbol, or a word of three letters or more set apart by a space; ``4x``,
    ``3 or 4`` and ``5 million`` are not read as 4, 3 and 5.

    >>> quantity("−1,200.50"), quantity("14 years"), quantity("4x"), quantity("twelve")
    (Quantity(value=Fraction(-2401, 2), unit=''), Quantity(value=Fraction(14, 1), unit='year'), None, None)
    """
    found = QUANTITY.fullmatch(plain(text).removesuffix("."))
    if found is None or int(found["divisor"] or 1) == 0:
        return None
    unit = _unit(found["unit"] or "", bool(found["space"]))
    if unit is None:
        return None
    size = Fraction(Decimal(found["digits"].replace(",", ""))) * Fraction(10) ** int(found["exponent"] or 0)
    return Quantity((-size if found["sign"] == "-" else size) / int(found["divisor"] or 1), unit)


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
    right, given = quantity(reference), quantity(answer)
    if right is None:
        return None
    if given is None:
        return False
    expected = right.unit or _unit((unit or "").strip(), apart=True)
    if expected and given.unit and expected != given.unit:
        return False
    return abs(given.value - right.value) <= (0 if precision is None else Fraction(10) ** -precision / 2)


def _unit(text: str, apart: bool) -> str | None:
    """The unit a text names, or ``None`` if it is not one."""
    if not text or SYMBOL.fullmatch(text):
        return text
    word = text.casefold().removesuffix("s")
    if word in WORDS:
        return WORDS[word]
    return word if apart and re.fullmatch(r"[^\W\d_]{3,}", text) and word not in SCALES else None
