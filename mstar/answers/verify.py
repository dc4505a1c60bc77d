"""The rule that judges a response: correct, wrong or unscorable, with the reason in words."""

from __future__ import annotations

from dataclasses import dataclass

from mstar.answers.compare import equal
from mstar.answers.extract import extract_answer
from mstar.types import Prompt, Verdict


@dataclass(frozen=True)
class Judgement:
    """What a verifier says of a response."""

    verdict: Verdict
    answer: str | None
    """As extracted; ``None`` if the response states none."""
    reason: str


def verify(text: str, prompt: Prompt) -> Judgement:
    """Judge a response by its stated final answer and the prompt's reference.

    A response without an answer is wrong. A prompt without a reference that can be read makes it unscorable, which is
    counted apart: it is neither right nor wrong.

    >>> verify("Answer: 4", Prompt("p", "2+2?", answer="4")).verdict
    'correct'
    """
    answer = extract_answer(text)
    if prompt.answer is None or not prompt.answer.strip():
        return Judgement("unscorable", answer, "the prompt has no reference answer")
    if answer is None:
        return Judgement("wrong", None, "no answer")
    same = equal(
        answer,
        prompt.answer,
        str(prompt.meta.get("answer_type") or "text"),
        prompt.meta.get("choices") or (),
        None if prompt.meta.get("precision") is None else int(prompt.meta["precision"]),
    )
    if same is None:
        return Judgement("unscorable", answer, f"the reference {prompt.answer!r} cannot be read as its type")
    return Judgement("correct", answer, "right") if same else Judgement("wrong", answer, "wrong answer")
