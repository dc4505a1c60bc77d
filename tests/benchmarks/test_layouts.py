"""What each layout makes of its published file."""

from __future__ import annotations

from pathlib import Path

import pytest

from mstar.benchmarks import (
    Asking,
    Benchmark,
    Conversation,
    HeldOut,
    InlineChoices,
    LetteredColumns,
    ListedChoices,
    MathV360K,
    MathVista,
    Rows,
)
from mstar.layouts.inline_choices import split_choices, split_question
from mstar.types import Prompt
from tests.benchmarks import published


def prompts(benchmark: Benchmark) -> list[Prompt]:
    found = [benchmark[i] for i in range(len(benchmark))]
    assert [prompt.id for prompt in found] == list(benchmark.ids())
    assert all(image.mode == "RGB" and image.size == (32, 32) for prompt in found for image in prompt.images)
    return found


def test_mathvista_has_typed_answers(tmp_path: Path) -> None:
    found = prompts(Benchmark(Rows(published.mathvista(tmp_path)), MathVista(), kinds={"math word problem": "MWP"}))
    assert [(p.id, p.answer) for p in found] == [
        ("1", "yes"), ("2", "70°"), ("3", "4"), ("4", "0.25"), ("5", "12"), ("6", "crust"),
    ]  # fmt: skip
    assert found[1].meta == {
        "choices": ["60°", "70°"], "answer_type": "text", "precision": None, "unit": None,
        "question_type": "multi_choice",
    }  # fmt: skip
    assert found[3].meta == {
        "choices": None, "answer_type": "float", "precision": 2, "unit": None, "question_type": "free_form",
    }  # fmt: skip
    assert found[1].question == "Which angle?\nChoices:\n(A) 60°\n(B) 70°"
    assert (found[4].question, found[4].meta["unit"]) == ("How old is he? (Unit: years)", "years")
    assert [p.kind for p in found][:3] == ["figure question answering", "geometry problem solving", "MWP"]
    assert all(len(p.images) == 1 for p in found)


def test_mathvistas_own_prompt_can_be_asked(tmp_path: Path) -> None:
    benchmark = Benchmark(Rows(published.mathvista(tmp_path)), MathVista(question="query"), asking=None)
    assert benchmark[1].question == "Hint: … Question: Which angle?" and benchmark[1].meta["choices"] == ["60°", "70°"]


def test_m3cot_has_letters_contexts_and_rows_without_an_image(tmp_path: Path) -> None:
    layout = ListedChoices(kind="domain", context="context")
    found = prompts(Benchmark(Rows(published.m3cot(tmp_path)), layout))
    assert [(p.id, p.answer, p.kind, len(p.images)) for p in found] == [
        ("physical-1", "A", "science", 1), ("logic-2", "B", "commonsense", 0), ("algebra-3", "D", "mathematics", 1),
    ]  # fmt: skip
    assert found[1].question == "Clouds.\nWhat follows?\nChoices:\n(A) rain\n(B) sun"
    assert found[2].meta["choices"] == ["1", "2", "3", "4"]


def test_mmstar_has_its_choices_in_the_question_and_loses_perception(tmp_path: Path) -> None:
    rows = Rows(published.mmstar_r(tmp_path))
    benchmark = Benchmark(rows, InlineChoices(), without=["coarse perception", "fine-grained perception"])
    found = prompts(benchmark)
    assert [p.kind for p in found] == ["instance reasoning", "logical reasoning", "science & technology", "math"]
    assert benchmark.left_out == {"coarse perception": 1, "fine-grained perception": 1}
    assert found[0].meta["choices"] == ["On the book.", "Beneath the cat", "Under", "Left"]
    assert found[3].question == "What is the angle?\nChoices:\n(A) 135°\n(B) 140°\n(C) 145°\n(D) 150°"
    assert [p.answer for p in found] == ["A", "C", "D", "C"]


def test_mmbench_has_a_column_a_letter_and_base64_images(tmp_path: Path) -> None:
    benchmark = Benchmark(Rows(published.mmbench_r(tmp_path)), LetteredColumns(), without=["coarse_perception"])
    found = prompts(benchmark)
    assert benchmark.left_out == {"coarse_perception": 1, "rotated": 1}
    assert [(p.id, p.answer) for p in found] == [("0", "B"), ("1", "B"), ("2", "C"), ("4", "A"), ("5", "A")]
    assert found[0].question == "A snowboard\nhas wax.\nWhich is true?\nChoices:\n(A) wet\n(B) dry"
    assert found[1].meta["choices"] == ["one", "None", "two", "three"]  # the word, not an empty cell
    assert found[2].meta["choices"] == ["Ann", 'Bob "B" Hall', "Cid"]
    assert found[2].images[0].getpixel((0, 0)) == (255, 0, 0)  # row 1's picture


def test_mmbenchs_rotations_are_questions_if_wanted(tmp_path: Path) -> None:
    found = prompts(Benchmark(Rows(published.mmbench_r(tmp_path)), LetteredColumns(rotations=True)))
    assert (found[-1].id, found[-1].answer, found[-1].meta["choices"]) == ("1000000", "A", ["dry", "wet"])


def test_ai2ds_answers_are_indices_and_its_choices_may_be_letters(tmp_path: Path) -> None:
    layout = ListedChoices(id=None, choices="options", indexed=True)
    found = prompts(Benchmark(Rows(published.ai2d(tmp_path)), layout))
    assert [(p.id, p.answer) for p in found] == [("0", "hare"), ("1", "E"), ("2", "fox")]


