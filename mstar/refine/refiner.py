"""The face of a refiner."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from mstar.modules.policy import Policy
from mstar.rollout.engine import RolloutEngine
from mstar.types import Group, Sampling


class Refiner(Protocol):
    """Makes further rollouts for scored groups."""

    def refine(
        self, groups: Sequence[Group], policy: Policy, engine: RolloutEngine, sampling: Sampling, seed: int
    ) -> list[Group]:
        """Return groups of new rollouts only, ``origin`` set; they are scored like any other, never trusted."""
        ...


def unsolved(groups: Sequence[Group]) -> list[Group]:
    """Groups without a correct rollout."""
    return [group for group in groups if not any(rollout.correct for rollout in group)]
