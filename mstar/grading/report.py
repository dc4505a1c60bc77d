"""Accuracy, and agreement with recorded verdicts, over all responses and over parts of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mstar.answers.verify import Judgement
from mstar.grading.records import Recorded


@dataclass(frozen=True)
class Graded:
    """A recorded response and what the verifier says of it."""

    recorded: Recorded
    judgement: Judgement

    @property
    def correct(self) -> bool:
        """Whether the verifier says so."""
        return self.judgement.verdict == "correct"


def summary(graded: Sequence[Graded]) -> dict[str, Any]:
    """The figures of a run.

    ``n``, ``false_positives``, ``false_negatives`` and ``unscorable`` are counts of responses; ``accuracy`` (of all
    ``n``, where unscorable ones are not correct) and ``agreement`` (of those with a recorded verdict) are rates in
    [0, 1]. What cannot be said, for there is nothing to count, is ``None``.
    """
    judged = [one for one in graded if one.recorded.correct is not None]
    positives = sum(one.correct and not one.recorded.correct for one in judged)
    negatives = sum(bool(one.recorded.correct) and not one.correct for one in judged)
    return {
        "n": len(graded),
        "accuracy": _rate(sum(one.correct for one in graded), len(graded)),
        "agreement": _rate(len(judged) - positives - negatives, len(judged)),
        "false_positives": positives if judged else None,
        "false_negatives": negatives if judged else None,
        "unscorable": sum(one.judgement.verdict == "unscorable" for one in graded),
    }


def _kind(one: Graded) -> str:
    meta = one.recorded.prompt.meta
    return " ".join(str(meta[name]) for name in ("question_type", "answer_type") if meta.get(name))


GROUPS: dict[str, Callable[[Graded], str]] = {
    "model": lambda one: one.recorded.model or "",
    "task": lambda one: str(one.recorded.prompt.meta.get("task") or ""),
    "type": _kind,
}
"""What a report is broken down by."""


def table(graded: Sequence[Graded]) -> str:
    """A table for people: all responses, then by model, task and type where there is more than one of them."""
    lines = [_line("", summary(graded), "all")]
    for name, part in GROUPS.items():
        parts: dict[str, list[Graded]] = {}
        for one in graded:
            parts.setdefault(part(one), []).append(one)
        if len(parts) > 1:
            lines += [_line(name, summary(of), label or "(not given)") for label, of in sorted(parts.items())]
    return "\n".join([HEAD, *lines])


def remarks(graded: Sequence[Graded], num_questions: int) -> list[str]:
    """What a reader of the figures should know: questions nobody answered, and why the first response is unscorable."""
    said: list[str] = []
    if missing := num_questions - len({one.recorded.prompt.id for one in graded}):
        said.append(f"{missing:,} of {num_questions:,} questions have no response; they do not count.")
    if lost := [one for one in graded if one.judgement.verdict == "unscorable"]:
        first = lost[0]
        said.append(f"The first unscorable response is to {first.recorded.prompt.id!r}: {first.judgement.reason}.")
    return said


HEAD = f"{'':<44}{'n':>7}{'accuracy':>10}{'agreement':>11}{'false +':>9}{'false -':>9}{'unscorable':>12}"


def _line(name: str, found: dict[str, Any], label: str) -> str:
    counts = [found["false_positives"], found["false_negatives"]]
    unscorable = found["unscorable"] / found["n"]
    return (
        f"{f'{name}  {label}'.strip():<44}{found['n']:>7,}{_percent(found['accuracy']):>10}"
        f"{_percent(found['agreement']):>11}{_count(counts[0]):>9}{_count(counts[1]):>9}{_percent(unscorable):>12}"
    )


def _rate(part: int, whole: int) -> float | None:
    return round(part / whole, 6) if whole else None


def _percent(rate: float | None) -> str:
    return "-" if rate is None else f"{100 * rate:.1f} %"


def _count(number: int | None) -> str:
    return "-" if number is None else f"{number:,}"
