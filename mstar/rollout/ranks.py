"""What a stage needs to know of the other processes of a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from lightning.pytorch import Trainer

from mstar.signals import told_to_stop

T = TypeVar("T")


def _alone() -> None:
    """Nobody to wait for."""


def _stays() -> bool:
    """Nobody asks to leave."""
    return False


@dataclass(frozen=True)
class Ranks:
    """This process's place among the run's, a way to wait for the others, and whether the run was told to stop."""

    rank: int = 0
    world_size: int = 1
    barrier: Callable[[], None] = _alone
    leaving: Callable[[], bool] = _stays

    @classmethod
    def of(cls, trainer: Trainer) -> Ranks:
        """The ranks of a run that Lightning launched."""
        return cls(
            trainer.global_rank,
            trainer.world_size,
            lambda: trainer.strategy.barrier("mstar"),
            lambda: told_to_stop(trainer),
        )

    def share(self, items: Sequence[T]) -> list[T]:
        """This rank's items: every ``world_size``-th, so that expensive neighbours are spread.

        >>> Ranks(1, 2).share("abcde")
        ['b', 'd']
        """
        return list(items[self.rank :: self.world_size])
