"""Rows of a data set that cannot be asked: named as they are read, dropped and counted by an iteration."""

from __future__ import annotations

from collections.abc import Iterable

from mstar.types import Prompt, PromptSource


class UnusablePromptError(ValueError):
    """A row of a source cannot be made a prompt.

    Args:
        name: The prompt's id.
        why: File, row, what is wrong with it and the way out.
    """

    def __init__(self, name: str, why: str) -> None:
        super().__init__(why)
        self.name = name


def read_prompts(source: PromptSource, indices: Iterable[int]) -> list[Prompt]:
    """Prompts of a source; a row that cannot be asked becomes one that says why (``Prompt.unusable``).

    An iteration then drops and counts it (`Collector`); anyone else who renders it is told the same.
    """
    return [_read(source, index) for index in indices]


def _read(source: PromptSource, index: int) -> Prompt:
    try:
        return source[index]
    except UnusablePromptError as error:
        return Prompt(error.name, "", unusable=str(error))
