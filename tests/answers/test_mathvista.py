"""The official protocol of MathVista: its normalisation exactly, its extraction by rules."""

from __future__ import annotations

import pytest

from mstar.answers import MathVista
from mstar.answers.mathvista import extract_list, normalise_choice, normalise_number
from mstar.types import Prompt


@pytest.mark.parametrize(
    ("extraction", "choices", "chosen"),
    [
        ("(B)", ["60", "70"], "70"),
        ("(b) 60", ["60", "70"], "70"),
        ("B", ["60", "70"], "70"),
        ("70", ["60", "70"], "70"),
        ("7", ["60", "70"], "70"),
        ("(C)", ["Yes", "No"], "No"),
        ("C", ["Connor", "Aubrey"], "Connor"),
        ("N/A", ["Yes", "No"], "No"),
        ("Cannot be determined", ["Yes", "No"], "Yes"),
        ("", ["ferret", "cat"], "cat"),
        ("decrease", ["decrease", "increase"], "decrease"),
        ("(b)", ["(c)", "(a)", "(b)"], "(a)"),
    ],
)
def test_a_choice_is_always_taken(extraction: str, choices: list[str], chosen: str) -> None:
    assert normalise_choice(extraction, choices) == chosen


@pytest.mark.parametrize(
    ("extraction", "kind", "precision", "text"),
    [
        ("4", "integer", None, "4"),
        ("4.7", "integer", None, "4"),
        ("-4.7", "integer", None, "-4"),
        ("1,000", "integer", None, "1000"),
        ("0.125", "float", 2, "0.12"),
        ("3", "float", 1, "3.0"),
        ("three", "integer", None, None),
        (None, "integer", None, None),
    ],
)
def test_numbers_are_cut_and_rounded_as_the_script_does(
    extraction: str | None, kind: str, precision: int | None, text: str | None
) -> None:
    assert normalise_number(extraction, kind, precision) == text


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("It is [1, 2].", "[1, 2]"),
        ("[1, 2], no, [3, 4]", "[3, 4]"),
        ("Between 2014 and 2016.", "[2014, 2016]"),
        ("Three.", None),
    ],
)
def test_lists_are_found(text: str, found: str | None) -> None:
    assert extract_list(text) == found


ANGLES = ["60°", "70°", "80°"]
YES_NO = ["Yes", "No"]


@pytest.mark.parametrize(
    ("text", "choices", "chosen"),
    [
        ("B", ANGLES, "70°"),
        ("B. 70°", ANGLES, "70°"),
        ("The answer is (B) 60°.", ANGLES, "70°"),
        ("x is 70 degrees.", ANGLES, "70°"),
        ("x is 71.", ANGLES, "70°"),
        ("The correct option letter is (B).", ANGLES, "70°"),
        (r"(B), since $x = \boxed{12}$", ANGLES, "70°"),
        ("The answer is (C) Cannot be determined.", YES_NO, "No"),
        ("We cannot determine the answer.", YES_NO, "Yes"),
        ("We cannot determine the answer.", ["Lego", "Mic"], "Lego"),
        ("D. Neither", YES_NO, "No"),
        ("A: No", YES_NO, "No"),
        ("It would likely go down, a decrease.", ["It will decrease", "It will increase"], "It will decrease"),
        ("July.", ["March and April", "July and August"], "July and August"),
    ],
)
def test_what_a_response_chooses(text: str, choices: list[str], chosen: str) -> None:
    assert MathVista()(text, Prompt("p", "Find x.", answer="?", meta={"choices": choices})).answer == chosen


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("12", "12"),
        ("12.0", "12"),
        ("The answer is 12.", "12"),
        ("There are twelve.", "12"),
        ("First 3, then 4. It gives us 12.", "12"),
        ("5 + 7 = 12", "12"),
        ("It is between 10 and 12.", None),
        ("It is 10 to 12.", None),
        ("Without more information, it is impossible to determine whether it is 12.", None),
        ("I see nothing.", None),
        ("", None),
    ],
)
def test_what_number_a_response_gives(text: str, number: str | None) -> None:
    asked = Prompt("p", "What is it?", answer="12", meta={"answer_type": "integer"})
    judged = MathVista()(text, asked)
    assert judged.answer == number
    assert judged.verdict == ("correct" if number == "12" else "wrong")


def test_only_a_missing_reference_is_unscorable() -> None:
    assert MathVista()("12", Prompt("p", "?")).verdict == "unscorable"
