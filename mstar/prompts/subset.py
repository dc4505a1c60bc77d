"""A part of a source."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mstar.prompts.contents import Contents, contents_of
from mstar.prompts.ids import picked
from mstar.prompts.listed import ListedPrompts, prompt_ids
from mstar.types import Prompt, PromptSource


class Subset(ListedPrompts):
    """Prompts ``start`` up to but not including ``stop`` of a source, as a slice takes them.

    Args:
        source: The whole.
        start: First index; negative counts from the end.
        stop: Index behind the last; ``None`` goes to the end.
    """

    def __init__(self, source: PromptSource, start: int = 0, stop: int | None = None) -> None:
        self.source = source
        self.indices = range(len(source))[start:stop]
        if not self.indices:
            raise ValueError(f"Subset from {start} to {stop} of {len(source)} prompts is empty; move start or stop.")

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int, /) -> Prompt:
        return self.source[self.indices[index]]

    def ids(self) -> Sequence[str]:
        """The part's ids."""
        return picked(prompt_ids(self.source), self.indices)

    def contents(self) -> Contents:
        """What the part shows."""
        return contents_of(self.source).take(np.arange(self.indices.start, self.indices.stop))
