"""The face of a selector, and the chain of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from mstar.types import Group, Rollout


class Selector(Protocol):
    """Drops rollouts that must not train."""

    def select(self, groups: Sequence[Group], seed: int) -> list[Group]:
        """Return the groups with ``kept=False`` and the reason on what it drops; the rest stays as it is."""
        ...


def candidates(group: Group) -> list[Rollout]:
    """Rollouts that no selector has dropped yet."""
    return [rollout for rollout in group if rollout.kept is not False]


def drop(group: Group, reasons: Mapping[int, str]) -> Group:
    """Drop rollouts by index, each with its reason."""
    return replace(
        group,
        rollouts=tuple(replace(r, kept=False, why=reasons[r.index]) if r.index in reasons else r for r in group),
    )


def select_all(selectors: Sequence[Selector], groups: Sequence[Group], seed: int) -> list[Group]:
    """Apply selectors in order, then mark as kept what none of them dropped."""
    chosen = list(groups)
    for selector in selectors:
        chosen = selector.select(chosen, seed)
    return [replace(group, rollouts=tuple(_kept(rollout) for rollout in group)) for group in chosen]


def named_reward(rollout: Rollout, name: str, setting: str) -> float:
    """A reward by its name.

    Raises:
        ValueError: If the rollout has none of that name; the message lists those it has.
    """
    if name not in rollout.rewards:
        raise ValueError(f"{setting} is {name!r}, but the reward gives {sorted(rollout.rewards)}; use one of these.")
    return rollout.rewards[name]


def _kept(rollout: Rollout) -> Rollout:
    return rollout if rollout.kept is False else replace(rollout, kept=True, why="kept")
