"""Every family on a tiny scale: a config of its own class, random weights, a tokenizer and a processor made here.

Each is saved as a folder and opened again by ``PretrainedBackbone``, as a checkpoint of the hub would be.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoConfig, AutoModelForImageTextToText, GenerationConfig, PreTrainedTokenizerFast

from mstar.demo.tiny import BOS, CHAT_TEMPLATE, EOS, IMAGE, PAD, build_tokenizer
from mstar.modules.processors import image_only, processor_class

TEXT = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "initializer_range": 0.08,
    "max_position_embeddings": 4096,
}
VISION = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "initializer_range": 0.08,
}
MIXED = ["sliding_attention", "full_attention"]
M_ROPE = {"rope_parameters": {"rope_type": "default", "mrope_section": [2, 3, 3]}}
HYBRID = {
    "head_dim": 16,
    "rope_parameters": {"rope_type": "default", "mrope_section": [2, 3, 3], "partial_rotary_factor": 1.0},
    "layer_types": ["linear_attention", "full_attention"],
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 2,
}
TILES = [f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7)]


@dataclass(frozen=True)
class Tiny:
    """How a family is built in small.

    ``@name`` in a config stands for the id of the tokenizer's token of that name, ``@@text`` for that of the token.
    """

    text: Mapping[str, Any]
    """What the language model's config says beside ``TEXT``."""
    vision: Mapping[str, Any]
    """The vision tower's config."""
    config: Mapping[str, Any]
    """What the whole config says beside these two."""
    images: Any
    """The image processor: class name and settings."""
    processor: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the processor."""
    named: Mapping[str, str] = field(default_factory=lambda: {"image_token": IMAGE})
    """Tokens that the family's tokenizer has by name."""
    others: tuple[str, ...] = ()
    """Further special tokens."""
    audio: str | None = None
    """Class of the feature extractor, where the processor cannot do without one."""
    shown: str = IMAGE
    """What the chat template writes for an image."""

    def build(self, model_type: str, folder: Path) -> None:
        """Write a checkpoint with weights of seed 0."""
        tokenizer = self.tokenizer()
        ends = {name: getattr(tokenizer, name) for name in ("pad_token_id", "bos_token_id", "eos_token_id")}
        config = AutoConfig.for_model(
            model_type,
            text_config={**TEXT, "vocab_size": len(tokenizer), **ends, **self._filled(self.text, tokenizer)},
            vision_config=dict(self.vision),
            pad_token_id=tokenizer.pad_token_id,
            **self._filled(self.config, tokenizer),
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = AutoModelForImageTextToText.from_config(config)
            for parameter in model.parameters():
                if parameter.dim() > 1 and not parameter.any():  # Gemma's projector: no picture would be seen
                    torch.nn.init.normal_(parameter, std=0.08)
        model.generation_config = GenerationConfig(**ends)
        model.save_pretrained(folder)
        name, settings = self.images
        made = getattr(transformers, name)(**settings)
        cls = image_only(processor_class(config))
        cls(
            **({"video_processor": None} if cls is not processor_class(config) else {}),
            image_processor=made,
            tokenizer=tokenizer,
            chat_template=CHAT_TEMPLATE.replace(IMAGE, self.shown),
            **({"feature_extractor": getattr(transformers, self.audio)()} if self.audio else {}),
            **self.processor,
        ).save_pretrained(folder)

    def tokenizer(self) -> PreTrainedTokenizerFast:
        """The demo's, with the family's special tokens."""
        made = PreTrainedTokenizerFast(
            tokenizer_object=build_tokenizer()._tokenizer,
            pad_token=PAD,
            bos_token=BOS,
            eos_token=EOS,
            padding_side="left",
            extra_special_tokens=dict(self.named),
        )
        made.add_tokens(list(self.others), special_tokens=True)
        return made

    def _filled(self, settings: Mapping[str, Any], tokenizer: PreTrainedTokenizerFast) -> dict[str, Any]:
        return {name: _token(value, tokenizer) for name, value in settings.items()}


def _token(value: Any, tokenizer: PreTrainedTokenizerFast) -> Any:
    if isinstance(value, str) and value.startswith("@"):
        return tokenizer.convert_tokens_to_ids(value.removeprefix("@"))
    return [_token(each, tokenizer) for each in value] if isinstance(value, list) else value


LLAMA = {"model_type": "llama"}
QWEN2 = {"model_type": "qwen2"}
SIGLIP = {"model_type": "siglip_vision_model", **VISION, "image_size": 32, "patch_size": 8, "vision_use_head": False}
QWEN_TOKENS = ("<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>")
QWEN_SHOWN = "<|vision_start|><|image_pad|><|vision_end|>"
QWEN_IDS = {
    "image_token_id": "@<|image_pad|>",
    "video_token_id": "@<|video_pad|>",
    "vision_start_token_id": "@<|vision_start|>",
    "vision_end_token_id": "@<|vision_end|>",
}
GLM_TOKENS = (
    "<|image|>",
    "<|video|>",
    "<|begin_of_image|>",
    "<|end_of_image|>",
    "<|begin_of_video|>",
    "<|end_of_video|>",
)
GLM_IDS = {
    "image_token_id": "@<|image|>",
    "video_token_id": "@<|video|>",
    "image_start_token_id": "@<|begin_of_image|>",
    "image_end_token_id": "@<|end_of_image|>",
    "video_start_token_id": "@<|begin_of_video|>",
    "video_end_token_id": "@<|end_of_video|>",
}
PIXELS = {"min_pixels": 16 * 16, "max_pixels": 96 * 96}
SQUARE = {"size": {"height": 32, "width": 32}}


def qwen(text: Mapping[str, Any], vision: Mapping[str, Any]) -> Tiny:
    """A family that takes patches as one flat list."""
    patches = {"patch_size": 8, "merge_size": 2, **PIXELS}
    return Tiny(
        {**M_ROPE, **text},
        {"depth": 2, "hidden_size": 32, "num_heads": 2, "patch_size": 8, "initializer_range": 0.08, **vision},
        QWEN_IDS,
        ("Qwen2VLImageProcessorPil", patches),
        named={},
        others=QWEN_TOKENS,
        shown=QWEN_SHOWN,
    )


def glm(**vision: Any) -> Tiny:
    """GLM-4.1V and its kin."""
    patches = {"patch_size": 8, "merge_size": 2, "size": {"shortest_edge": 16 * 16 * 2, "longest_edge": 96 * 96 * 2}}
    return Tiny(
        {"rope_parameters": {"rope_type": "default", "mrope_section": [2, 3, 3], "partial_rotary_factor": 1.0}},
        {
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 48,
            "out_hidden_size": 32,
            "num_heads": 2,
            "patch_size": 8,
            "image_size": 32,
            "initializer_range": 0.08,
            **vision,
        },
        GLM_IDS,
        ("Glm4vImageProcessorPil", patches),
        named={},
        others=GLM_TOKENS,
        shown="<|begin_of_image|><|image|><|end_of_image|>",
    )


def tiles(images: str) -> Tiny:
    """Idefics3 and SmolVLM: pictures cut into tiles of 32 × 32 pixels."""
    return Tiny(
        LLAMA,
        {**VISION, "image_size": 32, "patch_size": 8},
        {"scale_factor": 2, "image_token_id": f"@{IMAGE}"},
        (images, {"size": {"longest_edge": 96}, "max_image_size": {"longest_edge": 32}}),
        processor={"image_seq_len": 4},
        others=("<fake_token_around_image>", "<end_of_utterance>", "<global-img>", *TILES),
    )


TINIES: dict[str, Tiny] = {
    "qwen2_vl": qwen({}, {"embed_dim": 32, "mlp_ratio": 2}),
    "qwen2_5_vl": qwen(
        {}, {"intermediate_size": 48, "window_size": 32, "out_hidden_size": 32, "fullatt_block_indexes": [1]}
    ),
    "qwen3_vl": qwen(
        {"head_dim": 16},
        {
            "intermediate_size": 48,
            "out_hidden_size": 32,
            "num_position_embeddings": 64,
            "deepstack_visual_indexes": [0],
        },
    ),
    "internvl": Tiny(
        QWEN2,
        {**VISION, "image_size": [32, 32], "patch_size": [8, 8]},
        {"image_token_id": "@<IMG_CONTEXT>", "image_seq_length": 4, "downsample_ratio": 0.5},
        ("GotOcr2ImageProcessorPil", {**SQUARE, "min_patches": 1, "max_patches": 4}),
        processor={"image_seq_length": 4},
        named={
            "start_image_token": "<img>",
            "end_image_token": "</img>",
            "context_image_token": "<IMG_CONTEXT>",
            "video_token": "<video>",
        },
        shown="<IMG_CONTEXT>",
    ),
    "smolvlm": tiles("SmolVLMImageProcessorPil"),
    "idefics3": tiles("Idefics3ImageProcessorPil"),
    "llava": Tiny(
        LLAMA,
        SIGLIP,
        {
            "image_token_index": f"@{IMAGE}",
            "image_seq_length": 16,
            "vision_feature_select_strategy": "full",
            "vision_feature_layer": -1,
        },
        ("CLIPImageProcessorPil", {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}),
        processor={"patch_size": 8, "vision_feature_select_strategy": "full", "image_token": IMAGE},
        named={},
        others=(IMAGE,),
    ),
    "llava_next": Tiny(
        LLAMA,
        SIGLIP,
        {
            "image_token_index": f"@{IMAGE}",
            "image_seq_length": 16,
            "vision_feature_select_strategy": "full",
            "vision_feature_layer": -1,
            "image_grid_pinpoints": [[32, 64], [64, 32], [64, 64]],
        },
        (
            "LlavaNextImageProcessorPil",
            {
                "size": {"shortest_edge": 32},
                "crop_size": {"height": 32, "width": 32},
                "image_grid_pinpoints": [[32, 64], [64, 32], [64, 64]],
            },
        ),
        processor={"patch_size": 8, "vision_feature_select_strategy": "full", "image_token": IMAGE},
        named={},
        others=(IMAGE,),
    ),
    "llava_onevision": Tiny(
        QWEN2,
        SIGLIP,
        {
            "image_token_index": f"@{IMAGE}",
            "video_token_index": "@<video>",
            "vision_feature_layer": -1,
            "image_grid_pinpoints": [[32, 64], [64, 32], [64, 64]],
            "vision_aspect_ratio": "anyres_max_4",
        },
        ("LlavaOnevisionImageProcessorPil", {**SQUARE, "image_grid_pinpoints": [[32, 64], [64, 32], [64, 64]]}),
        processor={
            "num_image_tokens": 16,
            "vision_feature_select_strategy": "full",
            "vision_aspect_ratio": "anyres_max_4",
        },
        named={},
        others=(IMAGE, "<video>"),
    ),
    "gemma3": Tiny(
        {"head_dim": 16, "layer_types": MIXED, "sliding_window": 16, "query_pre_attn_scalar": 16},
        {**SIGLIP, "patch_size": 4},
        {
            "mm_tokens_per_image": 4,
            "image_token_index": "@<image_soft_token>",
            "boi_token_index": "@<start_of_image>",
            "eoi_token_index": "@<end_of_image>",
        },
        ("Gemma3ImageProcessorPil", SQUARE),
        processor={"image_seq_length": 4},
        named={
            "image_token": "<image_soft_token>",
            "boi_token": "<start_of_image>",
            "eoi_token": "<end_of_image>",
        },
        shown="<start_of_image>",
    ),
    "paligemma": Tiny(
        {"model_type": "gemma", "head_dim": 16},
        {**SIGLIP, "projection_dim": 32},
        {"image_token_index": f"@{IMAGE}", "projection_dim": 32, "hidden_size": 32},
        ("SiglipImageProcessorPil", {**SQUARE, "image_seq_length": 16}),
    ),
    "glm4v": glm(),
    "glm46v": glm(),
    "aya_vision": Tiny(
        {"model_type": "cohere2", "head_dim": 16, "layer_types": MIXED, "sliding_window": 16, "logit_scale": 1.0},
        SIGLIP,
        {"image_token_index": "@<|IMG_PATCH|>", "downsample_factor": 2},
        ("GotOcr2ImageProcessorPil", {**SQUARE, "min_patches": 1, "max_patches": 4}),
        processor={"patch_size": 8, "img_size": 32, "downsample_factor": 2},
        named={},
        others=(
            IMAGE,
            "<|START_OF_IMG|>",
            "<|END_OF_IMG|>",
            "<|IMG_PATCH|>",
            "<|IMG_LINE_BREAK|>",
            *(f"TILE_{number}" for number in range(1, 13)),
            "TILE_GLOBAL",
        ),
    ),
    "ovis2": Tiny(
        QWEN2,
        {
            **VISION,
            "image_size": 32,
            "patch_size": 8,
            "hidden_stride": 2,
            "vocab_size": 64,
        },
        {
            "hidden_size": 32,
            "image_token_id": "@<IMG_ATOM>",
            "visual_indicator_token_ids": ["@<IMG_START>", "@<IMG_GRID>", "@<IMG_COL>", "@<IMG_ROW>", "@<IMG_END>"],
        },
        ("Ovis2ImageProcessorPil", {**SQUARE, "crop_to_patches": True, "max_patches": 4}),
        processor={"image_seq_length": 4},
        named={},
        others=(IMAGE, "<IMG_ATOM>", "<IMG_START>", "<IMG_GRID>", "<IMG_COL>", "<IMG_ROW>", "<IMG_END>"),
    ),
    "qwen3_5": qwen(
        HYBRID,
        {"intermediate_size": 48, "out_hidden_size": 32, "num_position_embeddings": 64},
    ),
    "idefics2": Tiny(
        {"model_type": "mistral", "head_dim": 16},
        {**VISION, "image_size": 48, "patch_size": 8},
        {
            "image_token_id": f"@{IMAGE}",
            "perceiver_config": {
                "hidden_size": 32,
                "resampler_n_latents": 4,
                "resampler_depth": 1,
                "resampler_n_heads": 2,
                "resampler_head_dim": 16,
                "num_key_value_heads": 1,
            },
        },
        ("Idefics2ImageProcessorPil", {"size": {"longest_edge": 48, "shortest_edge": 16}}),
        processor={"image_seq_len": 4},
        named={
            "image_token": IMAGE,
            "image_boundary_token": "<fake_token_around_image>",
            "end_of_utterance_token": "<end_of_utterance>",
        },
    ),
    "vipllava": Tiny(
        LLAMA,
        {"model_type": "clip_vision_model", **VISION, "image_size": 32, "patch_size": 8, "projection_dim": 32},
        {"image_token_index": f"@{IMAGE}", "image_seq_length": 16, "vision_feature_layers": [-1, -2]},
        ("CLIPImageProcessorPil", {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}),
        processor={
            "patch_size": 8,
            "vision_feature_select_strategy": "default",
            "image_token": IMAGE,
            "num_additional_image_tokens": 1,
        },
        named={},
        others=(IMAGE,),
    ),
    "deepseek_vl": Tiny(
        LLAMA,
        {**SIGLIP, "vision_use_head": False},
        {"image_token_id": f"@{IMAGE}"},
        ("DeepseekVLImageProcessorPil", {**SQUARE, "min_size": 14}),
        processor={"num_image_tokens": 16},
    ),
    "paddleocr_vl": Tiny(
        {"head_dim": 16, **M_ROPE},
        {**VISION, "image_size": 32, "patch_size": 8},
        QWEN_IDS,
        ("PaddleOCRVLImageProcessorPil", {"patch_size": 8, "merge_size": 2, **PIXELS}),
        named={"image_token": "<|image_pad|>", "video_token": "<|video_pad|>"},
        others=QWEN_TOKENS,
        shown=QWEN_SHOWN,
    ),
    "exaone4_5": qwen(
        {
            "model_type": "exaone4",
            "sliding_window": 16,
            "layer_types": MIXED,
            "sliding_window_pattern": 4,
            "rope_parameters": None,
        },
        {
            "intermediate_size": 48,
            "window_size": 32,
            "out_hidden_size": 32,
            "fullatt_block_indexes": [1],
            "num_key_value_heads": 1,
        },
    ),
    "video_llama_3": Tiny(
        QWEN2,
        {**VISION, "patch_size": 8},
        {"image_token_id": "@<|image_pad|>", "video_token_id": "@<|video_pad|>"},
        ("VideoLlama3ImageProcessorPil", {"patch_size": 8, "merge_size": 1, **PIXELS}),
        named={"image_token": "<|image_pad|>", "video_token": "<|video_pad|>"},
        others=QWEN_TOKENS,
        shown=QWEN_SHOWN,
    ),
    "minicpmv4_6": Tiny(
        {**HYBRID, "model_type": "qwen3_5_text"},
        {
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "patch_size": 8,
            "image_size": 32,
        },
        {
            "image_token_id": f"@{IMAGE}",
            "video_token_id": "@<video>",
            "insert_layer_id": 0,
            "image_size": 32,
        },
        ("MiniCPMV4_6ImageProcessorPil", {"patch_size": 8, "scale_resolution": 64, "max_slice_nums": 4}),
        named={
            "image_token": IMAGE,
            "video_token": "<video>",
            "image_start_token": "<image_start>",
            "image_end_token": "<image_end>",
            "slice_start_token": "<slice>",
            "slice_end_token": "</slice>",
            "image_id_start_token": "<image_id>",
            "image_id_end_token": "</image_id>",
        },
    ),
    "gemma4": Tiny(
        {
            "head_dim": 16,
            "layer_types": MIXED,
            "hidden_size_per_layer_input": 8,
            "vocab_size_per_layer_input": 400,
            "sliding_window": 16,
        },
        {
            **VISION,
            "head_dim": 16,
            "num_key_value_heads": 2,
            "patch_size": 8,
            "pooling_kernel_size": 2,
            "position_embedding_size": 64,
        },
        {
            "image_token_id": "@<image_soft_token>",
            "video_token_id": "@<video_soft_token>",
            "audio_token_id": "@<audio_soft_token>",
            "boi_token_id": "@<start_of_image>",
            "eoi_token_id": "@<end_of_image>",
            "audio_config": None,
        },
        ("Gemma4ImageProcessorPil", {"patch_size": 8, "pooling_kernel_size": 2, "max_soft_tokens": 70}),
        others=("<video_soft_token>",),
        named={
            "image_token": "<image_soft_token>",
            "boi_token": "<start_of_image>",
            "eoi_token": "<end_of_image>",
            "audio_token": "<audio_soft_token>",
            "boa_token": "<start_of_audio>",
            "eoa_token": "<end_of_audio>",
        },
        audio="Gemma4AudioFeatureExtractor",
        shown="<image_soft_token>",
    ),
}
