"""Sources that know their ids without opening an image."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from mstar.prompts.contents import Contents, read_contents
from mstar.types import Prompt, PromptSource


class ListedPrompts(ABC):
    """A prompt source that lists its ids cheaply.

    A pool finds prompts again by id. Of any other source it must read every prompt once for that, images and all.
    """

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __getitem__(self, index: int, /) -> Prompt: ...

    @abstractmethod
    def ids(self) -> Sequence[str]:
        """The prompts' ids, in order."""

    def contents(self) -> Contents:
        """Digests of what the prompts show; a source that stores images gives them without decoding one."""
        return read_contents(self)


def prompt_ids(source: PromptSource) -> Sequence[str]:
    """Ids of a source's prompts, in order; listed if it can, otherwise read one by one."""
    return source.ids() if isinstance(source, ListedPrompts) else [source[i].id for i in range(len(source))]
