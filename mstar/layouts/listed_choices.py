"""Choices as a list in a column of their own, the answer as a letter or an index: M3CoT, AI2D, MathVision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mstar.layouts.layout import Layout, Question, letter_answer, listed_choices, text_of


class ListedChoices(Layout):
    """Reads data sets that list their choices.

    - M3CoT, huggingface.co/datasets/LightChen2333/M3CoT (``dataset_info`` of its card): id, category, image_id,
      question, choices, context, answer (a letter), rationale, split, image, domain, topic.
    - AI2D, huggingface.co/datasets/lmms-lab/ai2d (lmms-eval's upload_ai2d.py): question, options, answer (an index as
      text), image.
    - MathVision, huggingface.co/datasets/MathLLMs/MathVision (lmms-eval's tasks/mathvision): question, options (empty
      for free-form questions), decoded_image, answer (a letter, or free), level, subject; ``id`` could not be verified.

    Args:
        id: Column of the row's id; ``None`` takes the row's number.
        question: Column of the question.
        choices: Column of the list; where it is empty, the question is free-form.
        answer: Column of the answer.
        image: Column of the image; an empty cell is a question without one.
        kind: Column of the sub-task; ``None`` for none.
        context: Column of what is said before the question; ``None`` for none.
        indexed: Whether the answer is an index from 0 rather than a letter.
    """

    def __init__(
        self,
        id: str | Sequence[str] | None = "id",
        question: str = "question",
        choices: str = "choices",
        answer: str = "answer",
        image: str | None = "image",
        kind: str | None = None,
        context: str | None = None,
        indexed: bool = False,
    ) -> None:
        super().__init__(id, image)
        self._columns = {"question": question, "choices": choices, "answer": answer, "kind": kind, "context": context}
        self.indexed = indexed

    @property
    def columns(self) -> dict[str, str | None]:
        """As named in the constructor."""
        return self._columns

    def read(self, row: Mapping[str, Any]) -> Question:
        """Understand a row."""
        cells = {ours: None if column is None else row[column] for ours, column in self._columns.items()}
        choices = listed_choices(cells["choices"])
        answer = text_of(cells["answer"])
        return Question(
            text=text_of(cells["question"]),
            published=text_of(cells["question"]),
            answer=(self._choice(answer, choices) if choices else answer) or None,
            choices=choices,
            kind=text_of(cells["kind"]),
            context=text_of(cells["context"]),
            answer_type="text" if choices else None,
        )

    def _choice(self, answer: str, choices: Sequence[str]) -> str:
        if not self.indexed:
            return letter_answer(answer, choices)
        if not answer.isdecimal() or int(answer) >= len(choices):
            raise ValueError(f"its answer {answer!r} is the index of none of its {len(choices)} choices")
        return choices[int(answer)]
