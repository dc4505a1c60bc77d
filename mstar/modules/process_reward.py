"""The process reward model: the policy's backbone with a head that scores each step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits
from transformers import PreTrainedModel, ProcessorMixin

from mstar.checkpoints import require_same_model
from mstar.files import read_json, write_json
from mstar.modules.backbone import Backbone, PretrainedBackbone
from mstar.modules.families import placeholders
from mstar.modules.logprobs import on_device
from mstar.modules.packing import pack, ragged
from mstar.modules.parts import PartsModule, Share
from mstar.modules.policy import adamw, freeze, learnable
from mstar.modules.renderer import Inputs, Renderer, vocabulary_digest
from mstar.modules.step_heads import HEADS, ScalarHead, StepHead
from mstar.modules.tree import shares
from mstar.step_metrics import ScoredResponse, measure_by_kind
from mstar.steps import step_ends
from mstar.types import Prompt

HEAD, SETTINGS = "process_head.safetensors", "process_reward.json"
NO_STEP = -1.0


class Labelled(NamedTuple):
    """A batch that validates: its parts, and of each response, by its number, the prompt's id and kind."""

    parts: list[Inputs]
    prompts: tuple[str, ...]
    kinds: tuple[str, ...]


class ProcessRewardModule(PartsModule):
    """Trains step rewards on Monte-Carlo labels (Math-Shepherd, 2312.08935; the paper's own head is not stated).

    Args:
        backbone: Where the model comes from: normally the warm-up policy's folder.
        head: Reads one logit a step off the backbone; ``None`` is ``ScalarHead``.
        separator: What separates steps.
        instruction: Said after every question; that of the policy whose responses are scored.
        hard_labels: Train on 1 if any completion was correct (Math-Shepherd's hard estimation, the default the paper
            leaves open); otherwise on the share of correct completions.
        optimizer: Given the trainable parameters, returns the optimizer.
        lr_scheduler: Given the optimizer, returns a schedule stepped after every optimizer step; ``None``: constant.
        frozen: What is not trained: ``vision_tower``, ``projector``, ``language_model``, or beginnings of names.
        llm_only: Train the language model and the head alone: neither the vision tower nor what joins the two. The
            paper does not say what it trains; the name of its authors' checkpoint (``onlyllm``) suggests this.
        threshold: Reward from which validation takes a step to be said right, in [0, 1].
    """

    def __init__(
        self,
        backbone: Backbone,
        head: StepHead | None = None,
        separator: str = "\n\n",
        instruction: str = "",
        hard_labels: bool = False,
        optimizer: OptimizerCallable = adamw,
        lr_scheduler: LRSchedulerCallable | None = None,
        frozen: Sequence[str] = (),
        llm_only: bool = False,
        threshold: float = 0.5,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.separator = separator
        self.instruction = instruction
        self.hard_labels = hard_labels
        self.make_optimizer = optimizer
        self.make_schedule = lr_scheduler
        self.frozen = tuple(frozen)
        self.model: PreTrainedModel | None = None
        self.processor: ProcessorMixin | None = None
        self.head = head or ScalarHead()
        self.llm_only = llm_only
        self.threshold = threshold
        self.scored: list[ScoredResponse] = []

    def configure_model(self) -> None:
        """Load the backbone and fit the head to it.

        Raises:
            ValueError: If the strategy shards what is cut up here, for nothing is: ranks would each train alone.
        """
        if self.model is not None:
            return
        if self._device_mesh is not None:
            raise ValueError("trainer.strategy is FSDP2, by which process reward models are not cut up: set it to ddp.")
        self.model, self.processor = self.backbone.load()
        self.model.train()  # from_pretrained gives eval mode
        freeze(self.model, self.frozen)
        if self.llm_only:
            freeze_outside_decoder(self.model)
        self.head.build(self.model)

    @property
    def renderer(self) -> Renderer:
        """The renderer of the model's own processor."""
        if self.processor is None:
            raise RuntimeError("The process reward model is not loaded yet: call configure_model() first.")
        return Renderer(self.processor, self.instruction)

    @property
    def can_share(self) -> bool:
        """Whether responses of a prompt can stand in one row."""
        assert self.model is not None
        return shares(self.model)

    def parts(
        self, prompts: Sequence[Prompt], texts: Sequence[str], token_budget: int, share: bool
    ) -> Iterator[Inputs]:
        """Parts of ``pack`` with ``steps`` ``(R, S)``: which token is a step's last one, from 0; -1 for none.

        Prompts and responses are written as this model's own template and tokenizer have them, whatever family the
        policy is of.

        Raises:
            ValueError: If a question cannot be shown to this model.
        """
        self._require_shown(prompts)
        found = [self.renderer.step_ends(text, step_ends(text, self.separator)) for text in texts]
        nothing = (self.renderer.tokenizer.eos_token_id,)  # stands for a response without text
        pairs = [(prompt, tokens or nothing) for prompt, (tokens, _) in zip(prompts, found, strict=True)]
        for part in pack(self.renderer, pairs, token_budget, share):
            ends = [found[number][1] for number in part["index"].tolist()]
            yield {**part, "steps": ragged(ends, -1)}

    def _require_shown(self, prompts: Sequence[Prompt]) -> None:
        assert self.model is not None
        tokenizer = self.renderer.tokenizer
        names = tokenizer.convert_ids_to_tokens(placeholders(self.model))
        for prompt in prompts:
            if found := next((name for name in names if name in prompt.question), None):
                raise ValueError(
                    f"The question of prompt {prompt.id!r} holds {found!r}, which stands for an image's pixels to the "
                    f"process reward model, a {self.model.config.model_type}. Take it out of the question: images are "
                    f"shown before it."
                )

    def forward(self, batch: Inputs) -> Tensor:
        """Logits ``(R, S)`` of each step being right; positions without a step hold nonsense."""
        assert self.model is not None
        logits: Tensor = self.head(self.model, batch)
        return logits

    @torch.no_grad()
    def score_steps(
        self, prompts: Sequence[Prompt], texts: Sequence[str], token_budget: int = 8192
    ) -> list[tuple[float, ...]]:
        """Step rewards in [0, 1] of each response; an empty tuple for one without steps.

        Args:
            prompts: One a response; those with the same id are encoded once.
            texts: The responses.
            token_budget: Tokens a forward pass, padding included.
        """
        self.configure_model()
        assert self.model is not None
        was_training = self.training
        self.eval()
        scores: list[tuple[float, ...]] = [()] * len(texts)
        try:
            for part in self.parts(prompts, texts, token_budget, self.can_share):
                chances = torch.sigmoid(self(on_device(self.model, part)))
                for number, row, steps in zip(part["index"].tolist(), chances, part["steps"], strict=True):
                    scores[number] = tuple(row[steps.to(row.device) >= 0].tolist())
        finally:
            self.train(was_training)
        return scores

    def part_loss(self, part: Inputs) -> Share:
        """Binary cross-entropy averaged over the batch's steps."""
        return self._loss(part, self(part)), {}

    def on_validation_epoch_start(self) -> None:
        """Forget the last measurement."""
        self.scored = []

    def validation_step(self, batch: Labelled, batch_idx: int) -> None:
        """Log the loss, and keep what is measured over all responses."""
        losses = []
        for part in batch.parts:
            logits = self(part)
            losses.append(self._loss(part, logits))
            for number, row, labels in zip(part["index"].tolist(), logits, part["step_labels"], strict=True):
                self.scored.append(self._scored(batch, number, torch.sigmoid(row.float()), labels))
        size = int(batch.parts[0]["num_steps"])
        self.log("val/loss", torch.stack(losses).sum(), prog_bar=True, on_epoch=True, batch_size=size, sync_dist=True)

    def on_validation_epoch_end(self) -> None:
        """Log AUC, calibration error and accuracy at the threshold, in all, within prompts, and by kind of prompt."""
        measures = measure_by_kind(everyones(self.scored), self.threshold)
        self.log_dict({f"val/{name}": value for name, value in measures.items()}, sync_dist=True)

    def _scored(self, batch: Labelled, number: int, chances: Tensor, labels: Tensor) -> ScoredResponse:
        real = labels != NO_STEP
        right = labels[real] > 0 if self.hard_labels else labels[real] >= 0.5
        return ScoredResponse(
            batch.prompts[number], batch.kinds[number], tuple(chances[real].tolist()), tuple(right.tolist())
        )

    def _loss(self, part: Inputs, logits: Tensor) -> Tensor:
        real = part["step_labels"] != NO_STEP
        labels = part["step_labels"][real]
        labels = (labels > 0).float() if self.hard_labels else labels
        loss = binary_cross_entropy_with_logits(logits[real], labels, reduction="sum")
        return loss / part["num_steps"].clamp(min=1)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse the weights of another model before Lightning lists hundreds of names."""
        self.configure_model()
        require_same_model(self, checkpoint.get("state_dict", {}))

    def configure_optimizers(self) -> Any:
        """Build the optimizer over trainable parameters, and the schedule, stepped after every optimizer step."""
        optimizer = self.make_optimizer(learnable(self, self.model, adapter=False))
        if self.make_schedule is None:
            return optimizer
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": self.make_schedule(optimizer), "interval": "step"},
        }

    def export(self, folder: Path, state: dict[str, Tensor]) -> None:
        """Write a checkpoint's model as a folder that ``from_pretrained`` reads."""
        assert self.model is not None and self.processor is not None
        weights = {k.removeprefix("model."): v for k, v in state.items() if k.startswith("model.")}
        self.model.save_pretrained(folder, state_dict=weights)
        self.processor.save_pretrained(folder)
        head = {k.removeprefix("head."): v.contiguous() for k, v in state.items() if k.startswith("head.")}
        save_file(head, folder / HEAD)
        write_json(
            folder / SETTINGS,
            {
                "head": type(self.head).__name__,
                "separator": self.separator,
                "instruction": self.instruction,
                "tokenizer": vocabulary_digest(self.processor),
            },
        )

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> ProcessRewardModule:
        """Read what ``export`` wrote.

        Raises:
            FileNotFoundError: If the folder holds no process reward model.
            ValueError: If its tokenizer is not the one the model was trained with.
        """
        folder = Path(folder)
        if not (folder / HEAD).is_file():
            raise FileNotFoundError(
                f"{folder} holds no process reward model ({HEAD} is missing). Train one first: mstar fit with "
                f"model: mstar.modules.process_reward.ProcessRewardModule, and give its run's model folder."
            )
        settings = read_json(folder / SETTINGS)
        head = HEADS[settings["head"]]()
        module = cls(PretrainedBackbone(str(folder)), head, settings["separator"], settings["instruction"])
        module.configure_model()
        assert module.processor is not None
        found = vocabulary_digest(module.processor)
        if found != settings.get("tokenizer", found):
            raise ValueError(
                f"{folder} holds another tokenizer than its model was trained with: its steps would end at wrong "
                f"tokens. Restore tokenizer.json from the run that made it, or train it again."
            )
        module.head.load_state_dict(load_file(folder / HEAD))
        return module.eval()


def freeze_outside_decoder(model: PreTrainedModel) -> None:
    """Stop training all but the language model's own layers; weights it shares with the output layer are its own."""
    inside = {id(parameter) for parameter in model.get_decoder().parameters()}
    for parameter in model.parameters():
        if id(parameter) not in inside:
            parameter.requires_grad_(False)


def everyones(scored: list[ScoredResponse]) -> list[ScoredResponse]:
    """What all ranks have scored, ordered by prompt."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return scored
    parts: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(parts, scored)
    return sorted((response for part in parts for response in part), key=lambda response: response.prompt_id)
