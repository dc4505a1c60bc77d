"""The least time a machine needs for the decoding steps of a run, from its own measured rates."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from mstar.modules.renderer import Inputs
from mstar.rollout.native.packed import product_rates


@dataclass(frozen=True)
class Machine:
    """What one thread does at best."""

    flops: float
    """Floating-point operations a second, in a large fp32 product by the faster of torch's libraries."""
    bandwidth: float
    """Bytes read a second from memory."""

    @classmethod
    def measured(cls) -> Machine:
        """Of this machine, now: medians of five."""
        long = torch.randn(2**26)  # 256 MB: beyond every cache
        rates = product_rates()
        return cls(max(rates["auto"], rates.get("float32", 0)), long.nbytes / _median(long.sum))


@dataclass(frozen=True)
class Work:
    """What the decoding steps of a run cannot do without."""

    flops: float
    nbytes: float

    @classmethod
    def of(cls, model: PreTrainedModel, prompts: Sequence[int], sizes: Sequence[Sequence[int]], steps: int) -> Work:
        """Count.

        Weights are read once a step, keys and values of a response once a token, those of a prompt once for each token
        of its longest response, however many responses share them.

        Args:
            model: The policy, fp32.
            prompts: Tokens of each prompt, image tokens included.
            sizes: Tokens of its responses; the first of each comes from the prompt's own forward pass.
            steps: Decoding steps of the run.
        """
        text: Any = model.config.get_text_config()
        weights = sum(p.numel() for p in _layers(model).parameters()) + text.vocab_size * text.hidden_size
        size = text.hidden_size // text.num_attention_heads
        row_steps = sum(n - 1 for each in sizes for n in each)
        own = sum(n * (n - 1) / 2 for each in sizes for n in each)
        asked = sum(length * (n - 1) for length, each in zip(prompts, sizes, strict=True) for n in each)
        once = sum(length * (max(each) - 1) for length, each in zip(prompts, sizes, strict=True))
        per_key = text.num_hidden_layers * size
        return cls(
            2.0 * weights * row_steps + 4 * per_key * text.num_attention_heads * (own + asked),
            4.0 * weights * steps + 2 * 4 * per_key * text.num_key_value_heads * (own + once),
        )

    def seconds(self, machine: Machine) -> float:
        """The least time: the slower of computing and reading, as if they overlapped perfectly."""
        return max(self.flops / machine.flops, self.nbytes / machine.bandwidth)


def prompt_lengths(inputs: Inputs) -> list[int]:
    """Tokens of each prompt of ``Renderer.process``."""
    lengths: list[int] = inputs["attention_mask"].sum(1).tolist()
    return lengths


def _layers(model: PreTrainedModel) -> nn.Module:
    """The language model's layers."""
    found = [m for name, m in model.named_modules() if name.endswith(("language_model.layers", "text_model.layers"))]
    return found[0]


def _median(run: Callable[[], object]) -> float:
    took = []
    for _ in range(6):
        began = time.process_time()
        run()
        took.append(time.process_time() - began)
    return statistics.median(took[1:])  # the first warms up
