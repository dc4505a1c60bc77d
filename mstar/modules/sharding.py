"""Weights of which every rank holds a part: cut up for training, whole for as long as the policy writes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, FullyShardedDataParallel, fully_shard
from torch.distributed.fsdp.wrap import wrap
from torch.distributed.tensor import DTensor
from transformers import PreTrainedModel

from mstar.modules.towers import blocks


def shard(model: PreTrainedModel, base: PreTrainedModel, mesh: DeviceMesh) -> None:
    """Cut a model's weights up over the ranks of a mesh (FSDP2): each block by itself, then what is left.

    Args:
        model: What is called, adapters included; changed in place.
        base: The model within its adapters, or ``model`` itself.
        mesh: Of ``ModelParallelStrategy``, with dimensions ``data_parallel`` and ``tensor_parallel``.

    Raises:
        ValueError: If the mesh has a tensor-parallel dimension, for which models here have no plan.
    """
    if mesh["tensor_parallel"].size() > 1:
        raise ValueError(
            f"trainer.strategy asks for tensor_parallel_size {mesh['tensor_parallel'].size()}; mstar shards by FSDP2 "
            f"alone. Set trainer.strategy to fsdp2, or tensor_parallel_size to 1."
        )
    if base.config.to_dict().get("quantization_config"):
        _leave_in_place(base)
    data = mesh["data_parallel"]
    for _, _, block in blocks(base):
        fully_shard(block, mesh=data)
    fully_shard(model, mesh=data)


def wrap_blocks(model: PreTrainedModel) -> None:
    """Make each block a unit of FSDP1, inside its strategy's ``configure_model``; nothing happens elsewhere."""
    for holder, name, block in blocks(model):
        setattr(holder, name, wrap(block))


def _leave_in_place(model: nn.Module) -> None:
    """Keep bitsandbytes 0.50 from packing 4-bit weights anew, on CPUs with AVX512-BF16, when they are sampled from.

    It writes them over the gathered ones, which FSDP2 gives away, and remembers that they are packed.
    """
    from bitsandbytes.nn import Linear4bit

    for module in model.modules():
        if isinstance(module, Linear4bit):
            module.support_avx512bf16_for_cpu = False


@contextmanager
def whole(module: nn.Module) -> Iterator[None]:
    """Every rank has all weights inside: gathered once, however often and at whatever times each rank calls the model.

    Without it each layer would be gathered for each token, and a rank with less to write would keep all others
    waiting. Takes the memory of one copy of the weights. All ranks enter it.
    """
    with ExitStack() as stack:
        if sharded := fsdp2_modules(module):
            stack.enter_context(_gathered(sharded))
        if units := FullyShardedDataParallel.fsdp_modules(module):
            stack.enter_context(_summoned(module, units))
        yield


def fsdp2_modules(module: nn.Module) -> list[FSDPModule]:
    """The modules that FSDP2 gathers one at a time."""
    return [each for each in module.modules() if isinstance(each, FSDPModule)]


@contextmanager
def _gathered(modules: list[FSDPModule]) -> Iterator[None]:
    for each in modules:
        each.set_reshard_after_forward(False, recurse=False)
        each.unshard()
    try:
        yield
    finally:
        for number, each in enumerate(modules):
            each.reshard()
            each.set_reshard_after_forward(number > 0, recurse=False)  # as fully_shard sets it: all but the outermost


@contextmanager
def _summoned(module: nn.Module, units: list[Any]) -> Iterator[None]:
    """FSDP1: its units' own forward would give their weights away again, so it is left out meanwhile."""
    with FullyShardedDataParallel.summon_full_params(module, writeback=False):
        try:
            for unit in units:
                unit.__dict__["forward"] = unit.module
            yield
        finally:
            for unit in units:
                del unit.__dict__["forward"]


def bytes_on_this_rank(module: nn.Module) -> int:
    """Bytes of the parameters that this rank holds between steps."""
    return sum(local(parameter).nbytes for parameter in module.parameters())


def local(value: torch.Tensor) -> torch.Tensor:
    """This rank's part of a tensor."""
    return value.to_local() if isinstance(value, DTensor) else value
