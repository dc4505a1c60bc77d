"""A benchmark: published rows, read by their layout, asked one way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from mstar.benchmarks.checks import check_any, check_columns, check_names, check_used
from mstar.benchmarks.held_out import Part
from mstar.benchmarks.reading import read_rows
from mstar.layouts.asking import Asking
from mstar.layouts.layout import Layout
from mstar.prompts.contents import Contents
from mstar.prompts.listed import ListedPrompts
from mstar.prompts.rows import Rows
from mstar.prompts.stored import StoredImages
from mstar.types import Prompt


class Benchmark(ListedPrompts):
    """Prompts of a published data set.

    All rows are read and checked when it is made, so that a bad one is known before anything is sampled; images are
    opened when a prompt is asked for. What scoring needs is in ``Prompt.meta`` under MathVista's names: ``choices``
    (texts, or ``None``), ``answer_type``, ``precision``, ``unit``, ``question_type``.

    Args:
        rows: Where they are.
        layout: How they are written.
        part: Which of them; ``None`` is all.
        kinds: Names of sub-tasks in tables and JSON, where they are not the published ones.
        without: Published sub-tasks that are left out.
        leave_out: Ids of rows that are left out.
        asking: How questions are put; ``None`` puts them in the data set's own words.

    Raises:
        ValueError: If a column is missing, a row cannot be understood, two rows have the same id, ``without`` or
            ``leave_out`` name what is not there, or nothing is left.
    """

    def __init__(
        self,
        rows: Rows,
        layout: Layout,
        part: Part | None = None,
        kinds: dict[str, str] | None = None,
        without: Sequence[str] = (),
        leave_out: Sequence[str] = (),
        asking: Asking | None = Asking(),  # noqa: B008 (frozen)
    ) -> None:
        self.kinds = kinds or {}
        self.asking = asking
        table = rows.open()
        check_columns(table, layout)
        numbers = range(len(table)) if part is None else part.choose(len(table))
        reads = read_rows(table, layout, numbers, without, leave_out)
        check_used("leave_out", leave_out, [read.name for read in reads], table.path)
        there = {read.question.kind if read.question else read.why for read in reads}
        check_used("without", without, there, table.path)
        check_any(reads, table.path)
        self.left_out = dict(Counter(read.why for read in reads if read.why))
        """Rows that are no prompts, by reason: their sub-task, ``rotated`` or ``by id``."""
        self._reads = [read for read in reads if read.question is not None]
        check_names(self._reads, table.path)
        self._images = StoredImages(table, layout)

    @property
    def rotated(self) -> bool:
        """Whether some prompts ask others again with their choices rotated; ``Prompt.meta`` has ``repeats`` then."""
        return any(read.question is not None and read.question.repeats for read in self._reads)

    def __len__(self) -> int:
        return len(self._reads)

    def __getitem__(self, index: int, /) -> Prompt:
        read = self._reads[index]
        question = read.question
        assert question is not None
        return Prompt(
            id=read.name,
            question=question.published if self.asking is None else self.asking.text(question),
            images=self._images.of(read.number),
            answer=question.answer,
            kind=self.kinds.get(question.kind, question.kind),
            meta=question.meta,
        )

    def ids(self) -> Sequence[str]:
        """The rows' ids."""
        return [read.name for read in self._reads]

    def contents(self) -> Contents:
        """Digests of the images as they are stored."""
        return Contents.of(self._images.digests(read.number) for read in self._reads)