def test_mathverse_keeps_its_words_and_mixes_question_types(tmp_path: Path) -> None:
    layout = InlineChoices(
        "sample_index", "query_cot", "question_for_eval", kind="problem_version", question_type="question_type",
        unwritten="ABCD",
    )  # fmt: skip
    found = prompts(Benchmark(Rows(published.mathverse(tmp_path)), layout, asking=None))
    assert [p.meta["choices"] for p in found] == [
        ["16°", "32°", "64°", "74°"], None, ["16°", "32°", "64°", "74°"], ["A", "B", "C", "D"],
    ]  # fmt: skip
    assert [(p.answer, p.meta["question_type"]) for p in found] == [
        ("C", "multi_choice"), ("10", "free_form"), ("B", "multi_choice"), ("D", "multi_choice"),
    ]  # fmt: skip
    assert found[0].question.startswith("Please first conduct reasoning") and "A:16°" in found[0].question
    assert "16°" not in found[2].question


def test_mathvision_mixes_options_and_free_answers(tmp_path: Path) -> None:
    layout = ListedChoices(choices="options", image="decoded_image", kind="subject")
    found = prompts(Benchmark(Rows(published.mathvision(tmp_path)), layout))
    assert [(p.id, p.answer, p.kind) for p in found] == [
        ("4", "C", "logic"),
        ("5", "17", "counting"),
        ("6", "A", "counting"),
    ]
    assert (found[1].question, found[1].meta["choices"], found[1].meta["answer_type"]) == ("How many?", None, None)


def test_wemath_has_its_choices_in_a_cell_and_pictures_in_a_folder(tmp_path: Path) -> None:
    layout = InlineChoices(["ID", "key"], options="option", image="image_path", kind="key")
    found = prompts(Benchmark(Rows(published.wemath(tmp_path)), layout))
    assert [p.id for p in found][:3] == ["2steps_1/2steps_1", "2steps_1/2steps_2", "2steps_1/2steps_multi"]
    assert found[0].meta["choices"] == ["95°", "145°", "120°", "No correct answer"]
    assert found[2].question.endswith("(D) 2π\n(E) No correct answer") and found[2].answer == "E"


def test_mathv360k_is_a_conversation_and_names_its_source(tmp_path: Path) -> None:
    rows = Rows(published.mathv360k(tmp_path), image_root=str(tmp_path / "data_images"))
    found = prompts(Benchmark(rows, Conversation()))
    assert [(p.id, p.kind, p.answer) for p in found][:3] == [
        ("0", "TabMWP", "0"),
        ("1", "IconQA", "B"),
        ("2", "TabMWP", "1"),
    ]
    assert (found[2].question, found[2].meta["answer_type"]) == ("How many are 1?", "integer")
    assert found[1].question == "Is it 0?\nChoices:\n(A) yes\n(B) no"


def test_held_out_parts_do_not_overlap_and_leave_half_to_train_on(tmp_path: Path) -> None:
    parts = {which: HeldOut(which, 30, 10).choose(201) for which in ("labelled", "unlabelled", "test", "validation")}  # type: ignore[arg-type]
    assert {which: len(chosen) for which, chosen in parts.items()} == {
        "labelled": 100, "unlabelled": 61, "test": 30, "validation": 10,
    }  # fmt: skip
    assert sorted(i for chosen in parts.values() for i in chosen) == list(range(201))
    assert HeldOut("test", 30, 10).choose(201) == parts["test"] != HeldOut("test", 30, 10, seed=1).choose(201)
    with pytest.raises(
        ValueError, match=r"holds out 1000 rows, but half of the file's 201 are 101; lower part.num_test"
    ):
        HeldOut("test").choose(201)


def test_a_part_keeps_the_files_row_numbers(tmp_path: Path) -> None:
    rows = Rows(published.mathv360k(tmp_path), image_root=str(tmp_path / "data_images"))
    part = HeldOut("test", 2, 2)
    assert list(Benchmark(rows, Conversation(), part).ids()) == [str(i) for i in part.choose(8)]


def test_asking_is_a_setting(tmp_path: Path) -> None:
    asking = Asking(line="{letter}: {text}", heading="", context="[{context}] ")
    benchmark = Benchmark(Rows(published.m3cot(tmp_path)), ListedChoices(context="context"), asking=asking)
    assert benchmark[1].question == "[Clouds.] What follows?\nA: rain\nB: sun"


@pytest.mark.parametrize(
    ("text", "choices"),
    [
        ("A: a, B: b, C: c", ("a", "b", "c")),
        ("(A) 1.5 (B) 2.5", ("1.5", "2.5")),
        ("A. x; B. B. Smith; C. y", ("x", "B. Smith", "y")),
        ("A.30°;B.60°", ("30°", "60°")),
        ("A: Yes, it is\nB: No, it is not", ("Yes, it is", "No, it is not")),
        ("A. $\\frac{1}{2}$;\nB. $(B)$", ("$\\frac{1}{2}$", "$(B)$")),
    ],
)
def test_choices_are_read_whatever_stands_round_their_letters(text: str, choices: tuple[str, ...]) -> None:
    assert split_choices(text) == choices


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Which?", '"Options:" or "Choices:"'),
        ("Which?\nOptions: A: one", "only 1 choices can be read from 'A: one'"),
        ("Which?\nOptions: A: one, B: , C: three", "choice B is empty"),
    ],
)
def test_choices_that_cannot_be_read_are_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        split_question(text)


def test_the_parts_of_mathv360k_share_no_question(tmp_path: Path) -> None:
    published.mathv360k(tmp_path)
    parts = [MathV360K(which, str(tmp_path), 2, 1) for which in ("labelled", "unlabelled", "test", "validation")]
    assert [len(part) for part in parts] == [4, 1, 2, 1]
    assert sorted(name for part in parts for name in part.ids()) == [str(number) for number in range(8)]
    assert all(part[0].images and part[0].answer for part in parts)
