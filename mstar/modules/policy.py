"""The policy: a vision-language model that writes responses and learns from those that were kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor
from transformers import PreTrainedModel, ProcessorMixin

from mstar.checkpoints import require_same_model
from mstar.evaluation import Evaluated
from mstar.modules.backbone import Backbone
from mstar.modules.families import PARTS, parameters_of
from mstar.modules.parts import PartsModule, Share
from mstar.modules.renderer import Inputs, Renderer
from mstar.objectives.objective import Objective
from mstar.objectives.sft import SFT


def adamw(parameters: Any) -> torch.optim.Optimizer:
    """AdamW at the paper's rate 1e-6; betas and weight decay are not stated there (mstar-paper, section 12)."""
    return torch.optim.AdamW(parameters, lr=1e-6, betas=(0.9, 0.95), weight_decay=0.1)


@dataclass(frozen=True)
class Policy:
    """What an engine needs of a policy: the model, ready to be called, and the renderer that belongs to it."""

    model: PreTrainedModel
    renderer: Renderer


class PolicyModule(PartsModule):
    """Wraps a vision-language model as the policy.

    Args:
        backbone: Where model and processor come from.
        objective: What is minimised on the kept responses; ``None`` is ``SFT``.
        optimizer: Given the trainable parameters, returns the optimizer.
        lr_scheduler: Given the optimizer, returns a schedule that is stepped after every optimizer step;
            ``None`` keeps the rate constant, as the paper does.
        instruction: Said after every question, in sampling and training alike.
        frozen: What is not trained: ``vision_tower``, ``projector``, ``language_model``, or beginnings of parameter
            names, e.g. ``[model.vision_tower.encoder]``.
        gradient_checkpointing: Recompute activations in the backward pass: less memory, about a third more time.
    """

    def __init__(
        self,
        backbone: Backbone,
        objective: Objective | None = None,
        optimizer: OptimizerCallable = adamw,
        lr_scheduler: LRSchedulerCallable | None = None,
        instruction: str = "",
        frozen: Sequence[str] = (),
        gradient_checkpointing: bool = False,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.objective = objective or SFT()
        self.make_optimizer = optimizer
        self.make_schedule = lr_scheduler
        self.instruction = instruction
        self.frozen = tuple(frozen)
        self.gradient_checkpointing = gradient_checkpointing
        self.model: PreTrainedModel | None = None
        self.processor: ProcessorMixin | None = None

    def configure_model(self) -> None:
        """Load the backbone; Lightning calls this more than once, also before a sharded strategy wraps it."""
        if self.model is not None:
            return
        self.model, self.processor = self.backbone.load()
        self.model.train()  # from_pretrained gives eval mode
        freeze(self.model, self.frozen)
        if self.gradient_checkpointing:
            self.model.activation_checkpointing_enable()

    @property
    def renderer(self) -> Renderer:
        """The renderer of the policy's own processor."""
        if self.processor is None:
            raise RuntimeError("The policy is not loaded yet: call configure_model() first.")
        return Renderer(self.processor, self.instruction)

    @contextmanager
    def inference(self) -> Iterator[Policy]:
        """Make the policy ready to sample outside ``training_step``: eval mode, no gradients, the run's precision."""
        self.configure_model()
        assert self.model is not None
        was_training = self.training
        self.eval()
        try:
            # no_grad, not inference_mode: tensors made here may be trained on later.
            with torch.no_grad(), precision_of(self)():
                yield Policy(self.model, self.renderer)
        finally:
            self.train(was_training)

    def part_loss(self, part: Inputs) -> Share:
        """The objective's loss on a part of the kept responses."""
        assert self.model is not None
        return self.objective.loss(self.model, part)

    def validation_step(self, batch: Evaluated, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Log the share of prompts whose greedy response is correct, as ``<split>/accuracy``."""
        correct = [group.rollouts[0].correct for group in batch.greedy]
        if correct:
            self.log(
                f"{batch.split}/accuracy",
                sum(correct) / len(correct),
                batch_size=len(correct),
                on_epoch=True,
                sync_dist=True,
                prog_bar=True,
                add_dataloader_idx=False,
            )

    test_step = validation_step

    def predict_step(self, batch: Any, batch_idx: int) -> Any:
        """Give back what the datamodule made of the policy's responses (step labels)."""
        return batch

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse the weights of another model before Lightning lists hundreds of names."""
        self.configure_model()
        require_same_model(self, checkpoint.get("state_dict", {}))

    def configure_optimizers(self) -> Any:
        """Build the optimizer over trainable parameters, and the schedule, stepped after every optimizer step."""
        optimizer = self.make_optimizer([p for p in self.parameters() if p.requires_grad])
        if self.make_schedule is None:
            return optimizer
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": self.make_schedule(optimizer), "interval": "step"},
        }

    def export(self, folder: Path, state: dict[str, Tensor]) -> None:
        """Write a checkpoint's policy as a folder that ``AutoModelForImageTextToText`` reads.

        Args:
            folder: Where to write weights (safetensors), processor and chat template.
            state: The module's ``state_dict``, from a checkpoint.
        """
        assert self.model is not None and self.processor is not None
        prefix = "model."
        weights = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
        self.model.save_pretrained(folder, state_dict=weights)
        self.processor.save_pretrained(folder)


def freeze(model: PreTrainedModel, what: Sequence[str]) -> None:
    """Stop training some parameters.

    Args:
        model: The policy's or a process reward's.
        what: Parts (``mstar.modules.families.PARTS``), each by its family's names, or beginnings of parameter names.

    Raises:
        ValueError: If an entry names no parameter.
    """
    names = [name for name, _ in model.named_parameters()]
    frozen: set[str] = set()
    for entry in what:
        part = next((part for part in PARTS if part == entry), None)
        found = parameters_of(model, part) if part else [name for name in names if name.startswith(entry)]
        if not found:
            tops = sorted({".".join(name.split(".")[:2]) for name in names})
            raise ValueError(f"model.frozen names {entry!r}, but no parameter begins so; try one of {[*PARTS, *tops]}.")
        frozen.update(found)
    for name, parameter in model.named_parameters():
        if name in frozen:
            parameter.requires_grad_(False)


def precision_of(module: LightningModule) -> Callable[[], Any]:
    """The forward context of the run's precision plugin, or a null context for a module without a trainer."""
    return module.trainer.precision_plugin.forward_context if module._trainer is not None else nullcontext
