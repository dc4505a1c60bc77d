"""What a stage of ``benchmarks.faults`` writes down of itself: every event a line, in one file of all processes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from mstar.answers import Judgement
from mstar.modules.policy import Policy
from mstar.modules.renderer import Renderer
from mstar.rewards import OutcomeReward
from mstar.rollout import NativeEngine
from mstar.types import Group, Prompt, Request, Sampling

EVENTS = "MSTAR_FAULTS_EVENTS"
"""Environment variable: the file."""


def note(*words: object) -> None:
    """Append a line; one write, so that a kill leaves it whole or not there."""
    line = " ".join(map(str, (os.getpid(), *words))) + "\n"
    handle = os.open(os.environ[EVENTS], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(handle, line.encode())
    os.close(handle)


def even_length(text: str, prompt: Prompt) -> Judgement:
    """Likes responses of even length: about half of what a random policy writes."""
    good = len(text) % 2 == 0
    return Judgement("correct" if good else "wrong", text[-1:], "even" if good else "odd")


class RecordedReward(OutcomeReward):
    """Notes when scoring begins."""

    def __init__(self) -> None:
        super().__init__(even_length)

    def score(self, groups: Sequence[Group]) -> list[Group]:
        """As ever."""
        note("score", len(groups), groups[0].name if groups else "-")
        return super().score(groups)


class RecordedEngine:
    """The native engine; notes when a group is begun, and when it is in the store.

    A group is begun when its prompt is run through the model. Greedy ones, which validation measures, are left out.
    """

    def __init__(self) -> None:
        self.engine = NativeEngine(rows=8)
        self.account = self.engine.account

    def generate(self, policy: Policy, requests: Sequence[Request], sampling: Sampling, seed: int) -> Iterator[Group]:
        """As the native engine does."""
        if sampling.temperature == 0:
            yield from self.engine.generate(policy, requests, sampling, seed)
            return
        name = f"{seed}/{sampling.temperature}/{sampling.num_responses}"
        streams: dict[str, list[str]] = {}
        for request in requests:
            streams.setdefault(request.prompt.id, []).append(request.stream)
        renderer: Any = Renderer(policy.renderer.processor, policy.renderer.instruction)
        process = renderer.process

        def recorded(prompts: Sequence[Prompt]) -> Any:
            for prompt in prompts:
                for stream in streams.get(prompt.id, []):
                    note("begun", f"{name}/{stream}")
            return process(prompts)

        renderer.process = recorded
        for group in self.engine.generate(Policy(policy.model, renderer), requests, sampling, seed):
            yield group
            note("stored", f"{name}/{group.name}")  # whoever asked for it has written it down


class Recorder(Callback):
    """Notes steps, validations and checkpoints."""

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Training begins a batch."""
        note("batch", Path(trainer.default_root_dir).name, trainer.global_step)

    def on_validation_batch_start(self, trainer: Trainer, pl_module: LightningModule, *_: Any, **__: Any) -> None:
        """A validation begins a batch."""
        note("validation", Path(trainer.default_root_dir).name, trainer.global_step)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """A checkpoint is about to be written."""
        note("checkpoint", Path(trainer.default_root_dir).name, trainer.global_step)
