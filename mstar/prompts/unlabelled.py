"""A source whose reference answers are hidden."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mstar.prompts.contents import Contents, contents_of
from mstar.prompts.listed import ListedPrompts, prompt_ids
from mstar.types import Prompt, PromptSource


class Unlabelled(ListedPrompts):
    """The same prompts without reference answers and worked responses; how an answer is compared stays known.

    Args:
        source: The prompts.
    """

    def __init__(self, source: PromptSource) -> None:
        self.source = source

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int, /) -> Prompt:
        return replace(self.source[index], answer=None, cot=None)

    def ids(self) -> Sequence[str]:
        """The source's ids."""
        return prompt_ids(self.source)

    def contents(self) -> Contents:
        """What the source shows."""
        return contents_of(self.source)
