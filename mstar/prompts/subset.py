"""A part of a source."""

from __future__ import annotations

from mstar.types import Prompt, PromptSource


class Subset:
    """Prompts ``start`` up to but not including ``stop`` of a source.

    Args:
        source: The whole.
        start: First index.
        stop: Index behind the last; ``None`` goes to the end.
    """

    def __init__(self, source: PromptSource, start: int = 0, stop: int | None = None) -> None:
        self.source = source
        self.indices = range(len(source))[start:stop]

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Prompt:
        return self.source[self.indices[index]]
