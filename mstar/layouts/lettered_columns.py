"""A column for each choice, called by its letter: MMBench, and every multiple-choice TSV of VLMEvalKit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mstar.layouts.layout import Layout, Question, letter_answer, text_of

ROTATED = 1_000_000


class LetteredColumns(Layout):
    """Reads data sets with columns A, B, C, D.

    MMBench (MMBench_DEV_EN_V11.tsv of opencompass.openxlab.space, as VLMEvalKit reads it): index, question, hint, A, B,
    C, D, answer, category, image (base64, or the index of the row that has it), source, l2-category, split. A column
    ``comment`` in older files could not be verified, and is not read. Rows whose index is 1,000,000 or more repeat a
    question with its choices rotated (VLMEvalKit's ``mcq_circular_eval`` takes the index modulo that, and counts a
    question as right when all its rotations are). On the hub, lmms-lab/MMBench says ``L2-category`` and holds decoded
    images; empty cells read ``nan`` there.

    Args:
        id: Column of the row's id.
        question: Column of the question.
        letters: The columns of choices, one letter each; empty cells at the end are choices that are not there.
        answer: Column of the answer, a letter.
        image: Column of the image.
        kind: Column of the sub-task; ``None`` for none.
        context: Column of what is said before the question; ``None`` for none.
        rotations: Ask the rotated repetitions too, and report the share of questions with all of them right beside
            the accuracy. Without them there is only what VLMEvalKit calls vanilla accuracy.
    """

    def __init__(
        self,
        id: str = "index",
        question: str = "question",
        letters: str = "ABCD",
        answer: str = "answer",
        image: str = "image",
        kind: str | None = "l2-category",
        context: str | None = "hint",
        rotations: bool = False,
    ) -> None:
        super().__init__(id, image)
        self.index = id
        self.letters = letters
        self.rotations = rotations
        self._columns = {"question": question, "answer": answer, "kind": kind, "context": context}

    @property
    def columns(self) -> dict[str, str | None]:
        """As named in the constructor."""
        return {**self._columns, **{letter: letter for letter in self.letters}}

    def read(self, row: Mapping[str, Any]) -> Question:
        """Understand a row."""
        cells = {ours: None if column is None else row[column] for ours, column in self._columns.items()}
        filled = [text_of(row[letter]) for letter in self.letters]
        choices = tuple(filled[: max((i + 1 for i, text in enumerate(filled) if text), default=0)])
        if len(choices) < 2 or not all(choices):
            empty = ", ".join(letter for letter, text in zip(self.letters, filled, strict=True) if not text)
            raise ValueError(f"its choices {empty} are empty, which leaves a gap or fewer than two")
        answer, index = text_of(cells["answer"]), str(row[self.index])
        return Question(
            text=text_of(cells["question"]),
            published=text_of(cells["question"]),
            answer=letter_answer(answer, choices) if answer else None,  # the test split keeps answers back
            choices=choices,
            kind=text_of(cells["kind"]),
            context=text_of(cells["context"]),
            answer_type="text",
            repeats=str(int(index) % ROTATED) if is_rotated(index) else "",
        )

    def skip(self, row: Mapping[str, Any]) -> str:
        """Leave rotated repetitions out."""
        return "rotated" if not self.rotations and is_rotated(str(row[self.index])) else ""


def is_rotated(index: str) -> bool:
    """Whether a row repeats another.

    >>> is_rotated("7"), is_rotated("2000007")
    (False, True)
    """
    return index.isdecimal() and int(index) >= ROTATED
