"""Some prompts of a source, by number."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mstar.prompts.contents import Contents, contents_of
from mstar.prompts.ids import picked
from mstar.prompts.listed import ListedPrompts, prompt_ids
from mstar.types import Prompt, PromptSource


class Chosen(ListedPrompts):
    """The prompts of some numbers, in the order given: 8 bytes a prompt.

    Args:
        source: The whole.
        indices: Numbers of prompts.
    """

    def __init__(self, source: PromptSource, indices: Sequence[int] | NDArray[np.int64]) -> None:
        self.source = source
        self.indices = np.asarray(indices, dtype=np.int64)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int, /) -> Prompt:
        return self.source[int(self.indices[index])]

    def ids(self) -> Sequence[str]:
        """Their ids."""
        return picked(prompt_ids(self.source), self.indices)

    def contents(self) -> Contents:
        """What they show."""
        return contents_of(self.source).take(self.indices)
