"""Where a vision-language model comes from."""

from __future__ import annotations

from typing import Literal, Protocol

import torch
from transformers import PreTrainedModel, ProcessorMixin

from mstar.modules.processors import load_processor
from mstar.modules.remote import adapted, model_class

DType = Literal["auto", "float32", "bfloat16", "float16"]


class Backbone(Protocol):
    """A source of a model and the processor that belongs to it."""

    def load(self) -> tuple[PreTrainedModel, ProcessorMixin]:
        """Build or read both; called once a process, on every rank."""
        ...


class PretrainedBackbone:
    """A model of the hub or of a local folder, through ``AutoModelForImageTextToText`` and ``AutoProcessor``.

    Args:
        path: Hub id (``Qwen/Qwen2.5-VL-3B-Instruct``) or a folder made by ``save_pretrained``.
        dtype: Data type of the weights; ``auto`` takes the checkpoint's own.
        attn_implementation: ``sdpa``, ``eager`` or ``flash_attention_2`` (needs the flash-attn package and a GPU).
        trust_remote_code: Run the Python code that comes with the model. Off unless you say so; see
            ``mstar.modules.remote``.
        min_pixels: Smallest image area in pixels, passed to the processor; ``None`` keeps the processor's own.
        max_pixels: Largest image area in pixels. One place for sampler, trainer, reward model and evaluation.
    """

    def __init__(
        self,
        path: str,
        dtype: DType = "auto",
        attn_implementation: str = "sdpa",
        trust_remote_code: bool = False,
        min_pixels: int | None = None,
        max_pixels: int | None = None,
    ) -> None:
        self.path = path
        self.dtype = dtype
        self.attn_implementation = attn_implementation
        self.trust_remote_code = trust_remote_code
        self.pixels = {k: v for k, v in (("min_pixels", min_pixels), ("max_pixels", max_pixels)) if v is not None}

    def load(self) -> tuple[PreTrainedModel, ProcessorMixin]:
        """Read weights from safetensors only; pickled weights are refused.

        Raises:
            OSError: If ``path`` is neither a folder with a ``config.json`` nor a model the hub (or its cache) knows.
            ValueError: If the model needs Python code of its own and that is not trusted.
        """
        model: PreTrainedModel = model_class(self.path, self.trust_remote_code).from_pretrained(
            self.path,
            dtype=self.dtype if self.dtype == "auto" else getattr(torch, self.dtype),
            attn_implementation=self.attn_implementation,
            trust_remote_code=self.trust_remote_code,
            use_safetensors=True,
        )
        return model, adapted(model, load_processor(self.path, self.trust_remote_code, **self.pixels))
