"""Linear layers in bf16, weights packed once for oneDNN: for CPUs that multiply faster in bf16 than in fp32"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor, nn

Item = TypeVar("Item")
PACKED_FOR = 64
"""Rows that the packing is best for; on other numbers it costs a few per cent."""


class PackedLinears:
    """The products of a model's linear layers in bf16, summed in fp32 by the CPU; all else stays as it is.

    The model itself is not touched: while ``around`` computes, its layers compute with the packed weights.
    oneDNN's packing needs torch's private operators ``mkldnn._reorder_linear_weight`` and ``_linear_pointwise``.

    Args:
        model: Any model; packed are its plain ``nn.Linear`` layers, with the weights they have now.

    Raises:
        ValueError: If this machine cannot do it, or a layer's weights are not whole, in fp32 and on the CPU.
    """

    def __init__(self, model: nn.Module) -> None:
        if not can_pack():
            raise ValueError("engine.dtype is bfloat16, for which this CPU has no instructions: set it to auto.")
        layers = {name: module for name, module in model.named_modules() if type(module) is nn.Linear}
        if unfit := next((name for name, layer in layers.items() if not _fits(layer.weight)), None):
            raise ValueError(
                f"engine.dtype is bfloat16, which is for weights in fp32, whole on each rank, on a CPU; {unfit} has "
                f"others. Set engine.dtype to auto, and model.backbone.dtype to bfloat16 for a policy in bf16."
            )
        self.forwards = [(layer, _packed(layer)) for layer in layers.values()]

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
        try:
            for layer, forward in self.forwards:
                layer.__dict__["forward"] = forward  # hooks stay in force
            yield
        finally:
            for layer, _ in self.forwards:
                layer.__dict__.pop("forward", None)


def can_pack() -> bool:
    """Whether this machine multiplies in bf16."""
    return torch._C._has_mkldnn and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _fits(weight: Tensor) -> bool:
    return type(weight) is nn.Parameter and weight.dtype == torch.float32 and weight.device.type == "cpu"


def _packed(layer: nn.Linear) -> Callable[[Tensor], Tensor]:
    with torch.no_grad():
        weight = torch.ops.mkldnn._reorder_linear_weight(layer.weight.to(torch.bfloat16).contiguous(), PACKED_FOR)
        bias = None if layer.bias is None else layer.bias.to(torch.bfloat16)
    return partial(_linear, weight, bias)


def _linear(weight: Tensor, bias: Tensor | None, x: Tensor) -> Tensor:
    """``(…, in)`` in any type to ``(…, out)`` in the same."""
    product: Tensor = torch.ops.mkldnn._linear_pointwise(x.to(torch.bfloat16), weight, bias, "none", [], "")
    return product.to(x.dtype)
