"""A tiny language model without pictures as a policy: what vLLM's CPU build can run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

from mstar.demo.tiny import CHAT_TEMPLATE, IMAGE, build_tokenizer
from mstar.modules.policy import Policy
from mstar.modules.renderer import Renderer
from mstar.types import Prompt


class TextProcessor:
    """What the renderer asks of a processor, for text."""

    def __init__(self) -> None:
        self.tokenizer: Any = build_tokenizer()
        self.tokenizer.chat_template = CHAT_TEMPLATE

    def apply_chat_template(self, messages: Any, **kwargs: Any) -> Any:
        return self.tokenizer.apply_chat_template(messages, **kwargs)

    def __call__(self, text: Sequence[str], images: None, **kwargs: Any) -> Any:
        return self.tokenizer(text, return_token_type_ids=False, **kwargs)

    def save_pretrained(self, folder: Path) -> None:
        self.tokenizer.save_pretrained(folder)


def text_policy(tied: bool = False, seed: int = 0) -> Policy:
    """Two layers, random weights large enough that greedy tokens are not near-ties; fp32."""
    processor: Any = TextProcessor()
    tokenizer = processor.tokenizer
    ids = {name: getattr(tokenizer, name) for name in ("pad_token_id", "bos_token_id", "eos_token_id")}
    config: Any = LlamaConfig
    made = config(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=512,
        initializer_range=0.3,
        tie_word_embeddings=tied,
        **ids,
    )
    made.image_token_id = tokenizer.convert_tokens_to_ids(IMAGE)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: Any = LlamaForCausalLM(made)
    with torch.no_grad():  # the placeholder would often be the most likely token, were it not banned
        model.lm_head.weight[made.image_token_id] *= 5
    model.generation_config = GenerationConfig(**ids)
    return Policy(model.eval(), Renderer(processor))


def questions(num: int) -> list[Prompt]:
    """Prompts of different lengths."""
    return [Prompt(f"q{i}", "What is the sum" + " of these" * i + "?") for i in range(num)]


def train(policy: Policy, seed: int, size: float = 0.1) -> None:
    """Change every trainable weight a little."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in policy.model.parameters():
            if parameter.requires_grad:
                parameter += size * torch.randn(parameter.shape, generator=generator)
