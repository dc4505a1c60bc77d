"""What datamodules of a policy share: measuring it, and batching what it trains on."""

from __future__ import annotations

import math
from abc import ABC
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader
from torchdata.stateful_dataloader import StatefulDataLoader

from mstar.datamodules.order import dealt
from mstar.datamodules.served import refuse_resharding, served_policy
from mstar.evaluation import Evaluated, EvaluationBatches, EvaluationSet
from mstar.modules.packing import pack, ragged
from mstar.modules.policy import Policy, PolicyModule
from mstar.modules.renderer import Inputs, Renderer
from mstar.modules.tree import shares
from mstar.progress import Reporter, reporter_of
from mstar.rewards.check import scored
from mstar.rewards.reward import RewardModel
from mstar.rollout.admit import refusal
from mstar.rollout.engine import RolloutEngine
from mstar.rollout.ranks import Ranks
from mstar.seeds import run_seed, stable_seed
from mstar.types import Group, Prompt, PromptSource, Request, Sampling

CHUNK = 128  # prompts measured between two looks at the progress bar


@dataclass(frozen=True)
class Example:
    """A response to train on."""

    prompt: Prompt
    tokens: tuple[int, ...]
    """Response tokens, end token included."""
    advantage: float = 1.0
    logprobs: tuple[float, ...] | None = None
    """Of the policy that wrote it; ``None`` for written responses."""


