from __future__ import annotations

from typing import Any

import pytest

from mstar.answers import canonical, verify
from mstar.types import Prompt


def prompt(answer: str | None, **meta: Any) -> Prompt:
    return Prompt("p", "?", answer=answer, meta=meta)


@pytest.mark.parametrize(
    ("text", "asked", "verdict", "answer"),
    [
        ("Answer: 4", prompt("4", answer_type="integer"), "correct", "4"),
        ("Answer: 5", prompt("4", answer_type="integer"), "wrong", "5"),
        ("it is 4", prompt("4", answer_type="integer"), "wrong", None),
        ("Answer: 4", prompt(None), "unscorable", "4"),
        ("Answer: 4", prompt("  "), "unscorable", "4"),
        ("Answer: 4", prompt("four", answer_type="integer"), "unscorable", "4"),
        ("it is 4", prompt("four", answer_type="integer"), "unscorable", None),
        ("Answer: B", prompt("z", choices=["x", "y"]), "unscorable", "B"),
        ("Answer: B", prompt("y", choices=["x", "y"], answer_type="text"), "correct", "B"),
        ("Answer: 2", prompt("2", choices=[1, 2]), "correct", "2"),
        ("Answer: 1.25", prompt("1.2", answer_type="float", precision=1.0), "correct", "1.25"),
        ("Answer: 3 g", prompt("3", answer_type="integer", unit="kg"), "wrong", "3 g"),
        ("Answer: 4", prompt("4", answer_type=None, choices=None, precision=None, unit=None), "correct", "4"),
    ],
)
def test_every_response_is_correct_wrong_or_unscorable(
    text: str, asked: Prompt, verdict: str, answer: str | None
) -> None:
    judgement = verify(text, asked)
    assert (judgement.verdict, judgement.answer) == (verdict, answer)
    assert judgement.reason


def test_a_missing_answer_says_so() -> None:
    assert verify("it is 4", prompt("4")).reason == "no answer"


@pytest.mark.parametrize(
    ("answers", "asked"),
    [
        (["(B)", "b", "y", "Option B"], prompt(None, choices=["x", "y"])),
        (["4, 11", "4,11", "[4,11]"], prompt(None, answer_type="list")),
        (["1,200", "1200.0", "1.2e3"], prompt(None, answer_type="integer")),
        (["Yes.", "yes", "**YES**"], prompt(None)),
    ],
)
def test_equal_answers_have_one_canonical_form(answers: list[str], asked: Prompt) -> None:
    assert len({canonical(answer, asked) for answer in answers}) == 1


def test_different_answers_stay_apart() -> None:
    asked = prompt(None)
    assert len({canonical(answer, asked) for answer in ["5", "-5", "5 cm", "five", "4,11", "4 11"]}) == 6
