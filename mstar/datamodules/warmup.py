"""Warm-up: teach the policy to write its steps before the answer, from a small set of worked responses."""

from __future__ import annotations

from torchdata.stateful_dataloader import StatefulDataLoader

from mstar.datamodules.order import passes
from mstar.datamodules.policy_data import Example, PolicyDataModule
from mstar.evaluation import EvaluationSet
from mstar.modules.renderer import Inputs
from mstar.rewards.reward import RewardModel
from mstar.rollout.engine import RolloutEngine
from mstar.rollout.native import NativeEngine
from mstar.types import PromptSource


class WarmupDataModule(PolicyDataModule):
    """Trains on written responses (``Prompt.cot``), an epoch a fixed number of steps.

    The seed set is walked in a new random order each pass (or in its own order, as a curriculum wants). An epoch takes
    up where the last one stopped, so that ``steps_per_epoch`` only says how often the policy is validated. Also what
    plain SFT trains on.

    Args:
        reward: Scores responses in validation; given by the CLI's ``reward`` key.
        examples: Prompts with a ``cot``.
        evaluation: Validation and test prompts.
        engine: Samples responses in validation; ``None`` is the native one.
        batch_size: Responses an optimizer step, on each rank.
        steps_per_epoch: Batches between two validations; ``None`` is one pass.
        shuffle: A new random order each pass.
        seed: Of the order; ``None`` takes the run's (``seed_everything``).
        token_budget: Tokens a forward pass, padding included; a batch above it is trained on in parts.
        share_prompts: Compute a prompt once for all its responses in a batch; ``None``: where the model can.
    """

    def __init__(
        self,
        reward: RewardModel,
        examples: PromptSource,
        evaluation: EvaluationSet,
        engine: RolloutEngine | None = None,
        batch_size: int = 32,
        steps_per_epoch: int | None = None,
        shuffle: bool = True,
        seed: int | None = None,
        token_budget: int = 4096,
        share_prompts: bool | None = None,
    ) -> None:
        super().__init__(reward, evaluation, engine or NativeEngine(), batch_size, seed, token_budget, share_prompts)
        self.examples = examples
        self.steps_per_epoch = steps_per_epoch
        self.shuffle = shuffle

    def train_dataloader(self) -> StatefulDataLoader[list[Inputs]]:
        """The batches of the current epoch."""
        assert self.trainer is not None
        total = len(self.examples)
        size = total if self.steps_per_epoch is None else self.steps_per_epoch * self.batch_size * self.ranks.world_size
        first = self.trainer.current_epoch * size
        walk = range(first, first + size)
        order = passes(total, first, size, self.seed) if self.shuffle else [position % total for position in walk]
        examples = [self._example(i) for i in order]
        self.require_fit(examples)
        return self.training_loader(examples)

    def _example(self, index: int) -> Example:
        prompt = self.examples[index]
        if not prompt.cot:
            raise ValueError(
                f"Prompt {prompt.id!r} of data.examples has no worked response (cot); give a source with one."
            )
        return Example(prompt, self.policy.renderer.response_tokens(prompt.cot))
