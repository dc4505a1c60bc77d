from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from mstar.answers import verify
from mstar.answers.compare import degree, equal
from mstar.answers.kinds.edit import distance, nearest, similarity
from mstar.answers.kinds.quantity import Quantity, quantity
from mstar.answers.kinds.regions import box_iou, boxes, matched, span_iou, spans
from mstar.answers.kinds.units import unit_of
from mstar.answers.plain import plain
from mstar.answers.reference import Reference
from mstar.types import Prompt

QUANTITIES: list[tuple[str, Quantity | None]] = [
    ("5", Quantity(Fraction(5))),
    ("-5", Quantity(Fraction(-5))),
    ("−5", Quantity(Fraction(-5))),
    ("＋５", Quantity(Fraction(5))),
    ("1,234,567.5", Quantity(Fraction(2469135, 2))),
    ("12,34", None),
    (".5", Quantity(Fraction(1, 2))),
    ("5.", Quantity(Fraction(5))),
    ("1/2", Quantity(Fraction(1, 2))),
    ("-1/2", Quantity(Fraction(-1, 2))),
    ("1 1/2", Quantity(Fraction(3, 2))),
    (r"1\frac{1}{2}", Quantity(Fraction(3, 2))),
    (r"\frac{-1}{2}", Quantity(Fraction(-1, 2))),
    (r"-\dfrac{1}{2}", Quantity(Fraction(-1, 2))),
    (r"\frac12", Quantity(Fraction(1, 2))),
    ("1/0", None),
    ("3 1/0", None),
    ("3e8", Quantity(Fraction(300_000_000))),
    ("3E-2", Quantity(Fraction(3, 100))),
    (r"3 \times 10^8", Quantity(Fraction(300_000_000))),
    (r"3\times10^{-2}", Quantity(Fraction(3, 100))),
    ("3 × 10^8 m/s", Quantity(Fraction(300_000_000), "m/s")),
    ("1e9999", None),
    ("9" * 61, None),
    ("$5", Quantity(Fraction(5))),
    ("-$5", Quantity(Fraction(-5))),
    ("$-5", Quantity(Fraction(-5))),
    ("€ 5.50", Quantity(Fraction(11, 2))),
    ("$5 million", Quantity(Fraction(5_000_000))),
    ("5 percent", Quantity(Fraction(5), "%")),
    (r"5\%", Quantity(Fraction(5), "%")),
    ("5 percentage points", Quantity(Fraction(5), "%")),
    ("90°", Quantity(Fraction(90), "°")),
    (r"90^{\circ}", Quantity(Fraction(90), "°")),
    ("90 degrees", Quantity(Fraction(90), "°")),
    ("4π", Quantity(Fraction(4), "", True)),
    (r"4\pi", Quantity(Fraction(4), "", True)),
    ("4 pi cm", Quantity(Fraction(4), "cm", True)),
    ("4πcm", Quantity(Fraction(4), "cm", True)),
    ("14 years old", Quantity(Fraction(14), "year")),
    ("25 square inches", Quantity(Fraction(25), "square inch")),
    ("30 miles per hour", Quantity(Fraction(30), "mile per hour")),
    ("5 cm^2", Quantity(Fraction(5), "cm^2")),
    ("4.40米", Quantity(Fraction(22, 5), "米")),
    ("6 feet", Quantity(Fraction(6), "foot")),
    ("5x", None),
    ("5 x", None),
    ("3:00", None),
    ("3 or 4", None),
    ("--5", None),
    ("5 - 2", None),
    ("", None),
    ("five", None),
]


@pytest.mark.parametrize(("text", "read"), QUANTITIES)
def test_a_quantity_is_read_exactly_or_not_at_all(text: str, read: Quantity | None) -> None:
    assert quantity(text) == read


@pytest.mark.parametrize(
    ("text", "unit"),
    [("cm", "cm"), ("Hours", "hour"), ("glass", "glass"), ("x", None), ("and", None), ("half", None), ("", "")],
)
def test_a_unit_is_a_known_symbol_or_a_word(text: str, unit: str | None) -> None:
    assert unit_of(text) == unit


@pytest.mark.parametrize(
    ("text", "written"),
    [
        (r"\(\text{Moon}\)", "Moon"),
        (r"\textbf{\text{Moon}}", "Moon"),
        (r"\left( 1, 2 \right)", "( 1, 2 )"),
        (r"3 \sqrt{2}", "3 √2"),
        (r"30√{3}m", "30√3m"),
        ("**B**", "B"),
        ("2*3", "2*3"),
        ("1\u00a0000", "1 000"),
        ("（１，２）", "(1,2)"),
        ("a\u200bb", "ab"),
    ],
)
def test_dress_is_taken_off(text: str, written: str) -> None:
    assert plain(text) == written


