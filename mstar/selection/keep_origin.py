"""Keep only what came about in one way."""

from __future__ import annotations

from collections.abc import Sequence

from mstar.selection.selector import candidates, drop
from mstar.types import Group


class KeepOrigin:
    """Drops responses of other origins: with ``rationalize``, M-STaR's warm-up set, whose responses all saw the answer.

    Args:
        origin: ``policy`` or the name of a refiner (``Rollout.origin``).
    """

    def __init__(self, origin: str = "rationalize") -> None:
        self.origin = origin

    def select(self, groups: Sequence[Group], seed: int) -> list[Group]:
        """Drop what came about otherwise."""
        return [
            drop(group, {r.index: f"made by {r.origin}" for r in candidates(group) if r.origin != self.origin})
            for group in groups
        ]
