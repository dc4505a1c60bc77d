"""Several sources as one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

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
        number = next(n for n, end in enumerate(self.ends) if index < end)
        return self.sources[number][index - (self.ends[number] - len(self.sources[number]))]

    def ids(self) -> Sequence[str]:
        """All ids, in order."""
        return [name for source in self.sources for name in prompt_ids(source)]
