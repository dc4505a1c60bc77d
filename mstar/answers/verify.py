"""The rule that judges a response: correct, wrong or unscorable, with the reason in words."""

from __future__ import annotations

from dataclasses import dataclass

from mstar.answers.choices import choice
from mstar.answers.compare import equal, items
from mstar.answers.extract import extract_answer
from mstar.answers.plain import normalized
from mstar.answers.quantity import quantity
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

    A response without an answer is wrong. A prompt without a reference that can be read makes it unscorable, answer or
    not: it is counted apart, for it is neither right nor wrong. Reads ``answer_type``, ``choices``, ``precision`` and
    ``unit`` of ``prompt.meta``, as MathVista names them; all may be missing or ``None``.

    >>> verify("Answer: 4", Prompt("p", "2+2?", answer="4")).verdict
    'correct'
    """
    answer = extract_answer(text)
    if prompt.answer is None or not prompt.answer.strip():
        return Judgement("unscorable", answer, "the prompt has no reference answer")
    same = _equal("" if answer is None else answer, prompt.answer, prompt)
    if same is None:
        return Judgement("unscorable", answer, f"the reference {prompt.answer!r} cannot be read as {_kind(prompt)}")
    if answer is None:
        return Judgement("wrong", None, "no answer")
    return Judgement("correct", answer, "right") if same else Judgement("wrong", answer, "wrong answer")


def _equal(answer: str, reference: str, prompt: Prompt) -> bool | None:
    meta, precision, unit = prompt.meta, prompt.meta.get("precision"), prompt.meta.get("unit")
    return equal(
        answer,
        reference,
        str(meta.get("answer_type") or "text"),
        _choices(prompt),
        None if precision is None else int(precision),
        None if unit is None else str(unit),
    )


def canonical(answer: str, prompt: Prompt) -> str:
    """One way of writing an answer, so that equal ones can be counted without a reference: votes, diversity.

    >>> canonical("(B)", Prompt("p", "?", meta={"choices": ["3", "7"]})), canonical("1,200.0 g", Prompt("p", "?"))
    ('7', '1200 g')
    """
    if choices := _choices(prompt):
        return choice(answer, choices) or normalized(answer)
    if prompt.meta.get("answer_type") == "list":
        return ",".join(items(answer))
    number = quantity(answer)
    return f"{number.value} {number.unit}".strip() if number else normalized(answer)


def _choices(prompt: Prompt) -> list[str]:
    return [str(option) for option in prompt.meta.get("choices") or ()]


def _kind(prompt: Prompt) -> str:
    return "one of the choices" if _choices(prompt) else str(prompt.meta.get("answer_type") or "text")
