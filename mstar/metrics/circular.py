"""A question is right when it is right however its choices are ordered."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torchmetrics.utilities import dim_zero_cat

from mstar.metrics.group_mean import GroupMetric
from mstar.seeds import stable_seed
from mstar.types import Group


class Circular(GroupMetric):
    """Share of questions whose every rotation is answered right: MMBench's circular accuracy (2307.06281).

    Prompts of one question are those that repeat it (``Prompt.meta["repeats"]``) and it itself. They may be on
    different ranks, so the verdict on every prompt is kept and gathered.
    """

    questions: list[Tensor]
    right: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.add_state("questions", [], dist_reduce_fx="cat")
        self.add_state("right", [], dist_reduce_fx="cat")

    def update(self, groups: Sequence[Group]) -> None:
        """Keep the question and the verdict of each; an empty tensor of none, for every rank must give something."""
        names = [stable_seed(group.prompt.meta.get("repeats") or group.prompt.id) for group in groups]
        self.questions.append(torch.tensor(names, dtype=torch.int64, device=self.device))
        self.right.append(torch.tensor([g.rollouts[0].correct for g in groups], dtype=torch.int64, device=self.device))

    def compute(self) -> Tensor:
        """Take the worst verdict on each question."""
        names, of = torch.unique(dim_zero_cat(self.questions), return_inverse=True)
        worst = torch.ones_like(names).scatter_reduce(0, of, dim_zero_cat(self.right), "amin").double()
        return torch.stack([worst.mean(), torch.ones_like(worst).sum()])
