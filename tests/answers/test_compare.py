from __future__ import annotations

from fractions import Fraction

import pytest

from mstar.answers.compare import equal
from mstar.answers.kinds.choices import choice
from mstar.answers.kinds.quantity import quantity

ANGLES = ["60°", "70°", "80°"]


@pytest.mark.parametrize(
    ("answer", "reference", "same"),
    [
        ("4", "4", True),
        ("4.0", "4", True),
        ("1,234", "1234", True),
        ("12,34", "1234", False),
        ("-5", "5", False),
        ("−5", "-5", True),
        ("+5", "5", True),
        ("$5", "5", True),
        ("$5$", "5", True),
        ("5%", "5", True),
        ("5 cm", "5", True),
        ("5cm.", "5", True),
        ("5 apples", "5", True),
        ("5x", "5", False),
        ("5 million", "5", False),
        ("5 or 6", "5", False),
        ("4.7", "4", False),
        ("five", "5", True),
        ("1e1", "10", True),
        ("nan", "5", False),
        ("infinity", "5", False),
        ("1e999999999", "5", False),
        ("9" * 5000, "5", False),
        ("", "5", False),
        ("5", "five", None),
        ("5", "", None),
    ],
)
def test_integers(answer: str, reference: str, same: bool | None) -> None:
    assert equal(answer, reference, "integer") is same


@pytest.mark.parametrize(
    ("answer", "reference", "precision", "same"),
    [
        ("3.14159", "3.14", 2, True),
        ("3.15", "3.14", 2, False),
        ("3.1", "3.14", 2, False),
        ("0.5", "0.50", None, True),
        (".5", "0.5", None, True),
        ("1/2", "0.5", None, True),
        (r"\frac{1}{2}", "0.5", 1, True),
        ("1/0", "0.5", 1, False),
        ("0.333", "0.3333", None, False),
        ("-0.5", "0.5", 1, False),
    ],
)
def test_floats_are_compared_at_the_data_sets_precision(
    answer: str, reference: str, precision: int | None, same: bool
) -> None:
    assert equal(answer, reference, "float", precision=precision) is same


def test_precision_is_for_floats_only() -> None:
    assert equal("4.4", "4", "integer", precision=0) is False


@pytest.mark.parametrize(
    ("answer", "reference", "unit", "same"),
    [
        ("14 years", "14", "years", True),
        ("14", "14", "years", True),
        ("14 year", "14", "years", True),
        ("14 months", "14", "years", False),
        ("5 kg", "5", "g", False),
        ("5 g", "5 g", None, True),
        ("5 m", "5 g", None, False),
        ("90 degrees", "90°", None, True),
        (r"90^\circ", "90°", None, True),
    ],
)
def test_a_unit_may_be_left_out_but_not_changed(answer: str, reference: str, unit: str | None, same: bool) -> None:
    assert equal(answer, reference, "text", unit=unit) is same


@pytest.mark.parametrize(
    ("answer", "reference", "same"),
    [
        ("4,11", "[4, 11]", True),
        ("[4, 11]", "4,11", True),
        ("(4; 11)", "4,11", True),
        ("4.0, 11", "4,11", True),
        ("11,4", "4,11", False),
        ("4", "4,11", False),
        ("4,11,0", "4,11", False),
        ("411", "4,11", False),
        ("red, Blue", "Red,blue", True),
        ("4,11", "", None),
        ("4,11", "[]", None),
    ],
)
def test_lists_are_compared_item_by_item_in_order(answer: str, reference: str, same: bool | None) -> None:
    assert equal(answer, reference, "list") is same


@pytest.mark.parametrize(
    ("answer", "reference", "same"),
    [
        ("Yes", "yes", True),
        ("**Yes.**", "Yes", True),
        ("No, Alaska does not.", "No", True),
        ("no idea", "no", False),
        ("yes and no", "yes", False),
        ("not yes", "yes", False),
        (" The  Moon ", "the moon", True),
        (r"\text{Moon}", "moon", True),
        ("5 PM", "5 AM", False),
        ("07", "7", True),
        ("a moon", "moon", False),
        ("", '"', None),
    ],
)
def test_texts_are_compared_without_their_dress(answer: str, reference: str, same: bool | None) -> None:
    assert equal(answer, reference) is same


LETTERS = ["B", "b", "(B)", "B.", "B)", "(b).", "Option B", "(B) 70°", "B, 70°", "**(B). 70°**", "B (70°)"]
WORDS = ["70°", "70", r"70^\circ", "70 degrees", "(B), the angle at the base"]


@pytest.mark.parametrize("answer", LETTERS + WORDS)
def test_a_choice_is_named_by_letter_words_or_number(answer: str) -> None:
    assert equal(answer, "70°", choices=ANGLES) is True
    assert equal(answer, "B", choices=ANGLES) is True


@pytest.mark.parametrize(
    "answer",
    ["A", "60°", "(D)", "A or B", "(B) 60°", "(A) or (B)", "B, C", "65", "Because 70°", "be", "B and C", "i.e. 70"],
)
def test_anything_else_names_another_choice_or_none(answer: str) -> None:
    assert equal(answer, "70°", choices=ANGLES) is False


def test_words_win_over_letters() -> None:
    assert choice("A", ["B", "A"]) == "a"
    assert choice("(A)", ["B", "A"]) == "b"


def test_choices_that_read_the_same_are_the_same() -> None:
    assert equal("(D)", "50", choices=["15", "100", "50", "50"]) is True


def test_yes_and_no_name_a_choice() -> None:
    assert equal("No, there are fewer.", "no", choices=["Yes", "No"]) is True


def test_a_reference_that_is_no_choice_cannot_be_compared() -> None:
    assert equal("B", "90°", choices=ANGLES) is None


@pytest.mark.parametrize("value", [0, 7, -3, 12, 1234567, -1000])
@pytest.mark.parametrize("write", [str, "{:,}".format, "{}.0".format, "{} cm".format, "{}/1".format, "{}e0".format])
def test_a_number_is_read_however_it_is_written(value: int, write: object) -> None:
    assert callable(write)
    read = quantity(write(value))
    assert read is not None
    assert read.value == Fraction(value)
