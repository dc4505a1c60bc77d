"""The face of a reward model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace

from lightning.pytorch import Callback, LightningModule, Trainer

from mstar.progress import QUIET, Reporter, reporter_of
from mstar.types import Group, Rollout


class RewardModel(Callback, ABC):
    """Scores responses. As a callback it is told of setup and teardown; as an object it is asked for scores.

    The CLI's ``reward`` key gives the same object to the trainer and to the datamodule. A reward model adds to
    ``Rollout.rewards`` under its own name and never turns an exception into a number.
    """

    progress: Reporter = QUIET
    """What a reward that takes long reports to."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Remember what to report to."""
        self.progress = reporter_of(trainer)

    @abstractmethod
    def score(self, groups: Sequence[Group]) -> list[Group]:
        """Return the groups, in order, with named rewards added to every rollout."""


def with_reward(rollout: Rollout, name: str, value: float) -> Rollout:
    """The rollout with one more named reward."""
    return replace(rollout, rewards={**rollout.rewards, name: value})
