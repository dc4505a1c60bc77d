"""The face of a selector, and the chain of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isnan
from typing import Protocol

from mstar.types import Group, Rollout


class Selector(Protocol):
    """Drops rollouts that must not train.

    It sees all groups of an iteration, scored, in the order of their prompts. What it draws depends on seed, prompt id
    and index alone, so that every rank and every rerun selects the same.
    """

    def select(self, groups: Sequence[Group], seed: int) -> list[Group]:
        """Return the groups with ``kept=False`` and the reason on what it drops; the rest stays as it is."""
        ...


def candidates(group: Group) -> list[Rollout]:
    """Rollouts that no selector has dropped yet."""
    return [rollout for rollout in group if rollout.kept is not False]


def drop(group: Group, reasons: Mapping[int, str]) -> Group:
    """Drop rollouts by index, each with its reason; one that is dropped already keeps its first reason."""
    gone = {r.index: replace(r, kept=False, why=reasons[r.index]) for r in candidates(group) if r.index in reasons}
    return replace(group, rollouts=tuple(gone.get(r.index, r) for r in group))


def select_all(selectors: Sequence[Selector], groups: Sequence[Group], seed: int) -> list[Group]:
    """Apply selectors in order, then mark as kept what none of them dropped."""
    chosen = list(groups)
    for selector in selectors:
        chosen = selector.select(chosen, seed)
    return [replace(group, rollouts=tuple(_kept(rollout) for rollout in group)) for group in chosen]


def named_reward(rollout: Rollout, name: str, setting: str) -> float:
    """A reward by its name.

    Raises:
        ValueError: If the rollout has none of that name; the message lists those it has. Or if it is not a number,
            which would win or lose every comparison.
    """
    if name not in rollout.rewards:
        raise ValueError(f"{setting} is {name!r}, but the reward gives {sorted(rollout.rewards)}; use one of these.")
    if isnan(rollout.rewards[name]):
        raise ValueError(
            f"The reward {name!r} of response {rollout.index} to prompt {rollout.prompt_id!r} is not a number; mend "
            f"the reward that gives it, or name another as {setting}."
        )
    return rollout.rewards[name]


def _kept(rollout: Rollout) -> Rollout:
    return rollout if rollout.kept is False else replace(rollout, kept=True, why="kept")
