"""One stage of the pipeline: prompts in, scored and selected groups out, once."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace

from mstar.modules.policy import Policy
from mstar.refine.refiner import Refiner
from mstar.rewards.reward import RewardModel
from mstar.rollout.engine import RolloutEngine, require_distinct
from mstar.rollout.fingerprint import fingerprint, prompt_digest
from mstar.rollout.ranks import Ranks
from mstar.rollout.store import Key, Stage, join
from mstar.selection import Selector, select_all
from mstar.types import Group, Prompt, Request, Sampling


@dataclass(frozen=True)
class Collector:
    """Samples, scores, refines and selects; what every stage of a run has in common."""

    engine: RolloutEngine
    reward: RewardModel | None
    """``None`` keeps the responses alone: for stages whose verdicts are made anew each time they are read."""
    refiners: Sequence[Refiner] = ()
    selectors: Sequence[Selector] | None = None
    """``None`` decides nothing; without any selector every response is kept."""
    ranks: Ranks = field(default_factory=Ranks)

    def collect(
        self,
        stage: Stage,
        policy: Policy,
        prompts: Sequence[Prompt],
        sampling: Sampling,
        seed: int,
        weights: str | None = None,
    ) -> list[Group]:
        """Complete the stage, doing only what is not on disk yet, and seal it.

        Every rank calls this with the same arguments and gets the same groups, in the order of the prompts.

        Args:
            stage: Where the responses are kept.
            policy: A policy inside ``PolicyModule.inference()``.
            prompts: All ranks' prompts.
            sampling: How responses are drawn.
            seed: Of the random streams.
            weights: The policy's `fingerprint`, where it is known from another stage; ``None`` reads all weights.

        Raises:
            RuntimeError: If the stage was begun from another policy, sampling, seed or other prompts.
            ValueError: If two prompts have the same id.
        """
        require_distinct([Request(prompt) for prompt in prompts])
        key = make_key(policy, prompts, sampling, seed, weights)
        stage.open(key)
        if not stage.sealed:
            began, before = time.monotonic(), self.engine.account.flat()
            self._generate(stage, key, policy, prompts, sampling, seed)
            generated = time.monotonic()
            self._score(stage, policy, prompts, sampling, seed)
            scored = time.monotonic()
            seconds = {"rollout": generated - began, "reward": scored - generated}
            self._seal(stage, key, prompts, seed, seconds, self.engine.account.since(before))
        self.ranks.barrier()
        return join(prompts, stage.read())

    def _generate(
        self, stage: Stage, key: Key, policy: Policy, prompts: Sequence[Prompt], sampling: Sampling, seed: int
    ) -> None:
        done = stage.generated()
        self.ranks.barrier()  # everyone has read what is there before anyone appends
        mine = [Request(prompt) for prompt in self.ranks.share(prompts) if prompt.id not in done]
        with stage.part(self.ranks.rank, key) as part:
            for group in self.engine.generate(policy, mine, sampling, seed):
                part.append(group)
        self.ranks.barrier()

    def _score(self, stage: Stage, policy: Policy, prompts: Sequence[Prompt], sampling: Sampling, seed: int) -> None:
        groups = join(self.ranks.share(prompts), stage.generated())
        if self.reward is not None:
            groups = self.reward.score(groups)
            for refiner in self.refiners:
                extra = refiner.refine(groups, policy, self.engine, sampling, seed)
                groups = merge(groups, self.reward.score(extra))
        stage.write_scored(self.ranks.rank, groups)
        self.ranks.barrier()

    def _seal(
        self,
        stage: Stage,
        key: Key,
        prompts: Sequence[Prompt],
        seed: int,
        seconds: dict[str, float],
        spent: dict[str, float],
    ) -> None:
        if self.ranks.rank == 0:
            groups = join(prompts, stage.read_scored(self.ranks.world_size))
            selected = groups if self.selectors is None else select_all(self.selectors, groups, seed)
            stage.seal(selected, key, seconds, spent)


def make_key(
    policy: Policy, prompts: Sequence[Prompt], sampling: Sampling, seed: int, weights: str | None = None
) -> Key:
    """What a stage is made from; two runs that agree on it may share the stage."""
    return {
        "policy": weights or fingerprint(policy.model),
        "prompts": prompt_digest(prompts),
        "sampling": asdict(sampling),
        "seed": seed,
    }


def merge(groups: Sequence[Group], extra: Sequence[Group]) -> list[Group]:
    """Append the extra rollouts of a prompt to its group, numbered on from the last."""
    added = {group.prompt.id: group.rollouts for group in extra}
    return [
        Group(
            group.prompt,
            group.rollouts
            + tuple(replace(r, index=len(group) + i) for i, r in enumerate(added.get(group.prompt.id, ()))),
        )
        for group in groups
    ]
