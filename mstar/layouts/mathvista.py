"""MathVista's layout: typed answers, choices as a list, the answer as a choice's text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mstar.layouts.layout import Layout, Question, listed_choices, text_of


class MathVista(Layout):
    """Reads MathVista.

    Columns of huggingface.co/datasets/AI4Math/MathVista (``dataset_info`` of its card): pid, question, image (a path),
    decoded_image, choices, unit, precision (float64), answer, question_type (``multi_choice``, ``free_form``),
    answer_type (``text``, ``integer``, ``float``, ``list``), metadata (struct with ``task``, …), query. The file
    data/testmini.json of github.com/lupantech/MathVista holds the same by pid, but for decoded_image.

    Args:
        image: ``decoded_image`` on the hub and in its Parquet files; ``image`` in the JSON file.
        question: ``query`` gives MathVista's own prompt, with hint and choices; set ``asking: null`` with it.
    """

    def __init__(self, image: str = "decoded_image", question: str = "question") -> None:
        super().__init__("pid", image)
        self.question = question

    @property
    def columns(self) -> dict[str, str | None]:
        """All that is scored by."""
        same = ("choices", "unit", "precision", "answer", "question_type", "answer_type", "metadata")
        return {"question": self.question, **{name: name for name in same}}

    def read(self, row: Mapping[str, Any]) -> Question:
        """Understand a row; the kind is ``metadata.task``."""
        choices = listed_choices(row["choices"])
        answer = text_of(row["answer"]) or None  # the test split keeps answers back
        if (row["question_type"] == "multi_choice") != bool(choices):
            raise ValueError(f"it is {row['question_type']}, but has {len(choices)} choices")
        if choices and answer is not None and answer not in [choice.strip() for choice in choices]:
            raise ValueError(f"its answer {answer!r} is none of its {len(choices)} choices")
        return Question(
            text=text_of(row[self.question]),
            published=text_of(row[self.question]),
            answer=answer,
            choices=choices,
            kind=task_of(row["metadata"]),
            answer_type=text_of(row["answer_type"]) or None,
            precision=places(row["precision"]),
            unit=text_of(row["unit"]) or None,
        )


def task_of(metadata: Any) -> str:
    """The sub-task.

    Raises:
        ValueError: If there is none.
    """
    if not isinstance(metadata, Mapping) or not text_of(metadata.get("task")):
        raise ValueError(f"its metadata {metadata!r} is no record with a task")
    return text_of(metadata["task"])


def places(precision: Any) -> int | None:
    """Decimal places; ``None`` where there are none, as for the ``nan`` that pandas leaves.

    Raises:
        ValueError: If it is no whole number.

    >>> places(2.0), places(None), places(float("nan"))
    (2, None, None)
    """
    text = text_of(precision)
    if not text:
        return None
    if not re.fullmatch(r"\d+(\.0*)?", text):
        raise ValueError(f"its precision {precision!r} is no number of decimal places")
    return int(float(text))
