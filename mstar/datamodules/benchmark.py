"""Measuring a policy on benchmarks: nothing is trained, every response is on disk once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, Dataset

from mstar.datamodules.served import refuse_resharding, served_policy
from mstar.evaluation import Evaluated
from mstar.modules.policy import PolicyModule
from mstar.progress import reporter_of
from mstar.rewards.check import scored
from mstar.rewards.reward import RewardModel
from mstar.rollout.collect import Collector
from mstar.rollout.engine import RolloutEngine
from mstar.rollout.fingerprint import fingerprint
from mstar.rollout.native import NativeEngine
from mstar.rollout.ranks import Ranks
from mstar.rollout.store import Stage
from mstar.seeds import run_seed, stable_seed
from mstar.types import Group, Prompt, PromptSource, Sampling

What = Literal["greedy", "sampled"]
EIGHT = Sampling(num_responses=8, temperature=1.0, max_new_tokens=1024)


class BenchmarkDataModule(LightningDataModule):
    """Answers every prompt of every benchmark, greedily and by sampling, for ``mstar validate`` and ``mstar test``.

    Responses are stages of the rollout store, ``<run>/rollouts/<benchmark>/greedy-0000``, a chunk of prompts each: a
    rerun of the same command samples only what is not on disk. Verdicts and rewards are made anew each time, so that
    another verifier judges the same responses; another policy, sampling, seed or prompt is refused.

    Args:
        reward: Judges and scores responses; given by the CLI's ``reward`` key.
        benchmarks: Prompts by the name they are reported under.
        sampling: Responses for pass@k, votes and reward-pass@k; ``None`` measures the greedy ones alone.
        max_new_tokens: Longest greedy response, in tokens.
        engine: Samples the responses; ``None`` is the native one.
        chunk: Prompts held in memory with their images, and sealed together.
        seed: Of sampling; ``None`` takes the run's (``seed_everything``).
    """

    def __init__(
        self,
        reward: RewardModel,
        benchmarks: dict[str, PromptSource],
        sampling: Sampling | None = EIGHT,
        max_new_tokens: int = 1024,
        engine: RolloutEngine | None = None,
        chunk: int = 128,
        seed: int | None = None,
    ) -> None:
        if not benchmarks:
            raise ValueError("data.benchmarks is empty; give prompts by name, as the files in configs/benchmarks do.")
        if chunk < 1:
            raise ValueError(f"data.chunk is {chunk}; give 1 or more.")
        super().__init__()
        self.reward = reward
        self.benchmarks = benchmarks
        self.sampling = sampling
        self.greedy = Sampling(num_responses=1, temperature=0.0, max_new_tokens=max_new_tokens)
        self.engine = engine or NativeEngine()
        self.chunk = chunk
        self.seed = run_seed(seed)
        self.name = ""
        """Hub id or folder the policy's backbone was read from, if it was read."""
        self.weights = ""
        """Fingerprint of the policy that is measured."""

    @property
    def num_responses(self) -> int:
        """Responses drawn a prompt; 0 if there are only greedy ones."""
        return self.sampling.num_responses if self.sampling else 0

    @property
    def policy(self) -> PolicyModule:
        """The policy that is measured."""
        return served_policy(self)

    def setup(self, stage: str) -> None:
        """Refuse to train, and to let Lightning deal out what ranks share already.

        Raises:
            ValueError: If the command is ``fit``, or naming the flag to set.
        """
        if stage == "fit":
            raise ValueError("BenchmarkDataModule only measures: use mstar validate or mstar test.")
        refuse_resharding(self.trainer)

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Leave measurements where they are."""
        return batch

    def val_dataloader(self) -> list[DataLoader[Evaluated]]:
        """Measurements of each benchmark."""
        with self.policy.inference() as policy:
            self.name = policy.model.name_or_path
            self.weights = fingerprint(policy.model)  # once, not once a stage: it reads every byte
        return [
            DataLoader(Chunks(source, self.chunk, partial(self._measure_chunk, name)), batch_size=None)
            for name, source in self.benchmarks.items()
        ]

    test_dataloader = val_dataloader

    def _measure_chunk(self, name: str, number: int, prompts: Sequence[Prompt]) -> Evaluated:
        assert self.trainer is not None
        sampled: list[Group] = []
        with reporter_of(self.trainer).phase(name, len(self.benchmarks[name]), unit="prompts") as phase:
            greedy, seconds = self._responses(name, "greedy", number, prompts, self.greedy)
            if self.sampling is not None:
                sampled, more = self._responses(name, "sampled", number, prompts, self.sampling)
                seconds += more
            phase.add(len(prompts))
        kinds = tuple(sorted({prompt.kind for prompt in prompts}))
        return Evaluated(name, tuple(greedy), tuple(sampled), kinds, seconds)

    def _responses(
        self, name: str, what: What, number: int, prompts: Sequence[Prompt], sampling: Sampling
    ) -> tuple[list[Group], float]:
        """This rank's groups, scored, and the seconds that all ranks took to sample theirs."""
        assert self.trainer is not None
        stage = Stage(Path(self.trainer.default_root_dir) / "rollouts" / name / f"{what}-{number:04d}")
        ranks = Ranks.of(self.trainer)
        with self.policy.inference() as policy:
            collector = Collector(self.engine, None, ranks=ranks, progress=reporter_of(self.trainer))
            groups = collector.collect(
                stage, policy, prompts, sampling, stable_seed(self.seed, name, what), self.weights
            )
        return scored(self.reward, ranks.share(groups)), float(stage.manifest["seconds"]["rollout"])


class Chunks(Dataset[Evaluated]):
    """Measures a chunk of prompts when it is asked for; every rank asks for all, and does its share.

    Args:
        source: The prompts.
        size: Prompts a chunk.
        measure: Given the chunk's number and its prompts.
    """

    def __init__(self, source: PromptSource, size: int, measure: Callable[[int, Sequence[Prompt]], Evaluated]) -> None:
        self.source = source
        self.size = size
        self.measure = measure

    def __len__(self) -> int:
        return -(-len(self.source) // self.size)

    def __getitem__(self, number: int) -> Evaluated:
        indices = range(len(self.source))[number * self.size : (number + 1) * self.size]
        return self.measure(number, [self.source[i] for i in indices])
