"""Keep one of each response."""

from __future__ import annotations

from collections.abc import Sequence

from mstar.selection.selector import candidates, drop
from mstar.types import Group


class Dedup:
    """Keeps the first of responses to a prompt that read the same, spaces apart.

    Multiplicity carries information (a response drawn often is likely), so nothing is deduplicated unless asked for.
    """

    def select(self, groups: Sequence[Group], seed: int) -> list[Group]:
        """Drop repeated responses."""
        return [drop(group, _repeats(group)) for group in groups]


def _repeats(group: Group) -> dict[int, str]:
    first: dict[str, int] = {}
    repeats = {}
    for rollout in candidates(group):
        text = " ".join(rollout.text.split())
        if text in first:
            repeats[rollout.index] = f"same as response {first[text]}"
        first.setdefault(text, rollout.index)
    return repeats
