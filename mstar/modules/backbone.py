"""Where a vision-language model comes from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, Protocol

import torch
from transformers import (
    AutoConfig,
    AutoModelForImageTextToText,
    BitsAndBytesConfig,
    PreTrainedModel,
    ProcessorMixin,
)

from mstar.modules.adapter import adapter_in, beside
from mstar.modules.processors import load_processor
from mstar.modules.remote import adapted, model_class
from mstar.modules.towers import outside_language

DType = Literal["auto", "float32", "bfloat16", "float16"]


class Backbone(Protocol):
    """A source of a model and the processor that belongs to it."""

    path: str | None
    """Hub id or folder of the weights; ``None`` if they are made from nothing."""

    def load(self) -> tuple[PreTrainedModel, ProcessorMixin]:
        """Build or read both; called once a process, on every rank."""
        ...


class PretrainedBackbone:
    """A model of the hub or of a local folder, through ``AutoModelForImageTextToText`` and ``AutoProcessor``.

    Args:
        path: Hub id (``Qwen/Qwen2.5-VL-3B-Instruct``), or a folder made by ``save_pretrained``: a model's, or an
            adapter's, whose base is then read from where it names; such a policy is measured, not trained.
        dtype: Data type of the weights; ``auto`` takes the checkpoint's own.
        attn_implementation: ``sdpa``, ``eager`` or ``flash_attention_2`` (needs the flash-attn package and a GPU).
        trust_remote_code: Run the Python code that comes with the model. Off unless you say so; see
            ``mstar.modules.remote``.
        min_pixels: Smallest image area in pixels, passed to the processor; ``None`` keeps the processor's own.
        max_pixels: Largest image area in pixels. One place for sampler, trainer, reward model and evaluation.
        quantization: ``nf4`` stores the language model's linear layers in 4 bits (bitsandbytes, double quantisation;
            QLoRA, 2305.14314), and computes in ``dtype``; they are read and never trained, so give an adapter too.
            Vision tower, projector and output layer stay as they are.
    """

    def __init__(
        self,
        path: str,
        dtype: DType = "auto",
        attn_implementation: str = "sdpa",
        trust_remote_code: bool = False,
        min_pixels: int | None = None,
        max_pixels: int | None = None,
        quantization: Literal["nf4"] | None = None,
    ) -> None:
        self.path: str | None = path
        self.quantization = quantization
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
        path = str(self.path)
        adapter = adapter_in(path)
        base: str = path if adapter is None else adapter.base_model_name_or_path
        quantized = {} if self.quantization is None else {"quantization_config": self._four_bit(base)}
        with plain_numbers():
            model: PreTrainedModel = model_class(base, self.trust_remote_code).from_pretrained(
                base,
                dtype=self.dtype if self.dtype == "auto" else getattr(torch, self.dtype),
                attn_implementation=self.attn_implementation,
                trust_remote_code=self.trust_remote_code,
                use_safetensors=True,
                **quantized,
            )
        processor = adapted(model, load_processor(path, self.trust_remote_code, base, **self.pixels))
        if self.quantization is not None:
            leave_in_place(model)
        return model if adapter is None else beside(model, path), processor

    def _four_bit(self, base: str) -> BitsAndBytesConfig:
        """What bitsandbytes is told; storage has the type of the other weights, as FSDP2 needs within a block."""
        config = AutoConfig.from_pretrained(base, trust_remote_code=self.trust_remote_code)
        with torch.device("meta"):
            shape: PreTrainedModel = AutoModelForImageTextToText.from_config(
                config, trust_remote_code=self.trust_remote_code
            )
        dtype = (config.dtype or torch.bfloat16) if self.dtype == "auto" else getattr(torch, self.dtype)
        return BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
            bnb_4bit_quant_storage=dtype,
            llm_int8_skip_modules=outside_language(shape),
        )


@contextmanager
def plain_numbers() -> Iterator[None]:
    """Make what has no type of its own in fp32, as outside of a run.

    Within ``bf16-true`` Lightning makes it in bf16, and bitsandbytes 0.50 its table of what 4 bits stand for: the
    policy would be trained beside other weights than those that its adapter is read beside later.
    """
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def leave_in_place(model: PreTrainedModel) -> None:
    """Keep bitsandbytes 0.50 from packing 4-bit weights anew, in place, when a CPU with AVX512-BF16 samples from them.

    Packed they stay so, and then training is silently wrong: no gradient comes through the product with packed weights.
    """
    from bitsandbytes.nn.modules import Linear4bit

    for module in model.modules():
        if isinstance(module, Linear4bit):
            module.support_avx512bf16_for_cpu = False
