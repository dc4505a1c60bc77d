"""The mean over prompts of what a group measures."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torchmetrics import Metric

from mstar.dynamics import wilson_interval
from mstar.types import Group


@dataclass(frozen=True)
class Measured:
    """A mean over prompts."""

    value: float
    n: int
    """Prompts."""
    low: float | None = None
    """Ends of the 95 % Wilson interval; ``None`` for what is no share."""
    high: float | None = None


class GroupMetric(Metric):
    """A mean over prompts that is told of groups."""

    full_state_update = False
    higher_is_better = True
    is_share = True
    """Whether values lie in [0, 1], so that a Wilson interval is one."""

    @abstractmethod
    def update(self, groups: Sequence[Group]) -> None:
        """Add this rank's groups; none is fine."""

    @abstractmethod
    def compute(self) -> Tensor:
        """Mean and number of prompts ``(2,)`` of all ranks; the mean of none is NaN."""

    def measured(self) -> Measured:
        """The mean over all ranks, with its interval if it is a share. Every rank must call this."""
        mean, count = self.compute().tolist()
        if not self.is_share or not count:
            return Measured(mean, int(count))
        return Measured(mean, int(count), *wilson_interval(mean * count, int(count)))


class GroupMean(GroupMetric):
    """Adds up a value a group; the sums of all ranks are added when it is computed."""

    total: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        # float64: a benchmark's counts stay exact. On ranks without a prompt of a kind both are 0.
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    @abstractmethod
    def value_of(self, group: Group) -> float:
        """The group's value."""

    def update(self, groups: Sequence[Group]) -> None:
        """Add up."""
        self.total += sum(self.value_of(group) for group in groups)
        self.count += len(groups)

    def compute(self) -> Tensor:
        """Divide."""
        return torch.stack([self.total / self.count, self.count])
