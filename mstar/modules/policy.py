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
from lightning.pytorch.strategies import DeepSpeedStrategy, FSDPStrategy
from torch import Tensor, nn
from transformers import PreTrainedModel, ProcessorMixin

from mstar.checkpoints import require_same_model, trained
from mstar.evaluation import Evaluated
from mstar.modules.adapter import Lora, quantized
from mstar.modules.backbone import Backbone
from mstar.modules.families import PARTS, parameters_of
from mstar.modules.parts import PartsModule, Share
from mstar.modules.renderer import Inputs, Renderer
from mstar.modules.sharding import shard, whole
from mstar.modules.towers import blocks
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
        adapter: Trained instead of the backbone's own weights, which are frozen; checkpoints then hold the adapter
            alone. ``None`` trains the backbone.
        compile: Backend of ``torch.compile`` for the towers' blocks, normally ``inductor``; ``None`` does not compile.
            Training alone is compiled: in sampling, shapes change with every token.
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
        adapter: Lora | None = None,
        compile: str | None = None,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.objective = objective or SFT()
        self.make_optimizer = optimizer
        self.make_schedule = lr_scheduler
        self.instruction = instruction
        self.frozen = tuple(frozen)
        self.gradient_checkpointing = gradient_checkpointing
        self.adapter = adapter
        self.compile_backend = compile
        self.strict_loading = adapter is None
        self.model: PreTrainedModel | None = None
        self.processor: ProcessorMixin | None = None

    def configure_model(self) -> None:
        """Load the backbone, and cut it up where the strategy shards; Lightning calls this more than once.

        Raises:
            ValueError: If the strategy is one under which a policy cannot be sampled from.
        """
        if self.model is not None:
            return
        base, self.processor = self.backbone.load()
        base.train()  # from_pretrained gives eval mode
        freeze(base, self.frozen)
        if self.gradient_checkpointing:
            base.activation_checkpointing_enable()
        self.model = base if self.adapter is None else self.adapter.apply(base)
        if self.compile_backend is not None:
            for _, _, block in blocks(base):
                block.compile(backend=self.compile_backend, dynamic=True)
        self._distribute(base)

    def _distribute(self, base: PreTrainedModel) -> None:
        assert self.model is not None
        if self._trainer is None:
            return
        strategy = self.trainer.strategy
        if isinstance(strategy, DeepSpeedStrategy) and strategy.zero_stage_3:
            raise ValueError(
                "trainer.strategy is DeepSpeed with ZeRO stage 3, under which sampling would gather every layer for "
                "every token: set it to deepspeed_stage_2, or to fsdp2, which gathers once an iteration."
            )
        if isinstance(strategy, FSDPStrategy):
            raise ValueError(
                "trainer.strategy is FSDP1 (Lightning's FSDPStrategy), whose flattened weights cannot be sampled from "
                "outside of training: set it to fsdp2, or to fsdp, which is the same here."
            )
        if self._device_mesh is not None:
            shard(self.model, base, self._device_mesh)

    @property
    def renderer(self) -> Renderer:
        """The renderer of the policy's own processor."""
        if self.processor is None:
            raise RuntimeError("The policy is not loaded yet: call configure_model() first.")
        return Renderer(self.processor, self.instruction)

    @contextmanager
    def inference(self) -> Iterator[Policy]:
        """Make the policy ready to sample outside ``training_step``: eval mode, no gradients, the run's precision.

        Sharded weights are gathered once, so all ranks enter it; inside they need not do the same.
        """
        self.configure_model()
        assert self.model is not None
        was_training = self.training
        self.eval()
        try:
            # no_grad, not inference_mode: tensors made here may be trained on later.
            with torch.no_grad(), precision_of(self)(), whole(self.model), self._uncompiled():
                yield Policy(self.model, self.renderer)
        finally:
            self.train(was_training)

    def _uncompiled(self) -> Any:
        """Leave compiled code aside, if there is any."""
        return torch.compiler.set_stance("force_eager") if self.compile_backend is not None else nullcontext()

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
        if "state_dict" in checkpoint:  # FSDP2's strategy has taken it out and loaded it, as strictly
            require_same_model(self, checkpoint["state_dict"], self.strict_loading)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Leave frozen weights out where an adapter is trained."""
        if not self.strict_loading:
            checkpoint["state_dict"] = trained(self, checkpoint["state_dict"])

    def configure_optimizers(self) -> Any:
        """Build the optimizer over trainable parameters, and the schedule, stepped after every optimizer step.

        Raises:
            ValueError: If nothing can be trained, or only what 4-bit weights leave.
        """
        optimizer = self.make_optimizer(learnable(self, self.model, self.adapter is not None))
        if self.make_schedule is None:
            return optimizer
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": self.make_schedule(optimizer), "interval": "step"},
        }

    def export(self, folder: Path, state: dict[str, Tensor], merge: bool = True) -> None:
        """Write a checkpoint's policy as a folder that ``AutoModelForImageTextToText`` reads.

        Args:
            folder: Where to write weights (safetensors), processor and chat template.
            state: The module's ``state_dict``, from a checkpoint.
            merge: Write whole weights where an adapter was trained, else the adapter alone, which names its base.

        Raises:
            ValueError: If the adapter is to be written alone and its base was not read from anywhere.
        """
        assert self.model is not None and self.processor is not None
        prefix = "model."
        weights = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
        if self.adapter is None:
            self.model.save_pretrained(folder, state_dict=weights)
        elif merge:
            self.adapter.merged(self.backbone.load()[0], weights).save_pretrained(folder)
        else:
            self.adapter.save(self.model, weights, folder, self.backbone.path)
            if self.model.generation_config is not None:
                self.model.generation_config.save_pretrained(folder)
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


def learnable(module: nn.Module, model: PreTrainedModel | None, adapter: bool) -> list[nn.Parameter]:
    """The parameters to train.

    Args:
        module: Whose.
        model: The backbone within.
        adapter: Whether an adapter is trained beside it.

    Raises:
        ValueError: If there are none, or the backbone is in 4 bits and what is left of it would be trained.
    """
    assert model is not None
    found = [parameter for parameter in module.parameters() if parameter.requires_grad]
    if quantized(model) and not adapter and any(parameter.requires_grad for parameter in model.parameters()):
        raise ValueError(
            "model.backbone.quantization is set and model.adapter is not: weights in 4 bits are never trained, and "
            "what is left beside them alone would be. Add -c configs/strategy/qlora.yaml, or set quantization to null."
        )
    if not found:
        raise ValueError(
            "No weight is left to train: shorten model.frozen; or, if model.backbone.path is an adapter's folder, "
            "merge it (mstar export RUN --out DIR --merge) and give DIR instead."
        )
    return found


def precision_of(module: LightningModule) -> Callable[[], Any]:
    """The forward context of the run's precision plugin, or a null context for a module without a trainer."""
    return module.trainer.precision_plugin.forward_context if module._trainer is not None else nullcontext
