"""A few validation prompts with images and responses, beside the curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import Logger, MLFlowLogger, TensorBoardLogger, WandbLogger
from PIL import Image

from mstar.evaluation import Evaluated
from mstar.terminal import printable
from mstar.types import Group


@dataclass(frozen=True)
class Sample:
    """What is shown of a prompt."""

    image: Image.Image | None
    """Its first image, small; ``None`` if it has none."""
    text: str
    """Question, response, verdict and reference."""


class Samples(Callback):
    """Logs the first prompts of each validation with image and greedy response, under ``samples/<split>``.

    To TensorBoard (images and text), W&B (images with captions) and MLflow (artifacts), whichever the run has; a CSV
    file takes none. The first rank logs its own. The same prompts every time, so that one sees an answer change.

    Args:
        num: Prompts a validation and split.
        side: Longer side of a logged image, in pixels.
    """

    def __init__(self, num: int = 4, side: int = 384) -> None:
        if num < 1 or side < 1:
            raise ValueError(f"Samples.num is {num} and Samples.side {side}; give 1 or more.")
        self.num = num
        self.side = side
        self._seen: dict[str, list[Sample]] = {}

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin anew."""
        self._seen = {}

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Take what is still wanted."""
        if trainer.is_global_zero and isinstance(batch, Evaluated):
            seen = self._seen.setdefault(batch.split, [])
            seen += [sample_of(group, self.side) for group in batch.greedy[: self.num - len(seen)]]

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log."""
        for split, samples in self._seen.items():
            for logger in trainer.loggers:
                log(logger, f"samples/{split}", samples, trainer.global_step)
        self._seen = {}


def sample_of(group: Group, side: int) -> Sample:
    """A prompt and its first response. What a model wrote is shown, not obeyed."""
    prompt, rollout = group.prompt, group.rollouts[0]
    image = None
    if prompt.images:
        image = prompt.images[0].convert("RGB")
        image.thumbnail((side, side))
    facts = f"{rollout.verdict or 'not judged'}, answer {rollout.answer!r}, reference {prompt.answer!r}"
    text = f"{prompt.id}\n{prompt.question}\n---\n{rollout.text}\n---\n{facts}"
    return Sample(image, printable(text))


def log(logger: Logger, key: str, samples: Sequence[Sample], step: int) -> None:
    """Log samples as the logger can; one that takes neither images nor text is left alone."""
    if isinstance(logger, TensorBoardLogger):
        for number, sample in enumerate(samples):
            if sample.image is not None:
                logger.experiment.add_image(f"{key}/{number}", np.asarray(sample.image), step, dataformats="HWC")
            indented = "\n".join(f"    {line}" for line in sample.text.splitlines())  # verbatim in Markdown
            logger.experiment.add_text(f"{key}/{number}", indented, step)
    elif isinstance(logger, WandbLogger):
        shown = [sample for sample in samples if sample.image is not None]
        if shown:
            logger.log_image(key, [s.image for s in shown], step=step, caption=[s.text for s in shown])
        if plain := [[sample.text] for sample in samples if sample.image is None]:
            logger.log_text(f"{key}/text", columns=["sample"], data=plain, step=step)
    elif isinstance(logger, MLFlowLogger):
        for number, sample in enumerate(samples):
            file = f"{key}/{number}/step-{step:08d}"
            if sample.image is not None:
                logger.experiment.log_image(logger.run_id, sample.image, f"{file}.png")
            logger.experiment.log_text(logger.run_id, sample.text, f"{file}.txt")
