"""Step labels by Monte-Carlo completion, and training a process reward model on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader
from torchdata.stateful_dataloader import StatefulDataLoader

from mstar.datamodules.order import dealt, passes, together
from mstar.modules.packing import ragged
from mstar.modules.policy import PolicyModule
from mstar.modules.process_reward import NO_STEP, Labelled, ProcessRewardModule
from mstar.modules.renderer import Inputs
from mstar.progress import reporter_of
from mstar.rewards.reward import RewardModel
from mstar.rollout.engine import RolloutEngine
from mstar.rollout.labels import Labeller, StepLabels, made_with, read_labels
from mstar.rollout.native import NativeEngine
from mstar.rollout.ranks import Ranks
from mstar.seeds import run_seed, stable_seed
from mstar.types import Prompt, PromptSource, Sampling


class StepDataModule(LightningDataModule):
    """``predict`` labels the steps of a policy's responses; ``fit`` trains a ``ProcessRewardModule`` on the labels.

    Labels follow Math-Shepherd (2312.08935): a step's label is the share of completions from behind it that reach the
    reference answer; the last step's is the response's own verdict. The paper does not state its numbers.

    Args:
        reward: Judges responses and completions; given by the CLI's ``reward`` key.
        prompts: Labelled prompts, the same for ``predict`` and ``fit``.
        labels: Folder of the labels: ``predict`` writes it, ``fit`` reads it.
        sampling: How the responses to be labelled are drawn.
        num_completions: Completions a step.
        separator: What separates steps.
        engine: Samples; ``None`` is the native one.
        held_out: Share of prompts whose labels validate, in (0, 1).
        batch_size: Responses an optimizer step, on each rank.
        seed: Of sampling, split and order; ``None`` takes the run's (``seed_everything``).
        token_budget: Tokens a forward pass, padding included; a batch above it is trained on in parts.
        share_prompts: Shuffle prompts and not responses, so that a prompt's responses stay together and it is computed
            once for them; ``None``: where the model can. False shuffles responses.
    """

    def __init__(
        self,
        reward: RewardModel,
        prompts: PromptSource,
        labels: str,
        sampling: Sampling = Sampling(num_responses=4),  # noqa: B008 (frozen)
        num_completions: int = 8,
        separator: str = "\n\n",
        engine: RolloutEngine | None = None,
        held_out: float = 0.1,
        batch_size: int = 32,
        seed: int | None = None,
        token_budget: int = 4096,
        share_prompts: bool | None = None,
    ) -> None:
        super().__init__()
        if not 0 < held_out < 1:
            raise ValueError(f"data.held_out is {held_out}; give a share of the prompts between 0 and 1.")
        self.prompts = prompts
        self.folder = Path(labels)
        self.held_out = held_out
        self.batch_size = batch_size
        self.token_budget = token_budget
        self.share_prompts = share_prompts
        self.seed = run_seed(seed)
        self.labeller = Labeller(
            engine or NativeEngine(), reward, sampling, num_completions, separator, stable_seed(self.seed, "labels")
        )

    def predict_dataloader(self) -> DataLoader[dict[str, Any]]:
        """Label all prompts, doing only what is not on disk yet; the one batch is a summary."""
        module = self.trainer.lightning_module if self.trainer else None
        if self.trainer is None or not isinstance(module, PolicyModule):
            raise RuntimeError("mstar predict labels the steps of a policy: set model to a PolicyModule.")
        prompts = [self.prompts[i] for i in range(len(self.prompts))]
        with module.inference() as policy:
            ranks, progress = Ranks.of(self.trainer), reporter_of(self.trainer)
            rows = self.labeller.label(self.folder, policy, prompts, ranks, progress)
        summary = {"responses": len(rows), "steps": sum(len(row.labels) for row in rows)}
        return DataLoader([summary], batch_size=None)  # type: ignore[arg-type]

    def setup(self, stage: str) -> None:
        """Read the labels before training.

        Raises:
            FileNotFoundError: If ``predict`` has not finished in the folder.
            RuntimeError: If the model ends steps elsewhere than the labels do.
        """
        if stage != "fit":
            return
        found = (made_with(self.folder) or {}).get("separator")
        if found not in (None, self._module.separator):
            raise RuntimeError(
                f"{self.folder} has labels of steps that {found!r} separates, but model.separator is "
                f"{self._module.separator!r}: set it to the former, or run mstar predict with it into another folder."
            )
        by_id = {self.prompts[i].id: i for i in range(len(self.prompts))}
        rows = read_labels(self.folder)
        self.training = [(row, by_id[row.prompt_id]) for row in rows if not self._validates(row)]
        self.validating = [(row, by_id[row.prompt_id]) for row in rows if self._validates(row)]

    def train_dataloader(self) -> StatefulDataLoader[list[Inputs]]:
        """One pass over the labelled responses, in an order of the epoch's own."""
        assert self.trainer is not None
        rows = range(len(self.training))
        units = together([row.prompt_id for row, _ in self.training]) if self._sharing else [[i] for i in rows]
        order = passes(len(units), self.trainer.current_epoch * len(units), len(units), self.seed)
        return self._loader([self.training[i] for unit in order for i in units[unit]], collate)

    def val_dataloader(self) -> StatefulDataLoader[Labelled]:
        """Labelled responses of held-out prompts."""
        return self._loader(self.validating, collate_labelled)

    def _validates(self, row: StepLabels) -> bool:
        return stable_seed(self.seed, "held out", row.prompt_id) / 2**63 < self.held_out

    @property
    def _module(self) -> ProcessRewardModule:
        module = self.trainer.lightning_module if self.trainer else None
        if not isinstance(module, ProcessRewardModule):
            raise RuntimeError("Step labels train a process reward model: set model to a ProcessRewardModule.")
        return module

    @property
    def _sharing(self) -> bool:
        return self._module.can_share if self.share_prompts is None else self.share_prompts

    def _loader(self, rows: Sequence[tuple[StepLabels, int]], collate: Callable[..., Any]) -> StatefulDataLoader[Any]:
        assert self.trainer is not None
        ranks = Ranks.of(self.trainer)
        return StatefulDataLoader(
            dealt(rows, self.batch_size, ranks.rank, ranks.world_size),
            batch_size=self.batch_size,
            collate_fn=partial(collate, self._module, self.prompts, self.token_budget, self._sharing),
        )


