"""Models to measure on: stock transformers classes with random weights, and prompts and responses for them.

===== ========================================================= ======= ============
name  shape                                                     weights image tokens
===== ========================================================= ======= ============
tiny  LLaVA: SigLIP 4 × 128, Llama 4 × 256, 2,048 words             4 M           64
mid   LLaVA: SigLIP 6 × 256, Qwen2 8 × 384, 8,192 words            21 M          256
cut   small with 2 vision and 8 text layers                        79 M   64 a tile
small SmolVLM-256M: SigLIP-B/16 at 512, Llama 30 × 576, 49,280     228 M   64 a tile
===== ========================================================= ======= ============
"""

from __future__ import annotations

import random
from collections.abc import Sequence
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
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    ProcessorMixin,
    SiglipImageProcessorPil,
)

from mstar.demo.tiny import CHAT_TEMPLATE, IMAGE, build_tokenizer
from mstar.types import Prompt

Config = dict[str, Any]
SIDE = {"tiny": 128, "mid": 256, "cut": 512, "small": 512}  # pixels of a picture's side
VOCABULARY = {"tiny": 2048, "mid": 8192, "cut": 49280, "small": 49280}
VISION: dict[str, Config] = {
    "tiny": {"hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 4, "num_attention_heads": 4},
    "mid": {"hidden_size": 256, "intermediate_size": 1024, "num_hidden_layers": 6, "num_attention_heads": 4},
    "cut": {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 2, "num_attention_heads": 12},
    "small": {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12},
}
SMOL = {"hidden_size": 576, "intermediate_size": 1536, "num_attention_heads": 9, "num_key_value_heads": 3}
TEXT: dict[str, Config] = {
    "tiny": {
        "model_type": "llama",
        "hidden_size": 256,
        "intermediate_size": 688,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
    },
    "mid": {
        "model_type": "qwen2",
        "hidden_size": 384,
        "intermediate_size": 1024,
        "num_hidden_layers": 8,
        "num_attention_heads": 6,
        "num_key_value_heads": 2,
    },
    "cut": {"model_type": "llama", "num_hidden_layers": 8, **SMOL},
    "small": {"model_type": "llama", "num_hidden_layers": 30, **SMOL},
}
PATCH = 16


class Sized:
    """A backbone of one of the sizes, random weights, fp32 on the CPU.

    Args:
        name: ``tiny``, ``mid``, ``cut`` or ``small``.
        seed: Draws the weights.
    """

    def __init__(self, name: str, seed: int = 0) -> None:
        self.name = name
        self.seed = seed

    def load(self) -> tuple[PreTrainedModel, ProcessorMixin]:
        """Build model and processor."""
        build = _llava if self.name in ("tiny", "mid") else _idefics3
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            model, processor = build(self.name)
        ids = {k: v for k, v in _ids(self.name, processor.tokenizer).items() if k != "vocab_size"}
        model.generation_config = GenerationConfig(**ids)
        return model.eval(), processor


def prompts(name: str, num: int, words: int = 60) -> list[Prompt]:
    """Prompts with one picture of noise each and questions of about ``words`` tokens."""
    side, made = SIDE[name], []
    for index in range(num):
        noise = np.random.default_rng(index).integers(0, 256, (side, side, 3), dtype=np.uint8)
        made.append(Prompt(f"{name}-{index}", digits(words - 3, index), (Image.fromarray(noise),)))
    return made


def lengths(num: int, seed: int, longest: int = 200) -> list[int]:
    """Lengths of responses in tokens: lognormal, median 53, mean 66, clipped to [10, ``longest``]."""
    drawn = np.random.default_rng(seed).lognormal(np.log(53), 0.662, num)
    return [int(n) for n in np.clip(drawn, 10, longest)]


def responses(name: str, sizes: Sequence[int], seed: int) -> list[tuple[int, ...]]:
    """Tokens of responses, drawn from the whole vocabulary but its special tokens."""
    draw = np.random.default_rng(seed)
    return [tuple(draw.integers(64, VOCABULARY[name], size).tolist()) for size in sizes]


def digits(count: int, seed: int) -> str:
    """A text of ``count`` digits, each one token."""
    return "".join(random.Random(seed).choices("0123456789", k=count))


def steps(size: int, seed: int) -> str:
    """A response of about ``size`` tokens in five or six steps (fewer if it is short), blank lines between."""
    count = min(5 + seed % 2, max(1, size // 5))
    each = size // count
    return "\n\n".join(digits(max(1, each - 1), 100 * seed + step) for step in range(count))


def _ids(name: str, tokenizer: PreTrainedTokenizerFast) -> Config:
    ids = {key: getattr(tokenizer, key) for key in ("pad_token_id", "bos_token_id", "eos_token_id")}
    return {"vocab_size": VOCABULARY[name], **ids}


def _text(name: str, tokenizer: PreTrainedTokenizerFast) -> Config:
    return {"max_position_embeddings": 8192, "tie_word_embeddings": True, **TEXT[name], **_ids(name, tokenizer)}


def _llava(name: str) -> tuple[PreTrainedModel, ProcessorMixin]:
    tokenizer = build_tokenizer()
    tokenizer.model_max_length = 8192
    side = SIDE[name]
    images = SiglipImageProcessorPil(size={"height": side, "width": side})
    processor = LlavaProcessor(
        images,
        tokenizer,
        patch_size=PATCH,
        vision_feature_select_strategy="full",
        chat_template=CHAT_TEMPLATE,
        image_token=IMAGE,
    )
    config: Any = LlavaConfig
    made = config(
        vision_config={
            "model_type": "siglip_vision_model",
            "image_size": side,
            "patch_size": PATCH,
            "vision_use_head": False,
            **VISION[name],
        },
        text_config=_text(name, tokenizer),
        image_token_index=tokenizer.convert_tokens_to_ids(IMAGE),
        image_seq_length=(side // PATCH) ** 2,
        vision_feature_select_strategy="full",
        vision_feature_layer=-1,
        tie_word_embeddings=True,
    )
    return LlavaForConditionalGeneration(made), processor


def _idefics3(name: str) -> tuple[PreTrainedModel, ProcessorMixin]:
    tokenizer = build_tokenizer()
    tokenizer.model_max_length = 8192
    markers = [f"<row_{row}_col_{col}>" for row in range(1, 7) for col in range(1, 7)]
    tokenizer.add_tokens(["<fake_token_around_image>", "<global-img>", *markers], special_tokens=True)
    side = SIDE[name]
    images = Idefics3ImageProcessorPil(size={"longest_edge": side}, max_image_size={"longest_edge": side})
    processor = Idefics3Processor(images, tokenizer, image_seq_len=64, chat_template=CHAT_TEMPLATE)
    config: Any = Idefics3Config
    made = config(
        vision_config={"image_size": side, "patch_size": PATCH, **VISION[name]},
        text_config=_text(name, tokenizer),
        scale_factor=4,
        image_token_id=tokenizer.convert_tokens_to_ids(IMAGE),
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=True,
    )
    return Idefics3ForConditionalGeneration(made), processor
