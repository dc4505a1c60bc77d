"""Which GPUs a vLLM engine gets, and the environment it is started in."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
import torch.distributed

LAUNCHER = {
    "RANK",
    "LOCAL_RANK",
    "NODE_RANK",
    "GROUP_RANK",
    "WORLD_SIZE",
    "LOCAL_WORLD_SIZE",
    "MASTER_ADDR",
    "MASTER_PORT",
}
GPUS = "CUDA_VISIBLE_DEVICES"


def place(device: torch.device, tensor_parallel: int, data_parallel: int) -> list[list[int]]:
    """The GPUs of each replica, from the policy's own on; empty lists without GPUs.

    Raises:
        ValueError: If several training processes each ask for more than their own GPU.

    >>> place(torch.device("cuda", 0), tensor_parallel=2, data_parallel=2)
    [[0, 1], [2, 3]]
    """
    size = torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1
    if size > 1 and tensor_parallel * data_parallel > 1:
        raise ValueError(
            f"engine.tensor_parallel is {tensor_parallel} and engine.data_parallel {data_parallel}, but {size} "
            "training processes each have a vLLM on their own GPU. Set both to 1, or train with trainer.devices 1."
        )
    if device.type != "cuda":
        return [[] for _ in range(data_parallel)]
    first = device.index or 0
    starts = range(first, first + tensor_parallel * data_parallel, tensor_parallel)
    return [list(range(start, start + tensor_parallel)) for start in starts]


@contextmanager
def surroundings(devices: Sequence[int]) -> Iterator[None]:
    """The environment in which a replica's processes start: its own GPUs, and nothing of the training's launcher.

    vLLM makes process groups of its own; with a launcher's variables they would try to join the training's.

    Raises:
        ValueError: If fewer GPUs are visible than ``devices`` names.
    """
    hidden = {name: None for name in os.environ if name in LAUNCHER or name.startswith("TORCHELASTIC_")}
    wanted: dict[str, str | None] = {**hidden, **_visible(devices)}
    before = {name: os.environ.get(name) for name in wanted}
    _set(wanted)
    try:
        yield
    finally:
        _set(before)


def _visible(devices: Sequence[int]) -> dict[str, str]:
    if not devices:
        return {}
    visible = os.environ.get(GPUS, "")
    known = visible.split(",") if visible else [str(i) for i in range(max(devices) + 1)]
    if max(devices) >= len(known):
        raise ValueError(
            f"vLLM needs GPU {max(devices)} by engine.tensor_parallel and engine.data_parallel, but {GPUS} is "
            f"{visible}. Lower them, or make more GPUs visible."
        )
    return {GPUS: ",".join(known[i] for i in devices)}


def _set(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
