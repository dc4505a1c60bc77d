"""The face of a prompt pool, and finding prompts again by id."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from mstar.prompts.ids import Index
from mstar.prompts.listed import prompt_ids
from mstar.types import Group, Prompt, PromptSource


class PromptPool(ABC):
    """Says which prompts an iteration walks.

    Args:
        source: All prompts.
    """

    def __init__(self, source: PromptSource) -> None:
        self.source = source

    @abstractmethod
    def prompts(self, iteration: int, progress: float = 0.0) -> list[Prompt]:
        """The prompts of an iteration; asked twice in the same state it gives the same answer.

        Args:
            iteration: From 0.
            progress: Share of the run that is over as the iteration begins, in [0, 1], for what changes on the way.
        """

    @abstractmethod
    def update(self, groups: Sequence[Group]) -> None:
        """Learn from an iteration's scored groups; told the same twice, nothing changes."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """State as primitives, for the checkpoint."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what ``state_dict`` gave."""

    def find(self, ids: Sequence[str]) -> list[Prompt]:
        """Prompts by id, in the order asked for.

        Raises:
            RuntimeError: If an id is not in the source; the data has changed since it was sampled from.
        """
        found = [(name, self.index.find(name)) for name in ids]
        if missing := [name for name, position in found if position is None]:
            raise RuntimeError(
                f"{len(missing)} prompts of a finished iteration are not in data.prompts.source any more (the first: "
                f"{missing[0]!r}). Restore the data, or start afresh with another --trainer.default_root_dir."
            )
        return [self.source[position] for _, position in found if position is not None]

    @cached_property
    def index(self) -> Index:
        """Where each id stands; made when first needed.

        Raises:
            ValueError: If two prompts have the same id.
        """
        index = Index(prompt_ids(self.source))
        for first, second in index.twins():
            raise ValueError(
                f"data.prompts.source: prompts {first} and {second} have the same id {index.ids[second]!r}; ids "
                f"must differ, for rollouts are joined to prompts by id."
            )
        return index
