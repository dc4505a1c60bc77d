"""The rule that judges a response: correct, wrong or unscorable, with the reason in words."""

from __future__ import annotations

from dataclasses import dataclass

from mstar.answers.compare import ROUTES, degree
from mstar.answers.extract import extract_answer
from mstar.answers.kinds.choices import choice
from mstar.answers.kinds.lists import items
from mstar.answers.kinds.quantity import quantity
from mstar.answers.plain import normalized
from mstar.answers.prose.leading import leading_number
from mstar.answers.reference import Reference, reference
from mstar.answers.symbolic.pool import WorkerError
from mstar.types import Prompt, Verdict


@dataclass(frozen=True)
class Judgement:
    """What a verifier says of a response."""

    verdict: Verdict
    answer: str | None
    """As extracted; ``None`` if the response states none."""
    reason: str
    degree: float | None = None
    """How far the answer is right, in [0, 1], where its type knows more than equal; else ``None``."""


def verify(text: str, prompt: Prompt) -> Judgement:
    """Judge a response by its stated final answer and the prompt's reference.

    A response without an answer is wrong. A prompt without a reference that can be read makes it unscorable, answer or
    not: it is counted apart, for it is neither right nor wrong; so is an answer that takes too long to compare. Reads
    what `reference` reads of ``prompt.meta``.

    >>> verify("Answer: 4", Prompt("p", "2+2?", answer="4")).verdict
    'correct'
    """
    return judge(extract_answer(text), prompt)


def judge(answer: str | None, prompt: Prompt) -> Judgement:
    """Judge an answer that was already extracted; ``None`` is a response without one."""
    if prompt.answer is None or not prompt.answer.strip():
        return Judgement("unscorable", answer, "the prompt has no reference answer")
    right = reference(prompt)
    try:
        found = degree("" if answer is None else answer, right)
    except WorkerError as error:
        return Judgement("unscorable", answer, str(error))
    if found is None:
        return Judgement("unscorable", answer, _unreadable(right))
    if answer is None:
        return Judgement("wrong", None, "no answer")
    between = found if right.kind in GRADED else None
    if found >= right.threshold:
        return Judgement("correct", answer, "right", between)
    return Judgement("wrong", answer, "wrong answer", between)


GRADED = frozenset({"set", "boxes", "spans", "edit"})
"""Types whose answers can be right to a degree."""


def canonical(answer: str, prompt: Prompt) -> str:
    """One way of writing an answer, so that equal ones can be counted without a reference: votes, diversity.

    >>> canonical("(B)", Prompt("p", "?", meta={"choices": ["3", "7"]})), canonical("1,200.0 g", Prompt("p", "?"))
    ('7', '1200 g')
    """
    right = reference(prompt)
    if right.kind == "choice":
        return choice(answer, right.choices) or normalized(answer)
    if right.kind == "list":
        return ",".join(items(answer))
    number = quantity(answer)
    if number is None and right.kind in ("integer", "float") and (leading := leading_number(answer)):
        number = quantity(leading)
    return f"{number.value}{'π' * number.pi} {number.unit}".strip() if number else normalized(answer)


def _unreadable(right: Reference) -> str:
    if right.kind not in ROUTES:
        return f"answer_type {right.kind!r} is unknown; use one of {', '.join(ROUTES)}"
    kind = "one of the choices" if right.kind == "choice" else right.kind
    return f"the reference {right.answer!r} cannot be read as {kind}"
