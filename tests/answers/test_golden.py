"""Golden cases of the default verifier: what it pays for and what it does not, peers' defects among them."""

from __future__ import annotations

from typing import Any

import pytest

from mstar.answers import verify
from mstar.types import Prompt

ANGLES = ["60°", "70°", "80°"]
YES_NO = ["Yes", "No"]
TRIANGLES = ["isosceles triangle", "equilateral triangle", "acute angle", "obtuse angle"]
INTEGER: dict[str, Any] = {"answer_type": "integer"}
CHOICE: dict[str, Any] = {"choices": ANGLES}


def verdict(text: str, reference: str | None, **meta: Any) -> str:
    return verify(text, Prompt("p", "?", answer=reference, meta=meta)).verdict


PEERS_DEFECTS = [
    # ms-swift: [^}]* on the first box pays for half a fraction, and takes the first of two boxes
    (r"\boxed{\frac{1}{2}}", r"\frac{1}{3}", {}, "wrong"),
    (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}", {}, "correct"),
    (r"I thought \boxed{4}, but it is \boxed{5}", "5", INTEGER, "correct"),
    (r"I thought \boxed{5}, but it is \boxed{4}", "5", INTEGER, "wrong"),
    (r"\boxed{\frac{\sqrt{2}}{2}}", r"\frac{\sqrt{3}}{2}", {}, "wrong"),
    (r"\boxed{\{1, \{2\}\}}", r"\{1, \{2\}\}", {}, "correct"),
    # NeMo RL: punctuation stripped, so that signs and points vanish; greedy tags
    ("Answer: -5", "5", INTEGER, "wrong"),
    ("Answer: 5", "-5", INTEGER, "wrong"),
    ("Answer: 1.5", "15", {"answer_type": "float"}, "wrong"),
    ("Answer: 15", "1.5", {"answer_type": "float", "precision": 1}, "wrong"),
    ("<answer>3</answer> no, <answer>4</answer>", "4", INTEGER, "correct"),
    ("<answer>4</answer> no, <answer>3</answer>", "4", INTEGER, "wrong"),
    # VLM-R1: yes or no paid for garbage, "(B)" not read, fuzzy credit
    ("Answer: I cannot know", "no", {}, "wrong"),
    ("Answer: banana", "cat", {}, "wrong"),
    ("Answer: banana", "yes", {}, "wrong"),
    ("Answer: banana", "apple", {}, "wrong"),  # neither says yes or no: no agreement
    ("Answer: banana", "Yes", {"choices": YES_NO}, "wrong"),
    ("Answer: not sure", "No", {"choices": YES_NO}, "wrong"),
    ("Answer: (B)", "70°", CHOICE, "correct"),
    ("Answer: (B)", "B", CHOICE, "correct"),
    ("Answer: isosceles triangle", "equilateral triangle", {}, "wrong"),
    ("Answer: acute angle", "obtuse angle", {}, "wrong"),
    ("Answer: isosceles triangle", "equilateral triangle", {"choices": TRIANGLES}, "wrong"),
    ("Answer: acute angle", "obtuse angle", {"choices": TRIANGLES}, "wrong"),
    # AReaL: the last number or the last bracket is the answer
    ("it has 3 sides and 4", "4", INTEGER, "wrong"),
    ("see [4]", "4", INTEGER, "wrong"),
    ("see [4]", "[4]", {"answer_type": "list"}, "wrong"),
    # open-r1: a gold that cannot be read is paid; a missing answer is paid
    ("Answer: 4", "", INTEGER, "unscorable"),
    ("Answer: 4", None, INTEGER, "unscorable"),
    ("Answer: 4", "four apples and a pear", INTEGER, "unscorable"),
    (r"\boxed{x+1}", r"\frac{", {"answer_type": "expression"}, "unscorable"),
    ("", "", {}, "unscorable"),
    ("", "4", INTEGER, "wrong"),
    # B-STaR: exact strings only
    ("Answer: 1,000", "1000", INTEGER, "correct"),
    ("Answer: $1000", "1000", INTEGER, "correct"),
    # NeMo RL and VLM-R1: exact floats
    ("Answer: 3.14159", "3.14", {"answer_type": "float", "precision": 2}, "correct"),
    ("Answer: 0.3333", "1/3", {"answer_type": "float", "precision": 3}, "correct"),
]

