"""Several sources as one."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate, groupby
from operator import itemgetter

from mstar.prompts.contents import Contents, contents_of, joined
from mstar.prompts.ids import StoredIds, picked
from mstar.prompts.listed import ListedPrompts, prompt_ids
from mstar.types import Prompt, PromptSource


class Joined(ListedPrompts):
    """Sources one behind the other; ids must differ between them, which a pool checks.

    Args:
        sources: At least one.
    """

    def __init__(self, sources: Sequence[PromptSource]) -> None:
        if not sources:
            raise ValueError("Joined.sources is empty; give one or more.")
        self.sources = tuple(sources)
        self.ends = tuple(accumulate(len(source) for source in self.sources))

    def __len__(self) -> int:
        return self.ends[-1]

    def __getitem__(self, index: int, /) -> Prompt:
        if not 0 <= index < len(self):
            raise IndexError(f"Joined has {len(self)} prompts; {index} is not one of them.")
        number, inner = self._place(index)
        return self.sources[number][inner]

    def ids(self) -> Sequence[str]:
        """All ids, in order."""
        ids = [prompt_ids(source) for source in self.sources]

        def read(some: Sequence[int]) -> list[str]:
            runs = groupby(map(self._place, some), key=itemgetter(0))  # neighbours are read at once
            return [name for number, run in runs for name in picked(ids[number], [inner for _, inner in run])]

        return StoredIds(range(len(self)), read)

    def contents(self) -> Contents:
        """What all show, in order."""
        return joined([contents_of(source) for source in self.sources])

    def _place(self, index: int) -> tuple[int, int]:
        """Which source, and where in it."""
        number = bisect_right(self.ends, index)
        return number, index - (self.ends[number] - len(self.sources[number]))
