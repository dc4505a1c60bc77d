"""What house tests plug in by class_path."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from lightning.pytorch import Callback, LightningModule, Trainer

from mstar.answers import Judgement
from mstar.cli import main
from mstar.demo.scenes import DigitScenes
from mstar.modules.policy import Policy
from mstar.rollout import NativeEngine
from mstar.types import Group, Prompt, Request, Sampling


def even_length(text: str, prompt: Prompt) -> Judgement:
    """Likes responses of even length: about half of what a random policy writes."""
    good = len(text) % 2 == 0
    return Judgement("correct" if good else "wrong", text[-1:], "even" if good else "odd")


class MostlyBlind:
    """Prompts of which every fourth has its image."""

    def __init__(self) -> None:
        self.scenes = DigitScenes("prompts", 16)

    def __len__(self) -> int:
        return len(self.scenes)

    def __getitem__(self, index: int, /) -> Prompt:
        prompt = self.scenes[index]
        return prompt if index % 4 == 0 else replace(prompt, images=())


class Killed(Exception):  # noqa: N818 (it is no error)
    """Stands for a kill: nothing is saved any more."""


class KillAtStep(Callback):
    """Ends the run before the batch that follows an optimizer step.

    Args:
        step: Number of optimizer steps done.
    """

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Raise once the step is reached."""
        if trainer.global_step == self.step:
            raise Killed(f"step {self.step}")


class KillAtEpochEnd(Callback):
    """Ends the run behind an epoch, after its checkpoint was written.

    Args:
        epoch: From 0.
    """

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Watch for the next epoch's rollouts."""
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        evolve = data.evolve

        def watched(iteration: int) -> Any:
            if iteration > self.epoch:
                raise Killed(f"epoch {self.epoch}")
            return evolve(iteration)

        data.evolve = watched


class Probe(Callback):
    """Notes weights and optimizer state as each iteration's first batch begins, behind the init policy."""

    seen: ClassVar[list[dict[str, Any]]] = []

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Copy what training starts from."""
        if batch_idx == 0:
            optimizer = trainer.optimizers[0]
            self.seen.append(
                {
                    "step": trainer.global_step,
                    "weights": {name: value.clone() for name, value in pl_module.state_dict().items()},
                    "moments": [float(s["step"]) for s in optimizer.state.values()],
                    "rate": optimizer.param_groups[0]["lr"],
                }
            )


class Batches(Callback):
    """Keeps every training batch, and the model as the first one found it."""

    seen: ClassVar[list[Any]] = []
    first: ClassVar[dict[str, Any]] = {}

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Note the batch."""
        if not self.seen:
            self.first.update({name: value.clone() for name, value in pl_module.state_dict().items()})
        self.seen.append(batch)


class WriteBatches(Callback):
    """Writes the responses of every training batch, in a canonical order, to ``<run>/batches-<rank>.jsonl``."""

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Write a line."""
        responses = [[t for t in row if t >= 0] for part in batch for row in part["labels"].tolist()]
        with (Path(trainer.default_root_dir) / f"batches-{trainer.global_rank}.jsonl").open("a") as file:
            file.write(json.dumps(sorted(responses)) + "\n")


class KillInValidation(Callback):
    """Ends the run in the validation of an epoch.

    Args:
        epoch: From 0.
    """

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_validation_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Raise before the first batch is measured."""
        if trainer.current_epoch == self.epoch:
            raise Killed(f"validation of epoch {self.epoch}")


class SignalAtStep(Callback):
    """Sends this process a signal in the batch that follows an optimizer step.

    Args:
        step: Number of optimizer steps done.
        number: The signal's.
        rank: Which process is sent it.
    """

    def __init__(self, step: int, number: int = 15, rank: int = 0) -> None:
        self.step = step
        self.number = number
        self.rank = rank

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Send it once the step is reached."""
        if trainer.global_rank == self.rank and trainer.global_step == self.step:
            os.kill(os.getpid(), self.number)


class SignalAtGroup:
    """The native engine, which sends this process a signal as a group finishes.

    Args:
        group: Number of groups finished before.
        number: The signal's.
    """

    def __init__(self, group: int, number: int = 15) -> None:
        self.group = group
        self.number = number
        self.engine = NativeEngine(rows=4)
        self.account = self.engine.account
        self.finished = 0

    def generate(self, policy: Policy, requests: Sequence[Request], sampling: Sampling, seed: int) -> Iterator[Group]:
        """As the native engine does."""
        for group in self.engine.generate(policy, requests, sampling, seed):
            if self.finished == self.group:
                os.kill(os.getpid(), self.number)
            self.finished += 1
            yield group


class RunAgain(Callback):
    """Starts the same command in the middle of the run.

    Args:
        config: Configuration file of the run.
    """

    def __init__(self, config: str) -> None:
        self.config = config

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """As a second user would."""
        main(["fit", "-c", self.config, f"--trainer.default_root_dir={trainer.default_root_dir}"])


class SignalInValidation(Callback):
    """Sends this process SIGTERM as the first batch of the first validation is measured."""

    def on_validation_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Send it."""
        if trainer.current_epoch == 0 and batch_idx == 0:
            os.kill(os.getpid(), signal.SIGTERM)


class DieAtStep(Callback):
    """One rank dies in the batch that follows an optimizer step.

    Args:
        rank: Which.
        step: Number of optimizer steps done.
        by: ``raise``, or ``kill``.
    """

    def __init__(self, rank: int, step: int, by: str = "raise") -> None:
        self.rank = rank
        self.step = step
        self.by = by

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Die once the step is reached."""
        if trainer.global_rank == self.rank and trainer.global_step == self.step:
            print(f"dying at {time.time()}", flush=True)
            if self.by == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            raise ZeroDivisionError(f"rank {self.rank} divided by zero")


def every_fourth_prompt(text: str, prompt: Prompt) -> Judgement:
    """Likes all responses to every fourth scene: with four ranks, those of the first one alone."""
    good = int(prompt.id.rpartition("-")[2]) % 4 == 0
    return Judgement("correct" if good else "wrong", text[-1:], "fourth" if good else "not the fourth")


class SpoilAtStep(Callback):
    """Makes a weight something that is no number, before the batch that follows an optimizer step.

    Args:
        step: Number of optimizer steps done.
        value: The weight's new value.
    """

    def __init__(self, step: int, value: str) -> None:
        self.step = step
        self.value = float(value)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Spoil it once the step is reached."""
        if trainer.global_step == self.step:
            next(p for n, p in pl_module.named_parameters() if "embed_tokens" in n).data.fill_(self.value)