class PolicyDataModule(LightningDataModule, ABC):
    """Measures the policy in validation and test; subclasses say what it trains on.

    Args:
        reward: Scores responses; given by the CLI's ``reward`` key.
        evaluation: Validation and test prompts.
        engine: Samples the responses.
        batch_size: Responses an optimizer step, on each rank.
        seed: Of sampling and order; ``None`` takes the run's (``seed_everything``).
        token_budget: Tokens a forward pass, padding included; a batch above it is trained on in parts.
        share_prompts: Compute a prompt once for all its responses in a batch; ``None``: where the model can.
    """

    def __init__(
        self,
        reward: RewardModel,
        evaluation: EvaluationSet,
        engine: RolloutEngine,
        batch_size: int,
        seed: int | None,
        token_budget: int,
        share_prompts: bool | None,
    ) -> None:
        super().__init__()
        if token_budget < 1:
            raise ValueError(f"data.token_budget is {token_budget}; give 1 or more, for instance 4096.")
        self.reward = reward
        self.evaluation = evaluation
        self.engine = engine
        self.batch_size = batch_size
        self.seed = run_seed(seed)
        self.token_budget = token_budget
        self.share_prompts = share_prompts

    @property
    def sharing(self) -> bool:
        """Whether responses of a prompt stand in one row, and next to each other in the training order.

        Raises:
            ValueError: If it is asked for and the model cannot.
        """
        model = self.policy.model
        assert model is not None
        if self.share_prompts and not shares(model):
            raise ValueError(
                f"data.share_prompts is true, but {model.config.model_type} needs a row for each response: its "
                f"attention is not plain causal. Leave the setting out."
            )
        return shares(model) if self.share_prompts is None else self.share_prompts

    @property
    def policy(self) -> PolicyModule:
        """The policy of the run this datamodule serves."""
        return served_policy(self)

    @property
    def ranks(self) -> Ranks:
        """This process's place in the run."""
        assert self.trainer is not None
        return Ranks.of(self.trainer)

    @property
    def progress(self) -> Reporter:
        """What this datamodule's phases report to."""
        assert self.trainer is not None
        return reporter_of(self.trainer)

    @property
    def run_folder(self) -> Path:
        """``trainer.default_root_dir``."""
        assert self.trainer is not None
        return Path(self.trainer.default_root_dir)

    def setup(self, stage: str) -> None:
        """Refuse trainer settings under which iterations would not be epochs.

        Raises:
            ValueError: Naming the flag to set.
        """
        assert self.trainer is not None
        if stage == "fit" and self.trainer.reload_dataloaders_every_n_epochs != 1:  # type: ignore[attr-defined]
            raise ValueError(
                "The training set changes every epoch: set trainer.reload_dataloaders_every_n_epochs to 1."
            )
        refuse_resharding(self.trainer)

    def val_dataloader(self) -> DataLoader[Evaluated]:
        """Measurements of the validation prompts."""
        return self._measurements("val", self.evaluation.validation)

    def test_dataloader(self) -> list[DataLoader[Evaluated]]:
        """Measurements of each test split."""
        return [self._measurements(split, source) for split, source in self.evaluation.test.items()]

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Leave measurements alone; move tensors."""
        return (
            batch if isinstance(batch, Evaluated) else super().transfer_batch_to_device(batch, device, dataloader_idx)
        )

    def training_loader(self, examples: Sequence[Example]) -> StatefulDataLoader[list[Inputs]]:
        """This rank's batches, in the order given; its position is part of a mid-epoch checkpoint.

        Ranks get the same number of examples: the last few are dropped, at most ``world_size - 1``.
        """
        ranks = self.ranks
        if 0 < len(examples) < ranks.world_size:
            raise RuntimeError(
                f"{len(examples)} responses are too few to train on {ranks.world_size} ranks: keep more of them, or "
                "use fewer ranks."
            )
        return StatefulDataLoader(
            dealt(examples, self.batch_size, ranks.rank, ranks.world_size),
            batch_size=self.batch_size,
            collate_fn=partial(collate, self.policy.renderer, self.token_budget, self.sharing),
        )

    def require_fit(self, examples: Sequence[Example]) -> None:
        """Refuse written responses that the model cannot be trained on whole: nothing is ever cut off.

        Raises:
            ValueError: Naming the first prompt that, with its response, exceeds the model's context.
        """
        model = self.policy.model
        assert model is not None
        policy = Policy(model, self.policy.renderer)
        for example in examples:
            length = len(example.tokens)
            if why := refusal(policy, example.prompt, length, f"the {length:,} of its worked response"):
                raise ValueError(why)

    def _measurements(self, split: str, source: PromptSource) -> DataLoader[Evaluated]:
        ranks = self.ranks
        longest = -(-len(source) // ranks.world_size)
        batches = EvaluationBatches(
            range(len(source))[ranks.rank :: ranks.world_size],
            source,
            CHUNK,
            -(-longest // CHUNK),
            partial(self._measure, split, len(range(len(source))[ranks.rank :: ranks.world_size])),
        )
        return DataLoader(batches, batch_size=None)

    def _measure(self, split: str, share: int, prompts: list[Prompt]) -> Evaluated:
        sampling = self.evaluation.sampling
        with self.progress.phase(f"measuring {split}", share, unit="prompts") as phase:
            greedy = self._scored(prompts, self.evaluation.greedy, stable_seed(self.seed, split))
            sampled = [] if sampling is None else self._scored(prompts, sampling, stable_seed(self.seed, split))
            phase.add(len(prompts))
        return Evaluated(split, tuple(greedy), tuple(sampled))

    def _scored(self, prompts: Sequence[Prompt], sampling: Sampling, seed: int) -> list[Group]:
        what = "sampled" if sampling.temperature else "greedy"
        with self.policy.inference() as policy, self.progress.phase(what, len(prompts), done=0) as phase:
            found: dict[str, Group] = {}
            for group in self.engine.generate(policy, [Request(prompt) for prompt in prompts], sampling, seed):
                found[group.prompt.id] = group
                phase.add_groups([group])
        return scored(self.reward, [found[prompt.id] for prompt in prompts])


def known(example: Example) -> list[float]:
    """A response's log-probabilities when it was sampled; not-a-number for tokens whose are not recorded."""
    recorded = example.logprobs or ()
    return [*[math.nan] * (len(example.tokens) - len(recorded)), *recorded]


def collate(renderer: Renderer, token_budget: int, share: bool, examples: Sequence[Example]) -> list[Inputs]:
    """The parts of an optimizer step's batch, as ``Objective.loss`` describes them."""
    totals = {
        "num_tokens": torch.tensor(sum(len(example.tokens) for example in examples)),
        "num_responses": torch.tensor(len(examples)),
    }
    parts = []
    for part in pack(renderer, [(example.prompt, example.tokens) for example in examples], token_budget, share):
        own = [examples[number] for number in part["index"].tolist()]
        old = [known(example) for example in own]
        advantages = torch.tensor([example.advantage for example in own])
        parts.append({**part, **totals, "advantages": advantages, "old_logprobs": ragged(old, 0.0)})
    return parts
