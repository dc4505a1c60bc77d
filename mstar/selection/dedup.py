"""Keep one of each response."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Literal

from mstar.selection.selector import candidates, drop
from mstar.steps import step_ends
from mstar.types import Group

By = Literal["text", "steps"]


class Dedup:
    """Keeps the first of a prompt's responses that say the same.

    Multiplicity carries information (a response drawn often is likely), so nothing is deduplicated unless asked for.

    Args:
        by: ``text`` compares whole responses, case and spaces apart; ``steps`` the set of their reasoning steps,
            whatever their order (RFT, 2308.01825, compares sets of equations, which only suits arithmetic).
    """

    def __init__(self, by: By = "text") -> None:
        if by not in KEYS:
            raise ValueError(f"Dedup.by is {by!r}; give one of {', '.join(KEYS)}.")
        self.by = by

    def select(self, groups: Sequence[Group], seed: int) -> list[Group]:
        """Drop repeated responses."""
        return [drop(group, _repeats(group, KEYS[self.by])) for group in groups]


def text_key(text: str) -> str:
    """A response without case and superfluous spaces.

    >>> text_key("4 + 0\\n= 4")
    '4 + 0 = 4'
    """
    return " ".join(text.casefold().split())


def steps_key(text: str) -> frozenset[str]:
    """The steps of a response, the answer's block included.

    >>> steps_key("Read.\\n\\nAdd.") == steps_key("Add.\\n\\n\\nread.")
    True
    """
    ends = step_ends(text)
    return frozenset(text_key(text[start:end]) for start, end in zip([0, *ends], ends, strict=False))


KEYS: dict[By, Callable[[str], Hashable]] = {"text": text_key, "steps": steps_key}


def _repeats(group: Group, key: Callable[[str], Hashable]) -> dict[int, str]:
    first: dict[Hashable, int] = {}
    repeats = {}
    for rollout in candidates(group):
        seen = first.setdefault(key(rollout.text), rollout.index)
        if seen != rollout.index:
            repeats[rollout.index] = f"same as response {seen}"
    return repeats
