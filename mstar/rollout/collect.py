"""One stage of the pipeline: prompts in, scored and selected groups out, once."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace

from lightning.pytorch.utilities.exceptions import SIGTERMException

from mstar.modules.policy import Policy
from mstar.progress import QUIET, Phase, Reporter
from mstar.refine.refiner import Refiner
from mstar.rewards.check import scored
from mstar.rewards.reward import RewardModel
from mstar.rollout.admit import require_few, unusable
from mstar.rollout.engine import RolloutEngine, require_distinct
from mstar.rollout.fingerprint import fingerprint, prompt_digest
from mstar.rollout.ranks import Ranks
from mstar.rollout.store import Key, Part, Stage, join
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
    max_drop_rate: float = 0.0
    """Share of prompts that may be dropped because they cannot be asked, in [0, 1]; more stops the stage."""
    progress: Reporter = QUIET

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
            RuntimeError: If the stage was begun from another policy, sampling, seed or other prompts; if more prompts
                than ``max_drop_rate`` cannot be asked; or if a reward is not a finite number.
            SIGTERMException: If the run was told to stop; finished groups are on disk.
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
            seconds = {"rollout": generated - began, "reward": time.monotonic() - generated}
            self._seal(stage, key, prompts, seed, seconds, self.engine.account.since(before))
        self.ranks.barrier()
        leave_if_told(self.ranks)
        return join(prompts, stage.read())

    def _generate(
        self, stage: Stage, key: Key, policy: Policy, prompts: Sequence[Prompt], sampling: Sampling, seed: int
    ) -> None:
        known = stage.generated().keys() | stage.dropped().keys()
        self.ranks.barrier()  # everyone has read what is there before anyone appends
        mine = [prompt for prompt in self.ranks.share(prompts) if prompt.id not in known]
        with stage.part(self.ranks.rank, key) as part:
            for name, reason in unusable(policy, mine, sampling).items():
                part.drop(name, reason)
            self.ranks.barrier()
            dropped = stage.dropped()
            require_few(dropped, len(prompts), self.max_drop_rate)
            requests = [Request(prompt) for prompt in mine if prompt.id not in dropped]
            share = len(self.ranks.share(prompts))
            with self.progress.phase("rollout", share, share - len(requests)) as phase:
                write_groups(part, self.engine.generate(policy, requests, sampling, seed), self.ranks, phase)
        self.ranks.barrier()

    def _score(self, stage: Stage, policy: Policy, prompts: Sequence[Prompt], sampling: Sampling, seed: int) -> None:
        groups = join(self.ranks.share(prompts), stage.generated())
        if self.reward is not None:
            with self.progress.phase("scoring", len(groups)) as phase:
                groups = scored(self.reward, groups)
                phase.add_groups(groups)
            for refiner in self.refiners:
                with self.progress.phase("refining", 1, unit="refiner"):
                    extra = refiner.refine(groups, policy, self.engine, sampling, seed)
                    groups = merge(groups, scored(self.reward, extra))
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


def write_groups(part: Part, groups: Iterable[Group], ranks: Ranks, phase: Phase) -> None:
    """Write groups down as they finish, and report them.

    Raises:
        SIGTERMException: Behind the next finished group, if the run was told to stop.
    """
    for group in groups:
        part.append(group)
        phase.add_groups([group])
        leave_if_told(ranks)


def leave_if_told(ranks: Ranks) -> None:
    """Leave, where everything that is finished is on disk.

    Raises:
        SIGTERMException: If the run was told to stop.
    """
    if ranks.leaving():
        raise SIGTERMException


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
