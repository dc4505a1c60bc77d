"""What the strict verifier takes for a conclusion, and what it does not."""

from __future__ import annotations

from typing import Any

import pytest

from mstar.answers import Strict
from mstar.types import Prompt

LEFT = "Subtract all cubes. How many objects are left?"
NUMBERS: list[tuple[str, str, str, str]] = [
    (LEFT, "3", "3", "correct"),
    (LEFT, "three", "3", "correct"),
    (LEFT, "3 objects", "3", "correct"),
    (LEFT, "There are 3 objects left.", "3", "correct"),
    (LEFT, "There are three objects left after subtracting 2 cubes.", "3", "correct"),
    (LEFT, "There are 5 objects. So, 5 - 2 = 3 objects are left.", "3", "correct"),
    (LEFT, "There are 5 objects. Therefore there are **3** objects left.", "3", "correct"),
    (LEFT, "3 objects are left, for 2 of 5 were cubes.", "3", "correct"),
    (LEFT, "Sure, I can help.\n\nThere are 3 objects left.\n\nI hope this helps!", "3", "correct"),
    (LEFT, "There are 3 or 4 objects left.", "3", "wrong"),
    (LEFT, "There are between 3 and 4 objects left.", "3", "wrong"),
    (LEFT, "I cannot count the 3 objects.", "3", "wrong"),
    (LEFT, "5 - 2 = 3\n4 + 3 = 7\n", "3", "wrong"),
    (LEFT, "There are 5 objects, 2 cubes and 3 spheres.", "3", "wrong"),
    (LEFT, "3, 4", "3", "wrong"),
    (LEFT, "I see it. It has 3. And 4.", "3", "wrong"),
    ("What is the area?", "The area is 12.5 cm².", "12.5", "correct"),
    ("What is the area?", "The area is 5 * 2.5 = 12.5.", "12.5", "correct"),
    ("What is the area?", "The area of the 3 by 4 square is 12.5.", "12.5", "correct"),
    ("What is the area?", "The ratio is 12.5:3.", "12.5", "wrong"),
    ("Which year was best?", "The best year was 2019 with 35 points.", "2019", "correct"),
    ("Which year was best?", "In 2019 there were 35, in 2018 less.", "2019", "wrong"),
    ("In which week is it highest?", "It is highest in week 3, at 300 g.", "3", "correct"),
    ("There are (_) dots in each group.", "It has 9 dots in 3 groups. There are 4 dots in each group.", "4", "correct"),
    ("There are (_) dots in each group.", "9 dots are 3 groups, with 4 dots in each group.", "4", "correct"),
    ("There are (_) dots in each group.", "The model has ___ dots in 4 groups.", "4", "wrong"),
    ("What is the difference?", "The difference is -3.", "-3", "correct"),
    ("What is the difference?", "The difference is minus 3.", "-3", "correct"),
    ("What is the difference?", "The difference is −3.", "3", "wrong"),
    ("What is the sum?", "The sum is 1,200.", "1200", "correct"),
    ("What is the sum?", "The sum is $3.5 million.", "3500000", "correct"),
    ("How many people were born later?", "Of the three people, only one was born later.", "3", "wrong"),
    ("What is x?", "7 is not it.", "7", "wrong"),
    ("What is x?", "x is not 7.", "7", "wrong"),
    ("What is x?", "It isn't 7.", "7", "wrong"),
    ("What is x?", "The answer is not 7.", "7", "wrong"),
    ("What is x?", "Answer: 7, 8", "7", "wrong"),
    ("What is x?", "Answer: 5 + 2 = 7", "7", "correct"),
    ("What is x?", "Answer: about -7", "-7", "correct"),
    ("What is x?", "x is 7k.", "7", "wrong"),
    ("What is x?", "x is 7 cm.", "7", "correct"),
    ("What is x?", "x is 7cm.", "7", "correct"),
    ("What is x?", "x is 3.5y.", "3", "wrong"),
    ("What is the gap?", "They are a pair with a 10-year gap.", "10", "correct"),
    ("多少？", "因此，答案是10。", "10", "correct"),
]

