"""MathV360K: LLaVA's conversations, with hints and choices in the words of MathVista."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mstar.layouts.inline_choices import HEADING, split_question
from mstar.layouts.layout import Layout, Question, letter_answer
from mstar.layouts.turns import ANSWER, exchange

QUESTION = re.compile(r"^.*?\bQuestion:\s*", re.DOTALL)
TYPES = {"integer answer": ("integer", None), "one decimal place": ("float", 1), "two decimal places": ("float", 2)}
TYPES |= {"Python list": ("list", None), "option letter": ("text", None)}


class Conversation(Layout):
    r"""Reads MathV360K.

    train_samples_all_tuning.json of huggingface.co/datasets/Zhiqiang007/MathV360K is a list of records with ``id``,
    ``image`` (a path such as ``TabMWP/images/1.png``) and ``conversations``, two turns ``{from, value}``: the first,
    of ``human``, asks ("<image> … Question: … Choices: …"), the second, of ``gpt``, says "The answer is …". The form
    is taken from programs that read it (SophoSet's MathV360K_Query, VisualPRM's prefix sampling). That questions may
    begin with MathVista's hint, from which the type of the answer is read, and whether ids differ could not be
    verified: rows are named by their number.

    Args:
        conversations: Column of the turns.
        image: Column of the image's path; its first folder, the data set a question was taken from, is the kind.
        id: Column of the row's id; ``None`` takes the row's number.
    """

    def __init__(self, conversations: str = "conversations", image: str = "image", id: str | None = None) -> None:
        super().__init__(id, image)
        self.conversations = conversations
        self.path = image

    @property
    def columns(self) -> dict[str, str | None]:
        """The turns and the path."""
        return {"conversations": self.conversations, "path": self.path}

    def read(self, row: Mapping[str, Any]) -> Question:
        """Understand a row."""
        _, asks, answers = exchange(row[self.conversations])
        published = asks.replace("<image>", "").strip()
        asked = QUESTION.sub("", published)
        stem, choices = split_question(asked) if HEADING.search(asked) else (asked.strip(), ())
        answer = ANSWER.sub("", answers).strip().removesuffix(".")
        answer_type, precision = type_of(published) if not choices else ("text", None)
        return Question(
            text=stem,
            published=published,
            answer=letter_answer(answer, choices) if choices and len(answer.strip("()")) == 1 else answer or None,
            choices=choices,
            kind=str(row[self.path] or "").split("/")[0],
            answer_type=answer_type,
            precision=precision,
        )


def type_of(text: str) -> tuple[str | None, int | None]:
    """The type and precision of an answer that a hint in MathVista's words asks for.

    >>> type_of("Hint: Please answer the question requiring an integer answer and provide …")
    ('integer', None)
    """
    hint = text.split("Question:")[0]
    return next((found for words, found in TYPES.items() if words in hint), (None, None))
