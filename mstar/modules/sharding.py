"""Weights of which every rank holds a part: cut up for training, whole for as long as the policy writes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, fully_shard
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
    data = mesh["data_parallel"]
    for _, _, block in blocks(base):
        fully_shard(block, mesh=data)
    fully_shard(model, mesh=data)


@contextmanager
def whole(module: nn.Module) -> Iterator[None]:
    """Every rank has all weights inside: gathered once, however often and at whatever times each rank calls the model.

    Without it each layer would be gathered for each token, and a rank with less to write would keep all others
    waiting. Takes the memory of one copy of the weights. All ranks enter it.
    """
    modules = [each for each in module.modules() if isinstance(each, FSDPModule)]
    if modules:  # generate may call a block before the outermost module, which torch would then take for the outermost
        modules[0]._get_fsdp_state()._lazy_init()
    for each in modules:
        each.set_reshard_after_forward(False, recurse=False)
        each.unshard()
    try:
        yield
    finally:
        for number, each in enumerate(modules):
            each.reshard()
            each.set_reshard_after_forward(number > 0, recurse=False)  # as fully_shard sets it: all but the outermost