STATED = [
    ("# Answer\n\n12", "12", "correct"),
    ("## Answer: 12", "12", "correct"),
    ("#### Answer\n12", "12", "correct"),
    ("Answer: **12**", "12", "correct"),
    ("**Answer**: 12", "12", "correct"),
    ("answer: 12.", "12", "correct"),
    ("Final answer: 12", "12", "correct"),
    ("The final answer is $12$.", "12", "correct"),
    ("The answer is therefore 12.", "12", "correct"),
    ("So the answer is approximately 12.", "12", "correct"),
    ("the answer would be 12", "12", "correct"),
    ('The answer to the question "How many?" is 12.', "12", "correct"),
    ("The correct response is 12.", "12", "correct"),
    ("The final value is 12.", "12", "correct"),
    ("Ans: 12", "12", "correct"),
    ("答案是12。", "12", "correct"),
    ("答案：12", "12", "correct"),
    ("<|begin_of_box|>12<|end_of_box|>", "12", "correct"),
    ("<answer> 12 </answer>", "12", "correct"),
    ("The answer is 12 objects left.", "12", "correct"),
    ("The answer is twelve.", "12", "correct"),
    ("The answer is 12, for 3 · 4 is so.", "12", "wrong"),
    ("The answer is 12 or 13.", "12", "wrong"),
    ("The answer is 12x.", "12", "wrong"),
    ("The answer is 12 + 1.", "12", "wrong"),
    ("The answer is not 12.", "12", "wrong"),
    ("The answer is between 10 and 12.", "12", "wrong"),
    ("The answer is 12. But this cannot be determined.", "12", "wrong"),
    ("If it were so, the answer is 12. There is not enough information.", "12", "wrong"),
    ("Answer: 11\nAnswer: 12", "12", "correct"),
    ("Answer: 12\nAnswer: 11", "12", "wrong"),
    ("Answer: 12\nAnswer:", "12", "wrong"),
    ("I cannot answer. 12", "12", "wrong"),
    ("12", "12", "wrong"),
    ("It is 12.", "12", "wrong"),
    (r"$x = \boxed{12}$.", "12", "correct"),
    (r"\boxed{x = 12}", "12", "correct"),
    (r"\boxed{12 \text{ cm}}", "12", "correct"),
    (r"\fbox{12} \boxed{11}", "12", "wrong"),
    (r"\boxed{\boxed{12}}", "12", "correct"),
    (r"\boxed{12", "12", "wrong"),
]

CHOICES = [
    ("B", "correct"),
    ("b", "correct"),
    ("(B)", "correct"),
    ("(b)", "correct"),
    ("[B]", "correct"),
    ("B.", "correct"),
    ("B)", "correct"),
    ("B:", "correct"),
    ("option B", "correct"),
    ("Option (B)", "correct"),
    ("choice B", "correct"),
    ("the option B", "correct"),
    ("（Ｂ）", "correct"),
    ("Ｂ．", "correct"),
    ("$\\text{B}$", "correct"),
    ("**B**", "correct"),
    ("(B) 70°", "correct"),
    ("B. 70 degrees", "correct"),
    ("B, 70°", "correct"),
    ("B = 70°", "correct"),
    ("(B), the angle at the base", "correct"),
    ("B because it is half", "correct"),
    ("70° (B)", "correct"),
    ("70", "correct"),
    ("70.0°", "correct"),
    (r"70^{\circ}", "correct"),
    ("70 degrees.", "correct"),
    ("７０°", "correct"),
    ("A", "wrong"),
    ("(C)", "wrong"),
    ("D", "wrong"),
    ("A or B", "wrong"),
    ("A and B", "wrong"),
    ("(A) or (B)", "wrong"),
    ("B, C", "wrong"),
    ("(B) 60°", "wrong"),
    ("(B) 75°", "wrong"),
    ("70° (A)", "wrong"),
    ("Because it is 70°", "wrong"),
    ("a", "wrong"),
    ("Both", "wrong"),
    ("75", "wrong"),
    ("-70", "wrong"),
    ("70%", "wrong"),
]

YES_OR_NO = [
    ("No", "correct"),
    ("no.", "correct"),
    ("NO", "correct"),
    ("(B)", "correct"),
    ("(B) No", "correct"),
    ("No (B)", "correct"),
    ("A: No", "correct"),
    ("(C) No", "correct"),
    ("No, there are fewer.", "correct"),
    ("**no**", "correct"),
    ("Yes", "wrong"),
    ("(A) No", "wrong"),
    ("No (A)", "wrong"),
    ("A) No", "wrong"),
    ("yes and no", "wrong"),
    ("no idea", "wrong"),
    ("nobody", "wrong"),
    ("not yes", "wrong"),
    ("unknown", "wrong"),
    ("", "wrong"),
]


@pytest.mark.parametrize(("text", "reference", "meta", "expected"), PEERS_DEFECTS)
def test_what_peers_get_wrong_is_right(text: str, reference: str | None, meta: dict[str, Any], expected: str) -> None:
    assert verdict(text, reference, **meta) == expected


@pytest.mark.parametrize(("text", "reference", "expected"), STATED)
def test_only_a_stated_answer_is_paid(text: str, reference: str, expected: str) -> None:
    assert verdict(text, reference, answer_type="integer") == expected


@pytest.mark.parametrize(("answer", "expected"), CHOICES)
def test_one_choice_is_named_or_none(answer: str, expected: str) -> None:
    assert verdict(f"Answer: {answer}", "70°", choices=ANGLES) == expected


@pytest.mark.parametrize(("answer", "expected"), YES_OR_NO)
def test_yes_and_no_are_said_not_guessed(answer: str, expected: str) -> None:
    assert verdict(f"Answer: {answer}", "No", choices=YES_NO) == expected


def test_letters_as_choices_are_words_first() -> None:
    shuffled = ["(c)", "(a)", "(b)"]
    assert verdict("Answer: (b)", "(b)", choices=shuffled) == "correct"
    assert verdict("Answer: (B)", "(b)", choices=shuffled) == "wrong"  # the letter of (a), or the words (b)
    assert verdict("Answer: E", "E", choices=["A", "B", "C", "D", "E"]) == "correct"


def test_an_unknown_type_is_unscorable_and_says_what_is_known() -> None:
    judged = verify("Answer: 4", Prompt("p", "?", answer="4", meta={"answer_type": "number"}))
    assert judged.verdict == "unscorable"
    assert "'number' is unknown; use one of" in judged.reason and "integer" in judged.reason
