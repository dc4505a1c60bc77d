"""Putting a whole checkpoint's weights and optimizer state back, also where a strategy has sharded them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.strategies import DeepSpeedStrategy, FSDPStrategy
from torch import nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.tensor import DTensor
from torch.optim import Optimizer

from mstar.checkpoints import require_same_model


def restore_weights(trainer: Trainer, module: LightningModule, checkpoint: Mapping[str, Any]) -> None:
    """Load the policy's weights in place; every rank calls this.

    Lightning's sharded strategies load weights only while a run is resumed: their ``load_model_state_dict`` does
    nothing, without a word. So sharded weights are set by torch's own functions.

    Raises:
        ValueError: If they are another model's, or under DeepSpeed, whose partitions only its own engine can load.
    """
    if isinstance(trainer.strategy, DeepSpeedStrategy):
        raise ValueError("Weights cannot be put back under DeepSpeed: set trainer.strategy to fsdp, ddp or auto.")
    require_same_model(module, checkpoint["state_dict"], module.strict_loading)
    if is_sharded(trainer, module):
        set_sharded_weights(trainer.strategy.model or module, checkpoint["state_dict"], module.strict_loading)
    else:
        trainer.strategy.load_model_state_dict(checkpoint, strict=module.strict_loading)


def restore_optimizers(trainer: Trainer, module: LightningModule, checkpoint: Mapping[str, Any]) -> None:
    """Load moments and settings of every optimizer; every rank calls this."""
    if not is_sharded(trainer, module):
        trainer.strategy.load_optimizer_state_dict(checkpoint)
        return
    for optimizer, state in zip(trainer.optimizers, checkpoint["optimizer_states"], strict=True):
        set_sharded_optimizer(trainer.strategy.model or module, optimizer, state)


def is_sharded(trainer: Trainer, module: nn.Module) -> bool:
    """Whether ranks hold parts of the weights."""
    return isinstance(trainer.strategy, FSDPStrategy) or any(isinstance(p, DTensor) for p in module.parameters())


def set_sharded_weights(model: nn.Module, state: dict[str, Any], strict: bool = True) -> None:
    """Give every rank its part of whole weights; a copy, for torch puts the parts into what it is given."""
    set_model_state_dict(model, dict(state), options=StateDictOptions(full_state_dict=True, strict=strict))


def set_sharded_optimizer(model: nn.Module, optimizer: Optimizer, state: Mapping[str, Any]) -> None:
    """Give every rank its part of a whole optimizer state, whose parameters may be numbered or named."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    order = [names[id(parameter)] for group in optimizer.param_groups for parameter in group["params"]]
    for own, group in zip(optimizer.param_groups, state["param_groups"], strict=True):
        own |= {name: value for name, value in group.items() if name != "params"}  # torch refuses what is new to it
    named: dict[str, Any] = {
        "state": {named_key(key, order): dict(value) for key, value in state["state"].items()},
        "param_groups": [
            {**group, "params": [named_key(key, order) for key in group["params"]]} for group in state["param_groups"]
        ],
    }
    set_optimizer_state_dict(model, optimizer, named, options=StateDictOptions(full_state_dict=True))


def named_key(key: int | str, order: list[str]) -> str:
    """The name of a parameter that an optimizer's state calls by its number.

    >>> named_key(1, ["a", "b"]), named_key("b", ["a", "b"])
    ('b', 'b')
    """
    return key if isinstance(key, str) else order[key]
