"""A vision-language model of under a million weights, from stock transformers classes: nothing is downloaded.

SigLIP vision (one token a cell of the scene), Llama text, and a byte-level BPE learnt from the demo's few sentences.
Saved, it is an ordinary folder that ``AutoModelForImageTextToText`` and ``AutoProcessor`` open.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    CLIPImageProcessorPil,
    GenerationConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    ProcessorMixin,
    SiglipVisionConfig,
)

from mstar.demo.scenes import CELL, SIDE, SPLITS, describe
from mstar.types import PromptSource

PAD, BOS, EOS, IMAGE, USER, ASSISTANT = "<pad>", "<s>", "</s>", "<image>", "<user>", "<assistant>"
SPECIAL = (PAD, BOS, EOS, IMAGE, USER, ASSISTANT)
MAX_POSITIONS = 512
"""Longest sequence, in tokens; a scene with its response takes about 50."""

CHAT_TEMPLATE = """\
{{ bos_token }}
{%- for message in messages %}
    {{- '<' + message.role + '>' }}
    {%- if message.content is string %}
        {{- message.content }}
    {%- else %}
        {%- for part in message.content %}
            {{- '<image>' if part.type == 'image' else part.text }}
        {%- endfor %}
    {%- endif %}
    {%- if message.role == 'assistant' %}
        {{- eos_token }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<assistant>' }}
{%- endif %}"""


class TinyLlava:
    """The demo's backbone, with random weights; the base stage trains it on printed digits.

    Args:
        seed: Draws the weights.
        hidden_size: Width of both towers.
        num_layers: Layers of the text tower.
        mlp_size: Inner width of the text tower's MLPs.
        num_heads: Attention heads of both towers.
        num_kv_heads: Key-value heads of the text tower; with one, reckoning is learnt far more slowly (measured).
        vision_layers: Layers of the vision tower.
        vision_mlp_size: Inner width of the vision tower's MLPs.
        rope_theta: Base of the rotary positions; small, for sequences of about 50 tokens.
        initializer_range: Standard deviation of the weights at the start. The usual 0.02 stays at the floor at this
            width (measured); 0.08 learns.
        side: Side of a picture, in pixels.
        cell: Side of what becomes one visual token, in pixels.
        paper: What becomes 0 of a channel's values in [0, 1].
        contrast: What becomes 1 above that.
        texts: Prompts whose questions and worked responses the tokenizer learns its words from; ``None`` is the demo's.
    """

    def __init__(
        self,
        seed: int = 0,
        hidden_size: int = 128,
        num_layers: int = 3,
        mlp_size: int = 384,
        num_heads: int = 8,
        num_kv_heads: int = 8,
        vision_layers: int = 1,
        vision_mlp_size: int = 256,
        rope_theta: float = 1000.0,
        initializer_range: float = 0.08,
        side: int = SIDE,
        cell: int = CELL,
        paper: float = 0.94,
        contrast: float = 0.03,
        texts: PromptSource | None = None,
    ) -> None:
        self.path: str | None = None
        if side % cell:
            raise ValueError(
                f"TinyLlava.side is {side}, which {cell} (cell) does not divide; pictures are cut in cells."
            )
        self.side = side
        self.cell = cell
        self.paper = paper
        self.contrast = contrast
        self.texts = texts
        self.seed = seed
        self.text: dict[str, Any] = {
            "hidden_size": hidden_size,
            "intermediate_size": mlp_size,
            "num_hidden_layers": num_layers,
            "num_attention_heads": num_heads,
            "num_key_value_heads": num_kv_heads,
            "rope_parameters": {"rope_type": "default", "rope_theta": rope_theta},
            "initializer_range": initializer_range,
        }
        self.vision: dict[str, Any] = {
            "hidden_size": hidden_size,
            "intermediate_size": vision_mlp_size,
            "num_hidden_layers": vision_layers,
            "num_attention_heads": num_heads,
        }

    def load(self) -> tuple[PreTrainedModel, ProcessorMixin]:
        """Build the model, fp32 on the CPU, and its processor; the global random state is left alone."""
        sentences = None if self.texts is None else _read(self.texts)
        processor = build_processor(self.cell, self.paper, self.contrast, sentences)
        config = self._config(processor.tokenizer)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            model = LlavaForConditionalGeneration(config)
        model.generation_config = _generation_config(processor.tokenizer)
        return model.eval(), processor

    def _config(self, tokenizer: PreTrainedTokenizerFast) -> LlavaConfig:
        ends = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
        text = LlamaConfig(
            vocab_size=len(tokenizer),
            max_position_embeddings=MAX_POSITIONS,
            tie_word_embeddings=True,
            pad_token_id=tokenizer.pad_token_id,
            **ends,
            **self.text,
        )
        vision = SiglipVisionConfig(image_size=self.side, patch_size=self.cell, vision_use_head=False, **self.vision)
        config: Any = LlavaConfig  # its keyword arguments are wider than its annotations
        return config(  # type: ignore[no-any-return]
            vision_config=vision,
            text_config=text,
            image_token_index=tokenizer.convert_tokens_to_ids(IMAGE),
            image_seq_length=(self.side // self.cell) ** 2,
            vision_feature_select_strategy="full",
            vision_feature_layer=-1,
            tie_word_embeddings=True,
            pad_token_id=tokenizer.pad_token_id,
            **ends,
        )


def build_processor(
    cell: int = CELL, paper: float = 0.94, contrast: float = 0.03, sentences: Iterable[str] | None = None
) -> LlavaProcessor:
    """Build the processor: pictures as they are (no resizing), one image token a cell.

    Paper becomes about 0 and its noise about 1, so that ink stands out: read in 150 steps, where the usual
    scaling to [-1, 1] needs several times as many (measured).
    """
    images = CLIPImageProcessorPil(
        do_resize=False, do_center_crop=False, image_mean=[paper] * 3, image_std=[contrast] * 3
    )
    return LlavaProcessor(
        image_processor=images,
        tokenizer=build_tokenizer(sentences),
        patch_size=cell,
        vision_feature_select_strategy="full",
        chat_template=CHAT_TEMPLATE,
        image_token=IMAGE,
    )


def build_tokenizer(sentences: Iterable[str] | None = None) -> PreTrainedTokenizerFast:
    """Learn a byte-level BPE: each word of the sentences (the demo's, if none are given), each digit is a token."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    bpe.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=512, special_tokens=list(SPECIAL), initial_alphabet=alphabet, show_progress=False
    )
    bpe.train_from_iterator(_sentences() if sentences is None else sentences, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        pad_token=PAD,
        bos_token=BOS,
        eos_token=EOS,
        extra_special_tokens=[IMAGE, USER, ASSISTANT],
        padding_side="left",
        model_max_length=MAX_POSITIONS,
        clean_up_tokenization_spaces=False,
    )


def _sentences() -> Iterator[str]:
    """Give enough scenes' questions and worked responses to meet every word."""
    for index in range(60):
        scene = describe(f"{SPLITS[0]}-0-{index}")
        yield f"{scene.question}\n{scene.worked}"


def _read(source: PromptSource) -> Iterator[str]:
    """Questions and worked responses of prompts."""
    for index in range(len(source)):
        prompt = source[index]
        yield "\n".join([prompt.question, *([prompt.cot] if prompt.cot else [])])


def _generation_config(tokenizer: PreTrainedTokenizerFast) -> GenerationConfig:
    return GenerationConfig(
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        max_new_tokens=64,
    )