def collate(
    module: ProcessRewardModule,
    prompts: PromptSource,
    token_budget: int,
    share: bool,
    rows: Sequence[tuple[StepLabels, int]],
) -> list[Inputs]:
    """A batch: parts with ``step_labels`` ``(R, S)``, -1 for none, and ``num_steps`` in all."""
    return label(module, opened(prompts, rows), token_budget, share, rows)


def opened(prompts: PromptSource, rows: Sequence[tuple[StepLabels, int]]) -> list[Prompt]:
    """The prompt of each response; one that several share is opened once."""
    found = {index: prompts[index] for index in {index for _, index in rows}}
    return [found[index] for _, index in rows]


def collate_labelled(
    module: ProcessRewardModule,
    prompts: PromptSource,
    token_budget: int,
    share: bool,
    rows: Sequence[tuple[StepLabels, int]],
) -> Labelled:
    """A batch with the prompt and kind of each response."""
    asked = opened(prompts, rows)
    parts = label(module, asked, token_budget, share, rows)
    return Labelled(parts, tuple(prompt.id for prompt in asked), tuple(prompt.kind for prompt in asked))


def label(
    module: ProcessRewardModule,
    asked: Sequence[Prompt],
    token_budget: int,
    share: bool,
    rows: Sequence[tuple[StepLabels, int]],
) -> list[Inputs]:
    """Parts of responses to ``asked`` with their labels."""
    total = torch.tensor(sum(len(row.labels) for row, _ in rows))
    return [
        {
            **part,
            "step_labels": ragged([rows[number][0].labels for number in part["index"].tolist()], NO_STEP),
            "num_steps": total,
        }
        for part in module.parts(asked, [row.text for row, _ in rows], token_budget, share)
    ]
