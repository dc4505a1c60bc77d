"""Choices written into a text: MMStar and MathVerse in the question itself, We-Math in a column."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from string import ascii_uppercase
from typing import Any

from mstar.layouts.layout import Layout, Question, letter_answer, text_of

HEADING = re.compile(r"(?:^|\n)[ \t]*(?:Options|Choices)[ \t]*:", re.IGNORECASE)
HINT = re.compile(r"^\s*Hint:.*?\n\s*Question:\s*", re.DOTALL)


class InlineChoices(Layout):
    """Reads data sets that write "A: … B: …" behind the question or in a cell.

    - MMStar, huggingface.co/datasets/Lin-Chen/MMStar: index, question ("… Options: A: …, B: …"; rows it took from
      MathVista keep their "Hint: … Question: … Choices: (A) …", which could not be verified), image, answer (a letter),
      category, l2_category, meta_info (a card of a copy of it; categories as in lmms-eval's tasks/mmstar).
    - MathVerse, huggingface.co/datasets/AI4Math/MathVerse (``dataset_info`` of its card, lmms-eval's tasks/mathverse):
      sample_index, problem_index, problem_version, question, image, answer, question_type (``multi-choice``,
      ``free-form``), metadata, query_wo, query_cot (its own prompts), question_for_eval (the question in words where
      question leaves it to the picture). That choices follow "Choices:" there, as lines "A:…", could not be verified.
    - We-Math, data/testmini.json of github.com/We-Math/We-Math: ID, split, knowledge concept, question, option
      ("A. 95°  ;B. 145° …"), answer (a letter), image_path, key, question number; on the hub image_path is the image.

    Args:
        id: Column of the row's id, or columns joined.
        question: Column of the question.
        options: Column of the choices, behind "Options:" or "Choices:" if it has one; ``None`` is the question's.
        answer: Column of the answer.
        image: Column of the image.
        kind: Column of the sub-task; ``None`` for none.
        question_type: Column that says ``free-form`` of questions without choices; ``None`` if all have them.
        unwritten: Letters that stand for the choices of a row that does not write them, for they are in the picture;
            empty refuses such a row.
    """

    def __init__(
        self,
        id: str | list[str] = "index",
        question: str = "question",
        options: str | None = None,
        answer: str = "answer",
        image: str = "image",
        kind: str | None = "category",
        question_type: str | None = None,
        unwritten: str = "",
    ) -> None:
        super().__init__(id, image)
        self.unwritten = unwritten
        self._columns = {"question": question, "options": options, "answer": answer, "kind": kind}
        self._columns["question_type"] = question_type

    @property
    def columns(self) -> dict[str, str | None]:
        """As named in the constructor."""
        return self._columns

    def read(self, row: Mapping[str, Any]) -> Question:
        """Understand a row."""
        cells = {ours: "" if column is None else text_of(row[column]) for ours, column in self._columns.items()}
        free = cells["question_type"].replace("-", "_") == "free_form"
        stem, choices = (cells["question"], ()) if free else self._split(cells)
        answer = cells["answer"]
        return Question(
            text=stem,
            published=cells["question"],
            answer=(answer if free else letter_answer(answer, choices)) or None,
            choices=choices,
            kind=cells["kind"],
            answer_type=None if free else "text",
        )

    def _split(self, cells: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
        """The question without its choices, and the choices."""
        apart = self._columns["options"] is not None
        written = cells["options"] if apart else cells["question"]
        if self.unwritten and not HEADING.search(written):
            return cells["question"], tuple(self.unwritten)
        if not apart or HEADING.search(written):
            stem, choices = split_question(written)
            return (cells["question"] if apart else stem), choices
        return cells["question"], split_choices(written)


def split_question(text: str) -> tuple[str, tuple[str, ...]]:
    r"""A question and the choices behind its last "Options:" or "Choices:"; a hint before it is left out.

    Raises:
        ValueError: If there is no such heading, or fewer than two choices behind it.

    >>> split_question("What is it?\nOptions: A: A dog., B: A cat, red")
    ('What is it?', ('A dog.', 'A cat, red'))
    """
    headings = list(HEADING.finditer(text))
    if not headings:
        raise ValueError('it has no "Options:" or "Choices:" to read its choices behind')
    stem = HINT.sub("", text[: headings[-1].start()])
    return stem.strip(), split_choices(text[headings[-1].end() :])


def split_choices(text: str) -> tuple[str, ...]:
    """The choices of "A: … B: …", "(A) … (B) …" or "A. …; B. …", the letters in order.

    Raises:
        ValueError: If there are fewer than two, or one is empty.

    >>> split_choices("A. 95°  ;B. 145°; C. No correct answer")
    ('95°', '145°', 'No correct answer')
    """
    marks: list[re.Match[str]] = []
    for letter in ascii_uppercase:
        mark = _mark(letter).search(text, marks[-1].end() if marks else 0)
        if mark is None:
            break
        marks.append(mark)
    ends = [*(mark.start() for mark in marks[1:]), len(text)]
    choices = _cleaned([text[mark.end() : end] for mark, end in zip(marks, ends, strict=True)])
    if len(choices) < 2:
        raise ValueError(f"only {len(choices)} choices can be read from {text.strip()!r}; there should be two or more")
    if not all(choices):
        raise ValueError(f"choice {ascii_uppercase[choices.index('')]} is empty in {text.strip()!r}")
    return choices


def _mark(letter: str) -> re.Pattern[str]:
    return re.compile(rf"(?:^|(?<=[\s,;；]))(?:\({letter}\)|{letter}\s?[:.：．、)])")


def _cleaned(choices: Sequence[str]) -> tuple[str, ...]:
    """Without the comma or semicolon that separates a choice from the next."""
    return tuple(re.sub(r"\s*[,;；]\s*$", "", choice).strip() for choice in choices)
