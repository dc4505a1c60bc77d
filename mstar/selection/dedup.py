"""Keep one of each response."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Sequence
from typing import Literal, get_args

from mstar.selection.selector import candidates, drop
from mstar.steps import step_ends
from mstar.types import Group

By = Literal["text", "steps"]


class Dedup:
    """Keeps the first of a prompt's responses that say the same.

    Multiplicity carries information (a response drawn often is likely), so nothing is deduplicated unless asked for.

    Args:
        by: ``text`` compares whole responses, case and spaces apart; ``steps`` the set of their reasoning steps,
            whatever their order and their marks (RFT, 2308.01825, compares sets of equations, which only suits
            arithmetic).
        separator: What separates steps.
    """

    def __init__(self, by: By = "text", separator: str = "\n\n") -> None:
        if by not in get_args(By):
            raise ValueError(f"Dedup.by is {by!r}; give one of {', '.join(get_args(By))}.")
        self.by = by
        self.separator = separator

    def select(self, groups: Sequence[Group], seed: int) -> list[Group]:
        """Drop repeated responses."""
        return [drop(group, _repeats(group, self._key)) for group in groups]

    def _key(self, text: str) -> Hashable:
        return text_key(text) if self.by == "text" else steps_key(text, self.separator)


def text_key(text: str) -> str:
    """A response without case and superfluous spaces.

    >>> text_key("4 + 0\\n= 4")
    '4 + 0 = 4'
    """
    return " ".join(text.casefold().split())


def steps_key(text: str, separator: str = "\n\n") -> frozenset[str]:
    """The steps of a response, the answer's block included, without the marks at their ends: bullets, numbers, stops.

    >>> steps_key("1. Read.\\n\\n- Add.") == steps_key("Add\\n\\n\\nread")
    True
    """
    ends = step_ends(text, separator)
    steps = (text_key(text[start:end]) for start, end in zip([0, *ends], ends, strict=False))
    return frozenset(MARKS.sub("", step) for step in steps)


MARKS = re.compile(r"^(?:(?:\d+[.)]|[-*•])\s+)+|\s*[.:;,]+$")


def _repeats(group: Group, key: Callable[[str], Hashable]) -> dict[int, str]:
    first: dict[Hashable, int] = {}
    repeats = {}
    for rollout in candidates(group):
        seen = first.setdefault(key(rollout.text), rollout.index)
        if seen != rollout.index:
            repeats[rollout.index] = f"same as response {seen}"
    return repeats
