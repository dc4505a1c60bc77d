"""Linear layers by oneDNN, their weights packed once, in fp32 or, on CPUs that multiply faster in it, in bf16."""

from __future__ import annotations

import logging
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from math import inf
from typing import TypeVar

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from mstar.modules.logprobs import changes_logits
from mstar.rollout.native import blocks

log = logging.getLogger(__name__)

TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
"""What ``engine.dtype`` may ask for."""
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
        asked = str(dtype).removeprefix("torch.")
        if not can_pack(torch.float32):
            raise ValueError(f"engine.dtype is {asked}, which needs oneDNN, and this torch has none: set it to auto.")
        if not can_pack(dtype):
            raise ValueError(f"engine.dtype is {asked}, for which this CPU has no instructions: set it to float32.")
        layers = {name: module for name, module in model.named_modules() if type(module) is nn.Linear}
        if unfit := next((name for name, layer in layers.items() if not _fits(layer.weight)), None):
            raise ValueError(
                f"engine.dtype is {asked}, which is for weights in fp32, whole on each rank, on a CPU; {unfit} has "
                f"others. Set engine.dtype to auto, which samples from the policy in the type it has."
            )
        head = model.get_output_embeddings() if changes_logits(model) else None
        towers = blocks.tower_attentions(model) if dtype == torch.bfloat16 else []
        self.towers = list({id(attention.config): attention.config for attention in towers}.values())
        inside = {id(layer) for attention in towers for layer in attention.modules()}
        self.forwards = []
        for name, layer in layers.items():
            kept = id(layer) in inside or (_expands(name, layer) and layer is not head)
            self.forwards.append((layer, _packed(layer, dtype, widen=not kept)))

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
            stack.enter_context(blocks.installed(self.towers))
            stack.callback(self._remove)
            for layer, forward in self.forwards:
                layer.__dict__["forward"] = forward  # hooks stay in force
            yield

    def _remove(self) -> None:
        for layer, _ in self.forwards:
            layer.__dict__.pop("forward", None)


def can_pack(dtype: torch.dtype = torch.bfloat16) -> bool:
    """Whether torch has oneDNN, and this machine instructions to multiply in ``dtype``, fp32 or bf16."""
    if not torch._C._has_mkldnn or dtype not in (torch.float32, torch.bfloat16):
        return False
    return dtype == torch.float32 or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def product_rates(size: int = 1024) -> dict[str, float]:
    """Floating-point operations a CPU-second by ``engine.dtype``, of the types this machine can pack.

    Instructions are no proof of speed: there are CPUs on which oneDNN multiplies in bf16 at half its rate in fp32.

    Args:
        size: Of the square matrices multiplied; medians of five rounds.
    """
    square = torch.linspace(-1, 1, size**2).view(size, size)  # no random numbers: the run's own stay as they are
    layer = nn.Linear(size, size, bias=False, device="meta")
    layer.weight = nn.Parameter(square)
    runs: dict[str, Callable[[], Tensor]] = {"auto": partial(torch.mm, square, square)}
    for name, dtype in TYPES.items():
        if can_pack(dtype):
            runs[name] = partial(_packed(layer, dtype, widen=False), square.to(dtype))
    took: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(6):
        for name, run in runs.items():  # in turn: what else the machine does falls on all of them
            began = time.process_time()
            run()
            took[name].append(time.process_time() - began)
    return {name: 2 * size**3 / statistics.median(found[1:]) for name, found in took.items()}  # the first warms up


@cache
def warn_if_slow(asked: str) -> None:
    """Say once, in the log, if this machine multiplies slower in the type asked for than without packing."""
    rates = product_rates()
    if rates.get(asked, inf) < rates["auto"]:
        log.warning(
            "engine.dtype is %s, in which this machine computes %.0f GFLOP/s, with auto %.0f: set it to auto.",
            asked,
            rates[asked] / 1e9,
            rates["auto"] / 1e9,
        )


def _fits(weight: Tensor) -> bool:
    return type(weight) is nn.Parameter and weight.dtype == torch.float32 and weight.device.type == "cpu"


def _expands(name: str, layer: nn.Linear) -> bool:
    """Whether a layer is the first of an MLP or the head: their results are many, and stay in bf16.

    Only an activation, or the next layer, reads them. What a language model attends to must be of one type, and its
    rotated queries and keys are in fp32; a tower's, which are not, may stay too.
    """
    return layer.out_features > layer.in_features and "attn" not in name and "attention" not in name


def _packed(layer: nn.Linear, dtype: torch.dtype, widen: bool) -> Callable[[Tensor], Tensor]:
    with torch.no_grad():
        weight = torch.ops.mkldnn._reorder_linear_weight(layer.weight.to(dtype).contiguous(), PACKED_FOR)
        bias = None if layer.bias is None else layer.bias.to(dtype)
    return partial(_linear, weight, bias, dtype, widen)


def _linear(weight: Tensor, bias: Tensor | None, dtype: torch.dtype, widen: bool, x: Tensor) -> Tensor:
    """``(…, in)`` in any type to ``(…, out)`` in the same, or in the weights' if it is not to be widened."""
    product: Tensor = torch.ops.mkldnn._linear_pointwise(x.to(dtype), weight, bias, "none", [], "")
    return product.to(x.dtype) if widen else product
