"""Tiny vision-language models of the three shapes there are, random weights, with processors that need no torchvision.

LLaVA gives every image the same number of tokens, Idefics3 cuts it into tiles (more for a larger one), Qwen2.5-VL
takes patches of all images as one flat list and counts positions on three axes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import (
    GenerationConfig,
    Idefics3Config,
    Idefics3ForConditionalGeneration,
    Idefics3ImageProcessorPil,
    Idefics3Processor,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    ProcessorMixin,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2VLImageProcessorPil,
)

from mstar.demo.tiny import CHAT_TEMPLATE, IMAGE, build_tokenizer
from mstar.modules.processors import image_only
from mstar.types import Prompt
from tests.policies import backbone

Built = tuple[PreTrainedModel, ProcessorMixin]
TEXT = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
INIT = {"initializer_range": 0.08, "max_position_embeddings": 2048, "num_key_value_heads": 1}


def llava(seed: int = 0) -> Built:
    """The demo's shape: four image tokens a picture of 32 × 32 pixels."""
    made = backbone()
    made.seed = seed
    return made.load()


def idefics3(seed: int = 0) -> Built:
    """Tiles of 32 × 32 pixels, each four image tokens between markers of its row and column."""
    markers = [f"<row_{row}_col_{col}>" for row in range(1, 7) for col in range(1, 7)]
    tokenizer = _tokenizer("<fake_token_around_image>", "<end_of_utterance>", "<global-img>", *markers)
    images = Idefics3ImageProcessorPil(size={"longest_edge": 96}, max_image_size={"longest_edge": 32})
    processor = Idefics3Processor(images, tokenizer, image_seq_len=4, chat_template=CHAT_TEMPLATE)
    config: Any = Idefics3Config
    vision = {**TEXT, "image_size": 32, "patch_size": 8, "initializer_range": 0.08}
    made = config(
        text_config={"model_type": "llama", **TEXT, **INIT, **_ids(tokenizer)},
        vision_config=vision,
        scale_factor=2,
        image_token_id=tokenizer.convert_tokens_to_ids(IMAGE),
        pad_token_id=tokenizer.pad_token_id,
    )
    return _model(Idefics3ForConditionalGeneration, made, tokenizer, seed), processor


def qwen2_5_vl(seed: int = 0) -> Built:
    """An image token for 16 × 16 pixels, whatever the picture's size, and M-RoPE positions."""
    names = ("<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>")
    tokenizer = _tokenizer(*names)
    pad, video, start, end = tokenizer.convert_tokens_to_ids(list(names))
    images = Qwen2VLImageProcessorPil(patch_size=8, merge_size=2, min_pixels=16 * 16, max_pixels=96 * 96)
    template = CHAT_TEMPLATE.replace(IMAGE, "<|vision_start|><|image_pad|><|vision_end|>")
    processor = image_only(Qwen2_5_VLProcessor)(images, tokenizer, chat_template=template)
    config: Any = Qwen2_5_VLConfig
    made = config(
        text_config={
            **TEXT,
            **INIT,
            **_ids(tokenizer),
            "rope_parameters": {"rope_type": "default", "mrope_section": [2, 3, 3]},
        },
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_heads": 2,
            "patch_size": 8,
            "window_size": 32,
            "out_hidden_size": 32,
            "fullatt_block_indexes": [1],
            "initializer_range": 0.08,
        },
        image_token_id=pad,
        video_token_id=video,
        vision_start_token_id=start,
        vision_end_token_id=end,
    )
    return _model(Qwen2_5_VLForConditionalGeneration, made, tokenizer, seed), processor


ARCHITECTURES: dict[str, Callable[..., Built]] = {"llava": llava, "idefics3": idefics3, "qwen2_5_vl": qwen2_5_vl}
SIZES = {  # width × height of the pictures a prompt may have
    "llava": [(32, 32)],
    "idefics3": [(96, 64), (64, 64), (96, 24)],
    "qwen2_5_vl": [(32, 32), (64, 48), (80, 16)],
}


def prompts_for(name: str, num: int = 3) -> list[Prompt]:
    """Prompts with noise for pictures, of the sizes the architecture takes, and questions of different lengths."""
    made = []
    for index in range(num):
        width, height = SIZES[name][index % len(SIZES[name])]
        noise = np.random.default_rng(index).integers(0, 256, (height, width, 3), dtype=np.uint8)
        made.append(Prompt(f"{name}-{index}", "What is the sum" + " of these" * index + "?", (Image.fromarray(noise),)))
    return made


def _tokenizer(*special: str) -> PreTrainedTokenizerFast:
    tokenizer = build_tokenizer()
    tokenizer.add_tokens(list(special), special_tokens=True)
    return tokenizer


def _ids(tokenizer: PreTrainedTokenizerFast) -> dict[str, Any]:
    names = ("pad_token_id", "bos_token_id", "eos_token_id")
    return {"vocab_size": len(tokenizer), **{name: getattr(tokenizer, name) for name in names}}


def _model(cls: Any, config: Any, tokenizer: PreTrainedTokenizerFast, seed: int) -> PreTrainedModel:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: PreTrainedModel = cls(config)
    ids = _ids(tokenizer)
    model.generation_config = GenerationConfig(**{name: ids[name] for name in ids if name != "vocab_size"})
    return model.eval()
