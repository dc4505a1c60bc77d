"""Read all rows of a table by their layout, or say which cannot be read."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from mstar.benchmarks.layout import Layout, Question
from mstar.benchmarks.rows import Table

SHOWN = 10  # of a list in a message


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


def check_columns(table: Table, layout: Layout) -> None:
    """Refuse a table without a column that the layout reads.

    Raises:
        ValueError: Naming the column, those there are, and what to do.
    """
    wanted = {"image": layout.image, **layout.columns, **{column: column for column in layout.ids}}
    for ours, column in wanted.items():
        if column is not None and column not in table.columns:
            raise ValueError(
                f"{table.path} has no column {column!r}, which {type(layout).__name__} reads as {ours!r}; its columns "
                f"are {table.columns}. Name the right one in layout.init_args, take another layout, or fetch the file "
                f"as it is published."
            )


def read_rows(
    table: Table, layout: Layout, numbers: Sequence[int], without: Collection[str], leave_out: Collection[str]
) -> list[Read]:
    """Understand rows; those left out come back with the reason.

    Raises:
        ValueError: If some cannot be understood; the message names the first and how to go on without them.
    """
    columns = [*layout.ids, *(column for column in layout.columns.values() if column is not None)]
    found: list[Read] = []
    bad: dict[str, str] = {}
    for number, row in zip(numbers, table.texts(list(dict.fromkeys(columns)), numbers), strict=True):
        name = layout.name(row, number)
        if why := "by id" if name in leave_out else layout.skip(row):
            found.append(Read(number, name, None, why))
            continue
        try:
            question = layout.read(row)
        except ValueError as error:
            bad[name] = f"{table.where(number, name)}: {error}"
            continue
        dropped = question.kind in without
        found.append(Read(number, name, None if dropped else question, question.kind if dropped else ""))
    if bad:
        raise ValueError(unreadable(bad, len(numbers), type(layout).__name__))
    return found


def unreadable(bad: dict[str, str], count: int, layout: str) -> str:
    """Say which rows cannot be read, and the ways out."""
    first, some = next(iter(bad.values())), list(bad)[:SHOWN]
    return (
        f"{first}. {len(bad)} of {count} rows cannot be read as {layout}, the first {some}. Mend the file, or leave "
        f"them out: leave_out: {some}."
    )


def check_used(setting: str, values: Sequence[str], there: Collection[str], path: str) -> None:
    """Refuse a list of what to leave out that names what is not there: it would leave out less than was meant.

    Raises:
        ValueError: Naming what is there.
    """
    if missing := [value for value in values if value not in there]:
        raise ValueError(
            f"{setting} names {missing}, which {path} does not have; it has {sorted(there)[:SHOWN]}. Write them as the "
            f"file does, or take them out of {setting}."
        )


def check_names(reads: Sequence[Read], path: str) -> None:
    """Refuse two prompts of one id.

    Raises:
        ValueError: Naming both rows.
    """
    seen: dict[str, int] = {}
    for read in reads:
        if seen.setdefault(read.name, read.number) != read.number:
            raise ValueError(
                f"{path}: rows {seen[read.name]} and {read.number} have the same id {read.name!r}, but everything is "
                f"joined by id. Name another column, or several, in layout.init_args.id."
            )
