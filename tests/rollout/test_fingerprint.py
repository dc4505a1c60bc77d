"""Fingerprints tell weights apart, whatever their shape."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import torch
from torch import distributed, multiprocessing
from torch.distributed.fsdp import fully_shard

from mstar.rollout.fingerprint import fingerprint, own_fingerprint


def test_weights_without_axes_count() -> None:
    model = torch.nn.BatchNorm1d(3)  # counts its batches in a tensor without axes
    before = fingerprint(model)
    assert before == fingerprint(model)
    assert model.num_batches_tracked is not None
    model.num_batches_tracked += 1
    assert fingerprint(model) != before


def linear(seed: int) -> torch.nn.Module:
    torch.manual_seed(seed)
    return torch.nn.Linear(3, 5)


def on_rank(rank: int, port: int, folder: Path) -> None:
    """Write what this rank says of replicated weights, of sharded ones, and of ones that are each rank's own."""
    distributed.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    sharded = linear(0)
    fully_shard(sharded, mesh=distributed.init_device_mesh("cpu", (2,)))
    models = [linear(0), sharded, linear(rank)]
    said = [fingerprint(model) for model in models] + [own_fingerprint(sharded)]
    (folder / str(rank)).write_text(" ".join(said))
    distributed.destroy_process_group()
    # DTensor's caches keep gloo's threads alive, and one that wants the interpreter while it ends aborts the process.
    os._exit(0)


def test_all_ranks_say_the_same_of_sharded_weights_and_what_one_would_say(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    multiprocessing.spawn(on_rank, (port, tmp_path), nprocs=2)
    first, second = ((tmp_path / str(rank)).read_text().split() for rank in range(2))
    assert first[:3] == second[:3] and first[3] != second[3]
    assert first[0] == first[1] == fingerprint(linear(0)) != first[2]
