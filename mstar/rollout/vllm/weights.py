"""The policy as folders that vLLM reads: whole, or its LoRA adapter alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from torch import Tensor
from transformers import PreTrainedModel

from mstar.modules.policy import Policy
from mstar.rollout.fingerprint import held
from mstar.rollout.vllm.replica import LORA_RANKS


def save_weights(policy: Policy, folder: Path) -> None:
    """Write model and processor, adapters left out; of sharded weights what ``PolicyModule.inference`` has gathered.

    Raises:
        ValueError: If the weights are quantised: written back they would be others.
    """
    model: PreTrainedModel = cast(Any, policy.model).get_base_model() if adapted(policy) else policy.model
    if model.config.to_dict().get("quantization_config"):
        raise ValueError(
            "engine.base is not set, and the policy's weights are quantised, which cannot be handed over. Set "
            "engine.base to the folder or hub id they were loaded from (and engine.options.quantization to "
            "bitsandbytes to keep them small); the LoRA adapter goes over by itself."
        )
    model.save_pretrained(folder, state_dict=dict(_base_state(model)))
    policy.renderer.processor.save_pretrained(folder)


def save_adapter(policy: Policy, folder: Path) -> int:
    """Write the LoRA adapter; returns its rank.

    Raises:
        ValueError: If something else is trained too, which vLLM would not get, or the rank is too large.
    """
    model: Any = policy.model
    others = [
        n for n, p in model.named_parameters() if (p.requires_grad and "lora_" not in n) or "modules_to_save" in n
    ]
    if others:
        raise ValueError(
            f"Beside its LoRA adapter the policy trains {len(others)} other weights ({others[0]}, …), and vLLM takes "
            "adapters only. Freeze them (no modules_to_save), or sample with class_path mstar.rollout.NativeEngine."
        )
    rank = max(config.r for config in model.peft_config.values())
    if rank > LORA_RANKS[-1]:
        raise ValueError(f"The LoRA rank is {rank}; vLLM takes {LORA_RANKS[-1]} or less.")
    model.save_pretrained(folder, state_dict=held(model))
    return int(rank)


def adapted(policy: Policy) -> bool:
    """Whether the policy is a base model with a LoRA adapter."""
    from peft import PeftModel  # takes seconds to import, and everyone who samples imports this module

    return isinstance(policy.model, PeftModel)


def _base_state(model: PreTrainedModel) -> Iterator[tuple[str, Tensor]]:
    for name, value in held(model).items():
        if ".lora_" not in name:
            yield name.replace(".base_layer.", "."), value
