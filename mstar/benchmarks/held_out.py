"""Halves of a data set, and what is held out of the second one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from mstar.datamodules.order import shuffled

Which = Literal["labelled", "unlabelled", "test", "validation"]


class Part(Protocol):
    """Chooses rows of a file."""

    def choose(self, count: int) -> Sequence[int]:
        """Numbers of the chosen rows, of ``count``, rising."""
        ...


class HeldOut:
    """M-STaR's division of MathV360K: a labelled half, and of the other half 750 rows to test and 250 to validate.

    The rest of the other half is unlabelled. The paper gives the sizes (mstar-paper, section 2) but neither the
    division nor its seed: rows are drawn at random here. They are drawn by question, so one picture may be asked about
    in several parts; what the paper did is unknown.

    Args:
        which: The part.
        num_test: Rows to test on.
        num_validation: Rows to validate on.
        seed: Of the division; parts of different seeds overlap.
    """

    def __init__(self, which: Which, num_test: int = 750, num_validation: int = 250, seed: int = 0) -> None:
        self.which = which
        self.num_test = num_test
        self.num_validation = num_validation
        self.seed = seed

    def choose(self, count: int) -> Sequence[int]:
        """The part's rows.

        Raises:
            ValueError: If a half has too few rows.
        """
        order, half, held = shuffled(count, self.seed), count // 2, self.num_test + self.num_validation
        if held > count - half:
            raise ValueError(
                f"part holds out {held} rows, but half of the file's {count} are {count - half}; lower part.num_test "
                f"({self.num_test}) or part.num_validation ({self.num_validation})."
            )
        begins = {"labelled": 0, "test": half, "validation": half + self.num_test, "unlabelled": half + held}
        ends = {"labelled": half, "test": half + self.num_test, "validation": half + held, "unlabelled": count}
        return sorted(order[begins[self.which] : ends[self.which]])
