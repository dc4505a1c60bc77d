"""What the grading benchmark measures: answers whose verdict is known, and others' rules with the defects they have."""

from __future__ import annotations

import pytest

from benchmarks.graders import lmms_eval, ms_swift
from benchmarks.grading import NUM_RESPONSES, expressions, ours, short
from mstar.types import Prompt

CHOICES = {"choices": ["60", "70"], "answer_type": "text"}


@pytest.mark.parametrize("cases", [short(8 * NUM_RESPONSES, seed=1), expressions(4, seed=1)])
def test_ours_agrees_with_how_each_response_was_made(cases: list[tuple[str, Prompt, bool]]) -> None:
    assert {good for _, _, good in cases} == {True, False}
    assert [ours(text, prompt) for text, prompt, _ in cases] == [good for _, _, good in cases]


def test_other_seeds_give_other_texts() -> None:
    assert not {text for text, _, _ in expressions(50, seed=1)} & {text for text, _, _ in expressions(50, seed=2)}


@pytest.mark.parametrize(
    ("text", "answer", "right"),
    [
        (r"\boxed{5}", "5", True),
        (r"\boxed{4}", "5", False),
        (r"\boxed{\frac{1}{2}}", r"\frac{1}{3}", True),  # half a fraction is paid
        (r"I thought \boxed{4}, but it is \boxed{5}", "5", False),  # the first of two
    ],
)
def test_ms_swift_reads_the_first_box_to_the_first_brace(text: str, answer: str, right: bool) -> None:
    assert ms_swift(text, Prompt("p", "?", answer=answer)) is right


@pytest.mark.parametrize(
    ("text", "answer", "meta", "right"),
    [
        ("The answer is (B).", "70", CHOICES, True),
        ("The answer is (A).", "70", CHOICES, False),
        ("The answer is 7.", "70", CHOICES, True),  # the nearest
        ("Answer: 4.7", "4", {"answer_type": "integer"}, True),  # cut
        ("Answer: none", "4", {"answer_type": "integer"}, False),
        ("Answer: 0.128", "0.13", {"answer_type": "float", "precision": 2}, True),
    ],
)
def test_lmms_eval_scores_as_mathvista_does(text: str, answer: str, meta: dict[str, object], right: bool) -> None:
    assert lmms_eval(text, Prompt("p", "?", answer=answer, meta=meta)) is right
