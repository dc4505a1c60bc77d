"""Questions and the responses recorded to them, checked as they are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mstar.grading.files import GradeError, rows
from mstar.types import Prompt


@dataclass(frozen=True)
class Recorded:
    """One response as it was recorded."""

    prompt: Prompt
    text: str
    """Empty where ``null`` was recorded."""
    model: str | None
    """Who wrote it; ``None`` if the record does not say."""
    correct: bool | None
    """The verdict that came with it; ``None`` if none did."""


def read_questions(path: Path) -> dict[str, Prompt]:
    """Read questions by ``pid``.

    Needed are ``pid``, ``question`` and ``answer`` (which may be ``null``). Verifiers read ``choices``,
    ``answer_type``, ``precision`` and ``unit``; reports group by ``task``, ``question_type`` and ``answer_type``.

    Raises:
        GradeError: With file and line, if a field is missing or wrong, or two questions have one ``pid``.
    """
    places: dict[str, str] = {}
    found: dict[str, Prompt] = {}
    for place, row in rows(path):
        pid, question = str(_field(place, row, "pid")), str(_field(place, row, "question"))
        if pid in found:
            raise GradeError(f"{place}: pid {pid!r} was already used in {places[pid]}; pids must differ")
        _check(place, row)
        answer = _field(place, row, "answer")
        found[pid] = Prompt(pid, question, answer=None if answer is None else str(answer), meta=row)
        places[pid] = place
    if not found:
        raise GradeError(f"{path}: holds no questions")
    return found


def read_responses(path: Path, questions: Mapping[str, Prompt]) -> Iterator[Recorded]:
    """Read responses in the order of the file.

    Needed are ``pid`` and ``response``; ``model`` and ``correct`` (a recorded verdict) may be missing or ``null``.

    Raises:
        GradeError: With file and line, if a field is missing or wrong, or no question has the ``pid``.
    """
    for place, row in rows(path):
        pid = str(_field(place, row, "pid"))
        if pid not in questions:
            raise GradeError(f"{place}: no question has pid {pid!r}; give the questions that these responses answer")
        text = _field(place, row, "response")
        model = row.get("model")
        correct = _verdict(place, row.get("correct"))
        yield Recorded(
            questions[pid], "" if text is None else str(text), None if model is None else str(model), correct
        )


def _field(place: str, row: Mapping[str, Any], name: str) -> Any:
    if name not in row:
        raise GradeError(f"{place}: there is no field {name!r}; its fields are {', '.join(map(repr, row)) or 'none'}")
    return row[name]


def _check(place: str, row: Mapping[str, Any]) -> None:
    choices, precision = row.get("choices"), row.get("precision")
    if choices is not None and not isinstance(choices, list):
        raise GradeError(f"{place}: 'choices' is {choices!r}; give a list of options, or null")
    if precision is not None and (not isinstance(precision, int | float) or precision % 1 != 0):
        raise GradeError(f"{place}: 'precision' is {precision!r}; give a number of decimal places, or null")


def _verdict(place: str, value: Any) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    if value in (0, 1):
        return bool(value)
    raise GradeError(f"{place}: 'correct' is {value!r}; give true, false or null")
