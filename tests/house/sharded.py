"""Run on two ranks: π⁰ and its optimizer are put back into a policy that FSDP2 has sharded.

``python -m tests.house.sharded CHECKPOINT RENDEZVOUS RANK``, the rendezvous a file that is not there yet.
"""

from __future__ import annotations

import sys
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict, get_optimizer_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor

from mstar.init_policy.restore import set_sharded_optimizer, set_sharded_weights
from mstar.modules.policy import PolicyModule
from tests.policies import backbone

WHOLE = StateDictOptions(full_state_dict=True)


def main() -> None:
    """Shard another policy, restore the checkpoint, and compare what all ranks hold with it."""
    dist.init_process_group("gloo", init_method=f"file://{sys.argv[2]}", rank=int(sys.argv[3]), world_size=2)
    made = backbone()
    made.seed = 1
    module = PolicyModule(made, frozen=["model.vision_tower.post_layernorm"])
    module.configure_model()
    assert module.model is not None
    mesh = init_device_mesh("cpu", (2,))
    for layer in module.model.get_decoder().layers:
        fully_shard(layer, mesh=mesh)
    fully_shard(module, mesh=mesh)
    assert all(isinstance(parameter, DTensor) for parameter in module.parameters())
    optimizer = torch.optim.AdamW([p for p in module.parameters() if p.requires_grad], lr=0.5)
    checkpoint: dict[str, Any] = torch.load(sys.argv[1], weights_only=True, mmap=True)
    set_sharded_weights(module, checkpoint["state_dict"])
    set_sharded_optimizer(module, optimizer, checkpoint["optimizer_states"][0])
    weights = get_model_state_dict(module, options=WHOLE)
    state = get_optimizer_state_dict(module, optimizer, options=WHOLE)
    if dist.get_rank() == 0:
        assert weights.keys() == checkpoint["state_dict"].keys()
        assert all(torch.equal(weights[name], value) for name, value in checkpoint["state_dict"].items())
        names = [name for name, parameter in module.named_parameters() if parameter.requires_grad]
        for number, saved in checkpoint["optimizer_states"][0]["state"].items():
            for moment, value in saved.items():
                assert torch.equal(state["state"][names[number]][moment], value), (names[number], moment)
        saved_rate = checkpoint["optimizer_states"][0]["param_groups"][0]["lr"]
        assert {group["lr"] for group in state["param_groups"]} == {saved_rate}
        print("restored", len(weights), len(state["state"]))
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
