"""Linear layers by oneDNN, their weights packed once, in fp32 or, on CPUs that multiply faster in it, in bf16."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from mstar.rollout.native import blocks

Item = TypeVar("Item")
PACKED_FOR = 64
"""Rows that the packing is best for; on other numbers it costs a few per cent."""


class PackedLinears:
    """The products of a model's linear layers by oneDNN; in bf16, summed in fp32, with the attention of its images.

    The model itself is not touched: while ``around`` computes, its layers compute with the packed weights.
    oneDNN's packing needs torch's private operators ``mkldnn._reorder_linear_weight`` and ``_linear_pointwise``.

    Args:
        model: Any model; packed are its plain ``nn.Linear`` layers, with the weights they have now.
        dtype: fp32 or bf16.

    Raises:
        ValueError: If this machine cannot do it, or a layer's weights are not whole, in fp32 and on the CPU.
    """

    def __init__(self, model: PreTrainedModel, dtype: torch.dtype) -> None:
        self.model, self.rounded, name = model, dtype == torch.bfloat16, str(dtype).removeprefix("torch.")
        if not can_pack(dtype):
            raise ValueError(f"engine.dtype is {name}, for which this CPU has no instructions: set it to auto.")
        layers = {name: module for name, module in model.named_modules() if type(module) is nn.Linear}
        if unfit := next((name for name, layer in layers.items() if not _fits(layer.weight)), None):
            raise ValueError(
                f"engine.dtype is {name}, which is for weights in fp32, whole on each rank, on a CPU; {unfit} has "
                f"others. Set engine.dtype to auto, and model.backbone.dtype to bfloat16 for a policy in bf16."
            )
        head = model.get_output_embeddings()  # its logits are many: they are widened when they are drawn from
        self.forwards = [(layer, _packed(layer, dtype, widen=layer is not head)) for layer in layers.values()]

    def around(self, items: Iterator[Item]) -> Iterator[Item]:
        """Let an iterator compute with the packed weights, and whoever consumes it with the model's own."""
        while True:
            with self._installed():
                try:
                    item = next(items)
                except StopIteration:
                    return
            yield item

    @contextmanager
    def _installed(self) -> Iterator[None]:
        with ExitStack() as stack:
            if self.rounded:
                stack.enter_context(blocks.installed(self.model))
            stack.callback(self._remove)
            for layer, forward in self.forwards:
                layer.__dict__["forward"] = forward  # hooks stay in force
            yield

    def _remove(self) -> None:
        for layer, _ in self.forwards:
            layer.__dict__.pop("forward", None)


def can_pack(dtype: torch.dtype = torch.bfloat16) -> bool:
    """Whether this machine has oneDNN, and multiplies in ``dtype``, fp32 or bf16."""
    bf16 = dtype == torch.bfloat16
    return torch._C._has_mkldnn and (not bf16 or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported()))


def _fits(weight: Tensor) -> bool:
    return type(weight) is nn.Parameter and weight.dtype == torch.float32 and weight.device.type == "cpu"


def _packed(layer: nn.Linear, dtype: torch.dtype, widen: bool) -> Callable[[Tensor], Tensor]:
    with torch.no_grad():
        weight = torch.ops.mkldnn._reorder_linear_weight(layer.weight.to(dtype).contiguous(), PACKED_FOR)
        bias = None if layer.bias is None else layer.bias.to(dtype)
    return partial(_linear, weight, bias, dtype, widen)


def _linear(weight: Tensor, bias: Tensor | None, dtype: torch.dtype, widen: bool, x: Tensor) -> Tensor:
    """``(…, in)`` in any type to ``(…, out)`` in the same, or in the weights' if it is not to be widened."""
    product: Tensor = torch.ops.mkldnn._linear_pointwise(x.to(dtype), weight, bias, "none", [], "")
    return product.to(x.dtype) if widen else product
