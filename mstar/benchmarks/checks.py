"""What must hold of a table and its prompts before anything is sampled."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from mstar.benchmarks.reading import SHOWN, Read
from mstar.layouts.layout import Layout
from mstar.prompts.rows import Table


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


def check_any(reads: Sequence[Read], path: str) -> None:
    """Refuse a benchmark without a prompt.

    Raises:
        ValueError: Naming why rows were left out, if there were any.
    """
    if not any(read.question for read in reads):
        why = sorted({read.why for read in reads})
        raise ValueError(
            f"{path} has no prompts: "
            + (
                f"all {len(reads)} rows are left out ({', '.join(why)}). Leave out less."
                if reads
                else "there are no rows. Fetch it again, or choose another part."
            )
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
