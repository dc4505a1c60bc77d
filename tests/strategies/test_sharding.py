"""Sharded weights are whole for every engine: one rank is enough to tell, for they are sharded all the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import distributed
from torch.distributed.tensor import DTensor

from mstar.modules.adapter import Lora
from mstar.modules.logprobs import token_logprobs
from mstar.modules.packing import pack
from mstar.modules.policy import PolicyModule
from mstar.modules.sharding import shard
from mstar.rollout import GenerateEngine, NativeEngine
from mstar.rollout.fingerprint import held
from mstar.rollout.vllm.weights import save_adapter, save_weights
from mstar.types import Request, Sampling
from tests.architectures import prompts_for
from tests.policies import backbone

PROMPTS = prompts_for("llava", 2)


@pytest.fixture(scope="module")
def mesh() -> Iterator[distributed.DeviceMesh]:
    """As ``ModelParallelStrategy`` makes it, of this process alone."""
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    yield distributed.init_device_mesh("cpu", (1, 1), mesh_dim_names=("data_parallel", "tensor_parallel"))
    distributed.destroy_process_group()


def sharded(mesh: distributed.DeviceMesh, adapter: Lora | None) -> tuple[PolicyModule, dict[str, torch.Tensor]]:
    """A policy cut up, and its weights before."""
    module = PolicyModule(backbone(), adapter=adapter)
    module.configure_model()
    assert module.model is not None
    before = {name: value.detach().clone() for name, value in module.model.named_parameters()}
    base = module.model if adapter is None else module.model.get_base_model()  # type: ignore[operator]
    shard(module.model, base, mesh)
    return module, before


@pytest.mark.parametrize("adapter", [None, Lora(r=2)])
def test_generate_and_training_take_turns(mesh: distributed.DeviceMesh, adapter: Lora | None) -> None:
    module, _ = sharded(mesh, adapter)
    assert module.model is not None
    (part,) = pack(module.renderer, [(PROMPTS[0], (5, 6, 7, 2))], 1000, share=True)
    for _ in range(2):
        with module.inference() as ready:
            greedy, requests = Sampling(1, temperature=0, max_new_tokens=4), [Request(prompt) for prompt in PROMPTS]
            one, other = (
                {group.name: group.rollouts[0].tokens for group in engine.generate(ready, requests, greedy, 0)}
                for engine in (GenerateEngine(), NativeEngine())
            )
        assert one == other
        token_logprobs(module.model, part)[0].sum().backward()
        assert all(isinstance(parameter, DTensor) for parameter in module.parameters())


@pytest.mark.parametrize("adapter", [None, Lora(r=2)])
def test_what_vllm_is_given_is_whole(mesh: distributed.DeviceMesh, adapter: Lora | None, tmp_path: Path) -> None:
    module, before = sharded(mesh, adapter)
    with module.inference() as ready:
        if adapter is None:
            save_weights(ready, tmp_path)
        else:
            save_adapter(ready, tmp_path)
        assert not any(isinstance(value, DTensor) for value in held(ready.model).values())
    (file,) = tmp_path.glob("*.safetensors")
    written = load_file(file)
    trained = [name for name in before if adapter is None or "lora_" in name]
    assert len(written) == len(trained)
    assert all(any(torch.equal(value, before[name]) for name in trained) for value in written.values())
