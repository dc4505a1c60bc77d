"""Models whose Python code comes with them: refused unless trusted, then given the face of transformers' own.

The code that is published with such models was written for the transformers of its day and may not run on ours; what
it runs can do anything the user can. ``mstar.modules.families.INSTEAD`` names what to take instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor
from transformers import CONFIG_MAPPING, PreTrainedConfig, PreTrainedModel, ProcessorMixin

from mstar.modules.families import FAMILIES, INSTEAD, LLAVA, family_of

CLASSES = ("AutoModelForImageTextToText", "AutoModelForCausalLM", "AutoModel")  # what auto_map may name, best first


def model_class(path: str, trusted: bool) -> Any:
    """The ``Auto`` class that opens a model.

    Args:
        path: Hub id or folder.
        trusted: Whether code that comes with the model may run.

    Raises:
        ValueError: If transformers does not know the model and its own code is not trusted, or has no class for text.
    """
    config, _ = PreTrainedConfig.get_config_dict(path)
    kind, named = config.get("model_type", ""), config.get("auto_map", {})
    native = kind in CONFIG_MAPPING
    if native or not named:
        return getattr(transformers, FAMILIES.get(kind, LLAVA).opened_by)
    if not trusted:
        instead = INSTEAD.get(kind, "Qwen/Qwen2.5-VL-3B-Instruct, OpenGVLab/InternVL3-2B-hf")
        raise ValueError(
            f"{path} is a {kind}, which transformers does not know: it brings Python code of its own, which is not run "
            f"unless you trust it. Read it, then add --model.init_args.backbone.init_args.trust_remote_code true; or "
            f"take a model that needs none: {instead}."
        )
    if (found := next((name for name in CLASSES if name in named), None)) is None:
        raise ValueError(f"{path}: auto_map of its config.json names none of {', '.join(CLASSES)}, only {[*named]}.")
    return getattr(transformers, found)


def is_remote(model: PreTrainedModel) -> bool:
    """Whether a model's code came with it, within adapters or without: what its attention does is then unknown."""
    return any(type(module).__module__.startswith("transformers_modules.") for module in model.modules())


def adapted(model: PreTrainedModel, processor: ProcessorMixin) -> Any:
    """The processor itself, or with the face of transformers' own if its family takes one text a call."""
    tag = family_of(model).image_tag
    return processor if tag is None else OneTextACall(processor, tag)


class OneTextACall:
    """What the renderer asks of a processor, by one that takes one text a call and numbers its images in it.

    So do Phi-3-vision's and Phi-3.5-vision's. Each prompt is processed alone; rows are left-padded, as are attention
    masks, and images stand one behind the other.

    Args:
        processor: The model's own.
        tag: What stands for an image in a message, ``{}`` for its number from 1.
    """

    def __init__(self, processor: Any, tag: str) -> None:
        self.processor, self.tag = processor, tag
        self.tokenizer: Any = processor.tokenizer

    def apply_chat_template(self, messages: Sequence[dict[str, Any]], **settings: Any) -> Any:
        """Write messages as text; their contents are lists of parts, as transformers' own templates take them."""
        number = 0
        plain = []
        for message in messages:
            content = ""
            for part in message["content"]:
                number += part["type"] == "image"
                content += self.tag.format(number) if part["type"] == "image" else part["text"]
            plain.append({"role": message["role"], "content": content})
        return self.tokenizer.apply_chat_template(plain, **settings)

    def __call__(self, text: Sequence[str], images: Sequence[Sequence[Any]] | None, **_: Any) -> dict[str, Tensor]:
        """Process prompts; how tokens are added and padded is not a setting here."""
        each = images or [()] * len(text)
        rows = [dict(self.processor(t, [*i] or None, return_tensors="pt")) for t, i in zip(text, each, strict=True)]
        width = max(row["input_ids"].shape[1] for row in rows)
        pads = {"input_ids": self.tokenizer.pad_token_id, "attention_mask": 0}
        return {
            name: torch.cat([_left(row[name], width, pads[name]) if name in pads else row[name] for row in having])
            for name in dict.fromkeys(name for row in rows for name in row)
            if (having := [row for row in rows if name in row])
        }

    def save_pretrained(self, folder: str | Path) -> None:
        """Save the model's own processor."""
        self.processor.save_pretrained(folder)


def _left(value: Tensor, width: int, pad: int) -> Tensor:
    return torch.nn.functional.pad(value, (width - value.shape[1], 0), value=pad)
