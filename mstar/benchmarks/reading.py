"""Read all rows of a table by their layout, or say which cannot be read."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Any

from mstar.layouts.layout import Layout, Question
from mstar.prompts.rows import Table

SHOWN = 10  # rows in a message


@dataclass(frozen=True)
class Read:
    """One row."""

    number: int
    """In the file, from 0."""
    name: str
    """Its id."""
    question: Question | None
    """``None`` if it is no prompt."""
    why: str = ""
    """Why it is none: ``rotated``, ``by id``, or its sub-task."""


def read_rows(
    table: Table, layout: Layout, numbers: Sequence[int], without: Collection[str], leave_out: Collection[str]
) -> list[Read]:
    """Understand rows; those left out come back with the reason.

    Raises:
        ValueError: If some cannot be understood; the message names the first and how to go on without them.
    """
    columns = [column for column in layout.needs if column != layout.image or column in layout.columns.values()]
    found: list[Read] = []
    bad: list[tuple[str, str]] = []
    for number, row in zip(numbers, table.texts(columns, numbers), strict=True):
        name = layout.name(row, number)
        if why := "by id" if name in leave_out else layout.skip(row):
            found.append(Read(number, name, None, why))
            continue
        try:
            question = understood(row, layout)
        except ValueError as error:
            bad.append((name, f"{table.where(number, name)}: {error}"))
            continue
        dropped = question.kind in without
        found.append(Read(number, name, None if dropped else question, question.kind if dropped else ""))
    if bad:
        raise ValueError(unreadable(bad, len(numbers), type(layout).__name__))
    return found


def understood(row: Mapping[str, Any], layout: Layout) -> Question:
    """A row as its layout understands it.

    Raises:
        ValueError: If it does not, or if there is nothing to ask or to call it by.
    """
    if unnamed := [column for column in layout.ids if row[column] is None]:
        raise ValueError(f"its {', '.join(unnamed)} is empty, but everything is joined by id")
    question = layout.read(row)
    if not question.published:
        raise ValueError("its question is empty")
    if len(question.choices) > len(ascii_uppercase):
        raise ValueError(f"it has {len(question.choices)} choices, more than there are letters")
    return question


def unreadable(bad: Sequence[tuple[str, str]], count: int, layout: str) -> str:
    """Say which rows cannot be read, and the ways out."""
    some = [name for name, _ in bad[:SHOWN]]
    return (
        f"{bad[0][1]}. {len(bad)} of {count} rows cannot be read as {layout}, the first {some}. Mend the file, or "
        f"leave them out: leave_out: {some}."
    )