@pytest.mark.parametrize(
    ("answer", "reference", "kind", "meta", "same"),
    [
        ("104", "100", "float", {"tolerance": 0.05}, True),
        ("106", "100", "float", {"tolerance": 0.05}, False),
        ("95", "100", "integer", {"tolerance": 0.05}, True),
        ("-100", "100", "float", {"tolerance": 0.05}, False),
        ("0.01", "0", "float", {"tolerance": 0.05}, False),
        ("2.449", "2.45", "float", {"precision": 2}, True),
        ("2.44", "2.45", "float", {"precision": 2}, False),
        ("12.57", "4π", "float", {"precision": 2}, True),
        ("12.57", "4π", "float", {}, False),
        ("4π cm", "4\\pi", "float", {}, True),
        ("50%", "0.5", "float", {}, False),
        ("50", "50%", "float", {}, True),
        ("red, green and blue", "red, green, blue", "list", {}, True),
        ("[1, 2.00]", "[1,2]", "list", {}, True),
        ("[2, 1]", "[1,2]", "list", {}, False),
        (r"\{1, 2\}", "1,2", "list", {}, True),
        ("(-1, 2]", "(-1,2]", "interval", {}, True),
        ("(-1, 2)", "(-1,2]", "interval", {}, False),
        (r"(-\infty, 2]", "(-∞,2]", "interval", {}, True),
        ("[0.5, 1]", "[1/2, 1.0]", "interval", {}, True),
        ("-1 to 2", "(-1,2]", "interval", {}, False),
        ("(1,2)", "all reals", "interval", {}, None),
        ("the cat sits", "cat", "label", {}, True),
        ("category", "cat", "label", {}, False),
        ("", "cat", "label", {}, False),
    ],
)
def test_answers_are_compared_by_their_type(
    answer: str, reference: str, kind: str, meta: dict[str, Any], same: bool | None
) -> None:
    assert equal(answer, reference, kind, **meta) is same


@pytest.mark.parametrize(
    ("answer", "reference", "kind", "expected"),
    [
        ("dog, cat", "cat, dog", "set", 1.0),
        ("cat, cat", "cat, dog", "set", 2 / 3),
        ("cow", "cat, dog", "set", 0.0),
        ("1.0, 2", "2, 1", "set", 1.0),
        ("", "cat", "set", 0.0),
        ("[0, 0, 2, 2]", "[1, 0, 3, 2]", "boxes", 1 / 3),
        ("(1,0),(3,2)", "[1, 0, 3, 2]", "boxes", 1.0),
        ("[1, 0, 3]", "[1, 0, 3, 2]", "boxes", 0.0),
        ("[3, 2, 1, 0]", "[1, 0, 3, 2]", "boxes", 0.0),
        ("nothing", "[1, 0, 3, 2]", "boxes", 0.0),
        ("[0,0,1,1], [5,5,6,6]", "[5,5,6,6], [0,0,1,1]", "boxes", 1.0),
        ("[0,0,1,1]", "[5,5,6,6], [0,0,1,1]", "boxes", 0.5),
        ("from 5 to 15", "[0, 10]", "spans", 1 / 3),
        ("0:05 - 0:15", "5 - 15", "spans", 1.0),
        ("12.5-18 s", "12.5, 18", "spans", 1.0),
        ("7", "5 - 15", "spans", 0.0),
        ("kitten", "sitting", "edit", 1 - 3 / 7),
        ("Kitten.", "kitten", "edit", 1.0),
    ],
)
def test_graded_types_give_a_degree(answer: str, reference: str, kind: str, expected: float) -> None:
    assert degree(answer, Reference(reference, kind)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("kind", "reference"), [("boxes", "none"), ("spans", "late"), ("set", ","), ("interval", "5"), ("integer", "?")]
)
def test_a_reference_that_is_none_of_its_type_is_unscorable(kind: str, reference: str) -> None:
    judged = verify("Answer: 1", Prompt("p", "?", answer=reference, meta={"answer_type": kind}))
    assert judged.verdict == "unscorable"
    assert f"cannot be read as {kind}" in judged.reason


@pytest.mark.parametrize(
    ("answer", "threshold", "expected", "degree_"),
    [("[0,0,2,2]", None, "wrong", 1 / 3), ("[0,0,2,2]", 0.3, "correct", 1 / 3), ("[1,0,3,2]", None, "correct", 1.0)],
)
def test_a_box_is_right_from_a_threshold(answer: str, threshold: float | None, expected: str, degree_: float) -> None:
    meta = {"answer_type": "boxes", "threshold": threshold}
    judged = verify(f"Answer: {answer}", Prompt("p", "?", answer="[1,0,3,2]", meta=meta))
    assert judged.verdict == expected
    assert judged.degree == pytest.approx(degree_)


def test_a_label_is_not_in_an_answer_that_has_another() -> None:
    meta = {"answer_type": "label", "choices": ["cat", "dog"]}
    asked = Prompt("p", "?", answer="cat", meta=meta)
    assert verify("Answer: a cat", asked).verdict == "correct"
    assert verify("Answer: a cat and a dog", asked).verdict == "wrong"


def test_regions_are_read_and_compared() -> None:
    assert boxes("<box>[[1, 2, 3, 4]]</box>") == [(1, 2, 3, 4)]
    assert spans("1:00:05 to 1:00:10") == [(3605, 3610)]
    assert box_iou((0, 0, 1, 1), (1, 1, 2, 2)) == box_iou((0, 0, 0, 0), (0, 0, 0, 0)) == 0
    assert span_iou((0, 1), (0, 1)) == 1
    assert matched([], [], span_iou) == 0


def slow_distance(one: str, other: str) -> int:
    if not one or not other:
        return len(one) + len(other)
    same = one[0] == other[0]
    return min(
        slow_distance(one[1:], other[1:]) + (not same),
        slow_distance(one[1:], other) + 1,
        slow_distance(one, other[1:]) + 1,
    )


@pytest.mark.parametrize("one", ["", "a", "abc", "Yes", "abcab"])
@pytest.mark.parametrize("other", ["", "b", "cab", "No", "babc"])
def test_edit_distance_is_the_definitions(one: str, other: str) -> None:
    assert distance(one, other) == slow_distance(one, other) == distance(other, one)
    assert 0 <= similarity(one, other) <= 1


def test_the_nearest_of_equals_is_the_first() -> None:
    assert nearest("", ["ab", "cd", "e", "f"]) == "e"
