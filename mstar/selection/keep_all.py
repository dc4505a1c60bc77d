"""Keep everything, as policy-gradient objectives want it."""

from __future__ import annotations

from collections.abc import Sequence

from mstar.types import Group


class KeepAll:
    """Drops nothing."""

    def select(self, groups: Sequence[Group], seed: int) -> list[Group]:
        """Return the groups as they are."""
        return list(groups)
