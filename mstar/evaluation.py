"""What a policy is measured on, and one batch of that measurement."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from torch.utils.data import Dataset

from mstar.types import Group, Prompt, PromptSource, Sampling


@dataclass(frozen=True)
class EvaluationSet:
    """The prompts a run is measured on, and how."""

    validation: PromptSource
    """Chooses checkpoints and temperatures, once an iteration; logged as ``val/…``."""
    test: dict[str, PromptSource] = field(default_factory=dict)
    """Only looked at by ``mstar test``; logged under each one's name."""
    sampling: Sampling | None = None
    """Responses for pass@k beside the greedy one; ``None`` measures greedy accuracy alone."""
    max_new_tokens: int = 512
    """Longest greedy response, in tokens."""

    @property
    def greedy(self) -> Sampling:
        """One response at temperature 0."""
        return Sampling(num_responses=1, temperature=0.0, max_new_tokens=self.max_new_tokens)


class Evaluated:
    """Scored groups of some prompts of a split.

    No dataclass: Lightning's precision plugins search those for tensors, and refuse frozen ones.

    Args:
        split: Which prompts.
        greedy: One response a prompt, at temperature 0.
        sampled: Responses drawn for pass@k; empty if none were asked for.
        kinds: Kinds of all ranks' prompts of this batch, where a benchmark is reported by kind; the groups are one
            rank's.
        seconds: Wall-clock seconds the responses took to sample, whenever that was.
    """

    def __init__(
        self,
        split: str,
        greedy: tuple[Group, ...],
        sampled: tuple[Group, ...] = (),
        kinds: tuple[str, ...] = (),
        seconds: float = 0.0,
    ) -> None:
        self.split = split
        self.greedy = greedy
        self.sampled = sampled
        self.kinds = kinds
        self.seconds = seconds

    def without_images(self) -> Evaluated:
        """The same, light enough to keep and to send between ranks."""
        greedy = tuple(Group(_bare(group.prompt), group.rollouts) for group in self.greedy)
        sampled = tuple(Group(_bare(group.prompt), group.rollouts) for group in self.sampled)
        return Evaluated(self.split, greedy, sampled, self.kinds, self.seconds)


class EvaluationBatches(Dataset[Evaluated]):
    """Measures the policy when a batch is asked for, a chunk of prompts at a time: each pass sees the current weights.

    Args:
        prompts: This rank's prompts.
        chunk: Prompts a batch.
        num_batches: The same on every rank, so that none waits for another; batches past the prompts are empty.
        measure: Samples and scores the prompts of a chunk.
    """

    def __init__(
        self,
        prompts: Sequence[int],
        source: PromptSource,
        chunk: int,
        num_batches: int,
        measure: Callable[[list[Prompt]], Evaluated],
    ) -> None:
        self.indices = prompts
        self.source = source
        self.chunk = chunk
        self.num_batches = num_batches
        self.measure = measure

    def __len__(self) -> int:
        return self.num_batches

    def __getitem__(self, batch: int) -> Evaluated:
        indices = self.indices[batch * self.chunk : (batch + 1) * self.chunk]
        return self.measure([self.source[i] for i in indices])


def _bare(prompt: Prompt) -> Prompt:
    return replace(prompt, images=())
