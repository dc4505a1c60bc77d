from __future__ import annotations

import time

import pytest

from mstar.answers.extract import extract_answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Add.\n\n# Answer\n\n11", "11"),
        ("# Answer\n\n3\n\nNo, wait.\n\n# Answer\n\n4", "4"),
        ("### Answer: 4", "4"),
        ("# Answer\n\n\\boxed{4}", "4"),
        (r"\boxed{3}" + "\n\n# Answer\n\n4", "4"),
        (r"so \boxed{\frac{1}{\sqrt{2}}}.", r"\frac{1}{\sqrt{2}}"),
        (r"\boxed{1}, no, \boxed{2}", "2"),
        (r"\boxed{1} and then \boxed{2", "1"),
        (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
        ("6+5=11\nAnswer: 4,11", "4,11"),
        ("Answer: 1.\nAnswer: 2.", "2"),
        ("**Answer:** St. Louis", "St. Louis"),
        ("The answer is (B). Because they are equal.", "(B)"),
        ("the final answer is: 3.5", "3.5"),
        ("The correct answer is\n12", "12"),
        ("The correct option for the range of this function is (A).", "(A)"),
    ],
)
def test_the_stated_answer_is_found(text: str, answer: str) -> None:
    assert extract_answer(text) == answer


@pytest.mark.parametrize(
    "text",
    [
        "",
        "it is 11",
        "2+2=4",
        "I cannot answer that.",
        "Answer:",
        "Answer: 2\nAnswer: ",
        "4\n\n# Answer\n\n",
        r"\boxed{}",
        r"\boxed{4",
        "# Answering 4",
        "B is the correct option for this question: find x.",
    ],
)
def test_an_answer_that_is_not_stated_is_never_guessed(text: str) -> None:
    assert extract_answer(text) is None


@pytest.mark.parametrize("piece", [r"\boxed{", "# Answer ", "answer is ", "Answer: ", "{", "}", "\n", "is "])
def test_degenerate_responses_take_no_time(piece: str) -> None:
    began = time.process_time()
    extract_answer(piece * 20_000)
    assert time.process_time() - began < 2