FISH = ["decrease", "increase", "stay the same"]
IS_MORE = "Are there more cubes than spheres?"
CHOICES: list[tuple[str, list[str], str, str, str]] = [
    ("Find x.", ["60°", "70°"], "B", "70°", "correct"),
    ("Find x.", ["60°", "70°"], "(B)", "70°", "correct"),
    ("Find x.", ["60°", "70°"], "B\nBecause it is so.", "70°", "correct"),
    ("Find x.", ["60°", "70°"], "x is 70 degrees.", "70°", "correct"),
    ("Find x.", ["60°", "70°"], "The angle x equals **(B) 70°**.", "70°", "correct"),
    ("Find x.", ["60°", "70°"], "B is the correct option.", "70°", "correct"),
    ("Find x.", ["60°", "70°"], "B is the correct option for this question: Find x.", "70°", "correct"),
    ("Find x.", ["60°", "70°"], "I would take option B.", "70°", "correct"),
    ("Find x.", ["60°", "70°"], "选项B是正确答案", "70°", "correct"),
    ("Find x.", ["60°", "70°"], "故选：B．", "70°", "correct"),
    ("Find x.", ["60°", "70°"], "x is 60° or 70°.", "70°", "wrong"),
    ("Find x.", ["60°", "70°"], "x is (A) or (B).", "70°", "wrong"),
    ("Find x.", ["60°", "70°"], "B) 60°", "70°", "wrong"),
    ("Find x.", ["60°", "70°"], "B: the angle is 60°.", "70°", "wrong"),
    ("Find x.", ["60°", "70°"], "x is 75°.", "70°", "wrong"),
    ("Find x.", ["60°", "70°"], "It cannot be determined whether it is 70°.", "70°", "wrong"),
    ("Find x.", ["60°", "70°"], "Sorry, I can't help with images of people yet.", "70°", "wrong"),
    ("What happens to fish?", FISH, "The fish will likely decrease.", "decrease", "correct"),
    (
        "What happens to fish?",
        FISH,
        "If plants die, fish will decrease because they eat them.",
        "decrease",
        "correct",
    ),
    ("What happens to fish?", FISH, "Fish increase or decrease.", "decrease", "wrong"),
    ("What happens to fish?", FISH, "They may suffer.", "decrease", "wrong"),
    ("Which is more?", ["quarter", "quarter past"], "It is quarter past three.", "quarter past", "correct"),
    ("Which is more?", ["quarter", "quarter past"], "It is quarter past three.", "quarter", "wrong"),
    ("Which is more?", ["quarter", "quarter past"], "A. The time is quarter past.", "quarter", "wrong"),
    (IS_MORE, ["Yes", "No"], "Yes, there are more cubes than spheres.", "Yes", "correct"),
    (IS_MORE, ["Yes", "No"], "No.", "No", "correct"),
    (IS_MORE, ["Yes", "No"], "There are more cubes than spheres.", "Yes", "correct"),
    (IS_MORE, ["Yes", "No"], "There are not more cubes than spheres.", "No", "correct"),
    (IS_MORE, ["Yes", "No"], "There are fewer cubes than spheres.", "No", "correct"),
    (IS_MORE, ["Yes", "No"], "There are more spheres than cubes.", "No", "correct"),
    (IS_MORE, ["Yes", "No"], "Yes, there are more spheres than cubes.", "Yes", "wrong"),
    (IS_MORE, ["Yes", "No"], "The question asks if there are more cubes than spheres.", "Yes", "wrong"),
    (IS_MORE, ["Yes", "No"], "We cannot determine if there are more cubes than spheres.", "Yes", "wrong"),
    (IS_MORE, ["Yes", "No"], "It shows many cubes.", "Yes", "wrong"),
    ("Is Cyan the minimum?", ["yes", "no"], "Based on the image, Cyan is not the minimum.", "no", "correct"),
    ("Is Cyan the minimum?", ["yes", "no"], "Cyan is the maximum.", "no", "correct"),
    ("Is Cyan the minimum?", ["yes", "no"], "Cyan is the minimum.", "yes", "correct"),
]


@pytest.mark.parametrize(("question", "text", "reference", "expected"), NUMBERS)
def test_one_number_is_concluded_or_none(question: str, text: str, reference: str, expected: str) -> None:
    meta: dict[str, Any] = {"answer_type": "float", "precision": 2}
    assert Strict()(text, Prompt("p", question, answer=reference, meta=meta)).verdict == expected


@pytest.mark.parametrize(("question", "choices", "text", "reference", "expected"), CHOICES)
def test_one_choice_is_concluded_or_none(
    question: str, choices: list[str], text: str, reference: str, expected: str
) -> None:
    assert Strict()(text, Prompt("p", question, answer=reference, meta={"choices": choices})).verdict == expected


def test_what_the_response_makes_the_other_side_say_does_not_count() -> None:
    prompt = Prompt("p", "Find x.", answer="60°", meta={"choices": ["60°", "70°"]})
    assert Strict()("A\nHuman: What is y?\nAnswer: (B)", prompt).verdict == "correct"


@pytest.mark.parametrize("text", ["[2014, 2016]", "The years were [2014, 2016].", "Answer: 2014, 2016"])
def test_a_list_in_brackets_is_an_answer(text: str) -> None:
    assert Strict()(text, Prompt("p", "?", answer="[2014, 2016]", meta={"answer_type": "list"})).verdict == "correct"
