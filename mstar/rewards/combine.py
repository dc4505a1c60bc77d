"""Rewards made of rewards."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod

from lightning.pytorch import LightningModule, Trainer

from mstar.rewards.reward import RewardModel, with_reward
from mstar.types import Group, Rollout


class Combined(RewardModel):
    """Passes the lifecycle on to its parts."""

    @property
    @abstractmethod
    def parts(self) -> Sequence[RewardModel]:
        """The rewards it is made of."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Set up every part."""
        for part in self.parts:
            part.setup(trainer, pl_module, stage)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Tear down every part."""
        for part in self.parts:
            part.teardown(trainer, pl_module, stage)


class Product(Combined):
    """Multiplies the rewards its parts add: with an outcome and a process reward, the paper's 1(a* = â) · R_p(ŷ).

    Args:
        of: The parts, scored in order.
        name: Name of the product.
    """

    def __init__(self, of: Sequence[RewardModel], name: str = "product") -> None:
        self.of = tuple(of)
        self.name = name

    @property
    def parts(self) -> Sequence[RewardModel]:
        """The factors."""
        return self.of

    def score(self, groups: Sequence[Group]) -> list[Group]:
        """Add the parts' rewards and their product."""
        before = [[set(rollout.rewards) for rollout in group] for group in groups]
        scored = list(groups)
        for part in self.of:
            scored = part.score(scored)
        return [
            replace(group, rollouts=tuple(self._product(r, old) for r, old in zip(group, olds, strict=True)))
            for group, olds in zip(scored, before, strict=True)
        ]

    def _product(self, rollout: Rollout, old: set[str]) -> Rollout:
        factors = [value for name, value in rollout.rewards.items() if name not in old or name == self.name]
        return with_reward(rollout, self.name, prod(v for v in factors))


class WeightedSum(Combined):
    """Adds named rewards with weights, e.g. B-STaR's ``outcome + process / 5``.

    Args:
        of: The parts, scored in order.
        weights: Weight of each reward by its name; rewards not named weigh 0.
        name: Name of the sum.
    """

    def __init__(self, of: Sequence[RewardModel], weights: dict[str, float], name: str = "sum") -> None:
        self.of = tuple(of)
        self.weights = weights
        self.name = name

    @property
    def parts(self) -> Sequence[RewardModel]:
        """The summands."""
        return self.of

    def score(self, groups: Sequence[Group]) -> list[Group]:
        """Add the parts' rewards and their weighted sum.

        Raises:
            ValueError: If a weight names a reward no part gives.
        """
        scored = list(groups)
        for part in self.of:
            scored = part.score(scored)
        return [replace(group, rollouts=tuple(self._sum(r) for r in group)) for group in scored]

    def _sum(self, rollout: Rollout) -> Rollout:
        if missing := self.weights.keys() - rollout.rewards.keys():
            raise ValueError(
                f"reward.weights names {sorted(missing)}, but the parts give {sorted(rollout.rewards)}: use these."
            )
        return with_reward(rollout, self.name, sum(w * rollout.rewards[n] for n, w in self.weights.items()))


class RouteByKind(Combined):
    """Scores each prompt by the reward of its kind, e.g. another verifier for boxes than for numbers.

    Args:
        routes: Reward by prompt kind.
        default: Reward of other kinds; ``None`` makes an unknown kind an error.
    """

    def __init__(self, routes: dict[str, RewardModel], default: RewardModel | None = None) -> None:
        self.routes: Mapping[str, RewardModel] = routes
        self.default = default

    @property
    def parts(self) -> Sequence[RewardModel]:
        """Every route's reward."""
        return [*self.routes.values(), *([self.default] if self.default else [])]

    def score(self, groups: Sequence[Group]) -> list[Group]:
        """Score each route's groups together, and give all back in order.

        Raises:
            ValueError: If a prompt's kind has no route and there is no default.
        """
        found: dict[int, Group] = {}
        for kind in dict.fromkeys(group.prompt.kind for group in groups):
            chosen = [i for i, group in enumerate(groups) if group.prompt.kind == kind]
            scored = self._route(kind).score([groups[i] for i in chosen])
            found.update(zip(chosen, scored, strict=True))
        return [found[i] for i in range(len(groups))]

    def _route(self, kind: str) -> RewardModel:
        reward = self.routes.get(kind, self.default)
        if reward is None:
            raise ValueError(f"No reward for prompts of kind {kind!r}; add it to reward.routes or set reward.default.")
        return reward
