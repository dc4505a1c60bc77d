"""What must hold of scores before anything is selected by them."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from mstar.rewards.reward import RewardModel
from mstar.types import Group

AGAIN = "Every response is in the store: mend the reward and run the same command again."


def scored(reward: RewardModel, groups: Sequence[Group]) -> list[Group]:
    """The groups as a reward scores them, checked.

    Raises:
        RuntimeError: If it gave back other groups or responses than it was given, or a reward that is not a finite
            number; the message names prompt and response. What the reward itself raises gets a note with the way out.
    """
    try:
        found = reward.score(groups)
    except Exception as error:
        error.add_note(f"{type(reward).__name__} was scoring {_told(groups)}. {AGAIN}")
        raise
    _check_same(reward, groups, found)
    for group in found:
        for rollout in group:
            for name, value in rollout.rewards.items():
                if not isfinite(value):
                    raise RuntimeError(
                        f"{type(reward).__name__} gave {value} as {name!r} to response {rollout.index} of prompt "
                        f"{group.prompt.id!r}; a reward is a finite number. {AGAIN}"
                    )
    return found


def _check_same(reward: RewardModel, groups: Sequence[Group], found: Sequence[Group]) -> None:
    given = [(group.prompt.id, rollout.index) for group in groups for rollout in group]
    back = [(group.prompt.id, rollout.index) for group in found for rollout in group]
    if given != back:
        raise RuntimeError(
            f"{type(reward).__name__} was given {len(given):,} responses to {len(groups):,} prompts and gave back "
            f"{len(back):,} to {len(found):,}, or in another order: score() must return the same groups in order. "
            f"{AGAIN}"
        )


def _told(groups: Sequence[Group]) -> str:
    responses = sum(len(group) for group in groups)
    first = f", the first {groups[0].prompt.id!r}" if groups else ""
    return f"{responses:,} responses to {len(groups):,} prompts{first}"
