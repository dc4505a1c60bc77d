"""Conversations: LLaVA's ``conversations``, and the ``messages`` of TRL and of chat templates."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from mstar.answers.extract import extract_answer
from mstar.layouts.layout import Layout, Question, listed, text_of, unmarked

ANSWER = re.compile(r"^\s*(?:The answer is|Answer)\s*:?\s*", re.IGNORECASE)
SPEAKERS = {"human": "human", "user": "human", "gpt": "gpt", "assistant": "gpt", "system": "system"}
MARK = "<image>"


class Turns(Layout):
    """Reads rows that are a conversation: one turn asks, one answers.

    - LLaVA (and LLaVA-CoT, MathV360K, ShareGPT-4V …): ``conversations``, turns ``{from: human | gpt, value}``; images
      are marked ``<image>`` in the text.
    - TRL's vision data sets: ``messages``, turns ``{role: system | user | assistant, content}``, where content is a
      text or a list of parts ``{type: image}`` and ``{type: text, text}``; images in a column beside it.

    What a system turn says is put before the question. The reply is a worked response, whose stated final answer (if
    it states one) is the reference answer, or the answer itself.

    Args:
        turns: Column of the turns.
        images: Column of the image, or of a list of them; rows without one are text alone.
        id: Column of the row's id; ``None`` takes the row's number.
        kind: Column of the sub-task; ``None`` for none.
        answer: Column of the reference answer; ``None`` reads it from the reply.
        reply: What the reply is: ``cot``, a worked response, or ``answer``, the answer alone.
        first_only: Ask the first question of a longer conversation and leave out the others. Without it such rows are
            refused: a reply may lean on what was said before.
    """

    def __init__(
        self,
        turns: str = "messages",
        images: str | None = "images",
        id: str | None = None,
        kind: str | None = None,
        answer: str | None = None,
        reply: Literal["cot", "answer"] = "cot",
        first_only: bool = False,
    ) -> None:
        super().__init__(id, images)
        self.turns = turns
        self.kind = kind
        self.answer = answer
        self.reply = reply
        self.first_only = first_only

    @property
    def columns(self) -> dict[str, str | None]:
        """As named in the constructor."""
        return {"turns": self.turns, "kind": self.kind, "answer": self.answer}

    def read(self, row: Mapping[str, Any]) -> Question:
        """Understand a row."""
        system, asks, replies = exchange(row[self.turns], self.first_only)
        asked = unmarked(asks, len(self.shown(row)))
        question = f"{system}\n\n{asked}" if system else asked
        answer = self._stated(replies) if self.answer is None else text_of(row[self.answer])
        return Question(
            text=question,
            published=question,
            answer=answer or None,
            kind="" if self.kind is None else text_of(row[self.kind]),
            cot=replies if self.reply == "cot" else None,
        )

    def _stated(self, replies: str) -> str | None:
        return extract_answer(replies) if self.reply == "cot" else ANSWER.sub("", replies).strip().removesuffix(".")

    def shown(self, row: Mapping[str, Any]) -> Sequence[Any]:
        """Images of the column, or else those that the first question holds itself."""
        beside = () if self.image is None else listed(row[self.image] or None)
        if beside:
            return beside
        turns = [turn for turn in spoken(row[self.turns]) if turn[0] == "human"]
        return [image for image in pictures(turns[0][1]) if image is not None] if turns else ()


def exchange(value: Any, first_only: bool = True) -> tuple[str, str, str]:
    """What the system says, what the human asks and what the model replies.

    Raises:
        ValueError: If the turns are others, or there are more and not only the first is wanted.
    """
    turns = spoken(value)
    system = said(turns[0][1]) if turns and turns[0][0] == "system" else ""
    rest = turns[1:] if turns and turns[0][0] == "system" else turns
    speakers = [speaker for speaker, _ in rest]
    if speakers[:2] != ["human", "gpt"]:
        raise ValueError(f"its turns are of {speakers}; they should be human, gpt (or user, assistant)")
    if len(rest) > 2 and not first_only:
        raise ValueError(f"it has {len(rest)} turns; to ask the first question alone, set layout.init_args.first_only")
    return system, said(rest[0][1]), said(rest[1][1])


def spoken(value: Any) -> list[tuple[str, Any]]:
    """Who says what, in LLaVA's words or TRL's; LLaVA's names of the speakers."""
    turns = [turn for turn in value if isinstance(turn, Mapping)] if isinstance(value, list | tuple) else []
    found = [(turn.get("from") or turn.get("role"), turn.get("value") or turn.get("content")) for turn in turns]
    return [(SPEAKERS.get(str(speaker), str(speaker)), content) for speaker, content in found]


def said(content: Any) -> str:
    """A turn's text; parts that are images become marks.

    Raises:
        ValueError: If a part is neither text nor an image: what is asked about would be missing.
    """
    if not isinstance(content, list | tuple):
        return text_of(content)
    parts = [part if isinstance(part, Mapping) else {"type": "text", "text": part} for part in content]
    if others := sorted({str(part.get("type", "text")) for part in parts} - {"text", "image"}):
        raise ValueError(f"a turn has parts of type {', '.join(others)}; only text and image are read")
    return "".join(MARK if part.get("type") == "image" else text_of(part.get("text")) for part in parts).strip()


def pictures(content: Any) -> list[Any]:
    """The images that a turn's parts hold; ``None`` where a part only marks one."""
    parts = content if isinstance(content, list | tuple) else ()
    return [part.get("image") for part in parts if isinstance(part, Mapping) and part.get("type") == "image"]
