"""Families of vision-language models: what is special about each. Everything else is asked of the model itself.

A family that is not listed here is taken to be built like LLaVA, as most are. ``docs/add-a-model.md`` says what to do
where that does not hold; ``tests/conformance`` holds every line of this file to what transformers has.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

from transformers import PreTrainedModel

Part = Literal["vision_tower", "projector", "language_model"]
PARTS: tuple[Part, ...] = get_args(Part)


@dataclass(frozen=True)
class Family:
    """What is special about a family. Names of modules are paths that stand anywhere in a parameter's name."""

    vision_tower: tuple[str, ...] = ("vision_tower",)
    """Modules that turn pixels into features."""
    projector: tuple[str, ...] = ("multi_modal_projector",)
    """Modules and parameters between the two. Parts may stand in one another: the longest path decides."""
    language_model: tuple[str, ...] = ("language_model", "lm_head")
    """Modules that read and write tokens."""
    placeholders: tuple[str, ...] = ()
    """Entries of the config, beside the usual ones, that hold ids of tokens whose embedding an image replaces."""
    sees_ahead: bool = False
    """Whether a prompt's tokens see those behind them (in an image, or in all of the prompt)."""
    needs_image: bool = False
    """Whether its processor refuses a prompt without an image."""
    image_only: str | None = None
    """Processor that reads images alike and can be made without torchvision, where the family's own cannot."""
    image_tag: str | None = None
    """What stands for image ``{}`` in a message, where the processor takes one text a call and messages are strings."""
    opened_by: str = "AutoModelForImageTextToText"
    """The ``Auto`` class that knows the family."""


LLAVA = Family()
ANYRES = Family(projector=("multi_modal_projector", "image_newline"))
QWEN = Family(vision_tower=("visual",), projector=("visual.merger", "visual.deepstack_merger_list"))
IDEFICS = Family(("vision_model",), ("connector",), ("text_model", "lm_head"))

FAMILIES: dict[str, Family] = {  # by the config's model_type
    "qwen2_vl": QWEN,
    "qwen2_5_vl": QWEN,
    "qwen3_vl": QWEN,
    "qwen3_5": QWEN,
    "internvl": LLAVA,
    "smolvlm": replace(IDEFICS, image_only="Idefics3Processor"),
    "idefics3": IDEFICS,
    "idefics2": IDEFICS,
    "llava": LLAVA,
    "llava_next": ANYRES,
    "llava_onevision": ANYRES,
    "vipllava": LLAVA,
    "gemma3": Family(sees_ahead=True),
    "gemma4": Family(projector=("embed_vision",), sees_ahead=True),
    "paligemma": Family(sees_ahead=True, needs_image=True),
    "minicpmv4_6": Family(projector=("merger",)),
    "glm4v": QWEN,
    "glm46v": QWEN,
    "aya_vision": LLAVA,
    "ovis2": Family(projector=("visual_embeddings_table",), placeholders=("visual_indicator_token_ids",)),
    "deepseek_vl": Family(("vision_model",), ("aligner",)),
    "video_llama_3": Family(("vision_model",), ("projector",)),
    "paddleocr_vl": Family(("visual",), ("projector",)),
    "exaone4_5": QWEN,
    "phi4_multimodal": Family(
        ("image_embed.img_processor", "audio_embed.encoder"),
        ("image_embed", "audio_embed"),
        ("embed_tokens", "layers", "norm", "lm_head"),
        opened_by="AutoModelForMultimodalLM",
    ),
    "mistral3": LLAVA,
    "llama4": Family(("vision_model",)),
    "cohere2_vision": LLAVA,
    "lfm2_vl": LLAVA,
}

REMOTE: dict[str, Family] = {  # families whose code comes with the model
    "phi3_v": Family(
        ("vision_embed_tokens.img_processor",),
        ("vision_embed_tokens",),
        ("embed_tokens", "layers", "norm", "lm_head"),
        image_tag="<|image_{}|>\n",
    ),
}

INSTEAD: dict[str, str] = {  # models with code of their own, and what transformers has in their place
    "minicpmv": "openbmb/MiniCPM-V-4.6 (needs torchvision), Qwen/Qwen2.5-VL-7B-Instruct",
    "phi3_v": "microsoft/Phi-4-multimodal-instruct (needs torchvision), Qwen/Qwen2.5-VL-3B-Instruct",
    "internvl_chat": "OpenGVLab/InternVL3-2B-hf, or another InternVL folder whose name ends in -hf",
}

RESPONSE_TYPES: dict[str, int] = {  # by processor class: ``token_type_ids`` of a response's tokens, where not 0
    "PaliGemmaProcessor": 1,  # 0 is the prompt, whose tokens see all of one another: a response would see its end
}

VIDEO_SETTINGS: dict[str, dict[str, object]] = {  # by processor class: what it reads of its video processor at once
    "MiniCPMV4_6Processor": {"slice_mode": True, "downsample_mode": "16x"},
}

JOINED_ALONG: dict[str, dict[str, int]] = {  # by processor class: the axis along which images' inputs are joined
    "MiniCPMV4_6Processor": {"pixel_values": 3},  # (1, channels, patch size, all images' patches × patch size)
}

PLACEHOLDERS = ("image_token_id", "image_token_index", "video_token_id", "video_token_index", "audio_token_id")


def family_of(model: PreTrainedModel) -> Family:
    """The family of a model, by its config's ``model_type``."""
    return {**FAMILIES, **REMOTE}.get(model.config.model_type, LLAVA)


def placeholders(model: PreTrainedModel) -> list[int]:
    """Ids of tokens that images, videos and sounds stand for, which must never be sampled."""
    config = model.config.to_dict()
    within = [each for each in config.values() if isinstance(each, dict)]  # Phi-4 has them in the towers' configs
    found = [each.get(name) for each in (config, *within) for name in (*PLACEHOLDERS, *family_of(model).placeholders)]
    return sorted({i for each in found for i in (each if isinstance(each, list | tuple) else [each]) if i is not None})


def part_of(family: Family, name: str) -> Part | None:
    """The part that a parameter or module belongs to, by its name; of parts within parts the inner one.

    >>> part_of(QWEN, "model.visual.merger.mlp.0.weight"), part_of(QWEN, "model.visual.blocks.0.norm1.weight")
    ('projector', 'vision_tower')
    """
    within = f".{name}."
    paths = {path: part for part in PARTS for path in getattr(family, part) if f".{path}." in within}
    return paths[max(paths, key=len)] if paths else None


def parameters_of(model: PreTrainedModel, part: Part) -> list[str]:
    """Names of a part's parameters.

    Raises:
        ValueError: If there are none: the family's modules have other names.
    """
    family = family_of(model)
    found = [name for name, _ in model.named_parameters() if part_of(family, name) == part]
    if not found:
        tops = sorted({".".join(name.split(".")[:2]) for name, _ in model.named_parameters()})
        raise ValueError(
            f"{model.config.model_type} has no {part} under the name {' or '.join(getattr(family, part))}; its "
            f"parameters begin with {tops}. Give these beginnings instead, or add the family to "
            f"mstar/modules/families.py."
        )
    return found
