"""Every overlay builds over the page that it is for, and strategies that a policy cannot live under are refused."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import lightning.pytorch.strategies.deepspeed as deepspeed
import pytest
import torch
from lightning.pytorch.plugins import HalfPrecision
from lightning.pytorch.strategies import DeepSpeedStrategy, FSDPStrategy

from mstar.cli import main
from mstar.modules.backbone import PretrainedBackbone
from mstar.modules.logprobs import on_device
from mstar.modules.packing import pack
from mstar.modules.policy import PolicyModule
from mstar.modules.process_reward import ProcessRewardModule
from mstar.strategies import FSDP2Strategy
from tests.architectures import prompts_for
from tests.policies import backbone
from tests.strategies.runs import ROOT, arguments

OVERLAYS = sorted(path.stem for path in (ROOT / "configs" / "strategy").glob("*.yaml"))
DEEPSPEED = "needs deepspeed, which has no wheel on PyPI, and NVIDIA GPUs: Lightning has it on nothing else"


@pytest.mark.parametrize("name", OVERLAYS)
def test_overlay_builds(name: str, base: Path, tmp_path: Path) -> None:
    if name == "deepspeed" and not deepspeed._DEEPSPEED_AVAILABLE:
        pytest.skip(DEEPSPEED)
    cli = main([*arguments(base, tmp_path, [name]), "--trainer.devices=1"], run=False)
    assert cli.model is not None and cli.datamodule is not None


@pytest.mark.parametrize("name", ["fsdp", "fsdp2", "model_parallel"])
def test_fsdp_has_three_names(name: str, base: Path, tmp_path: Path) -> None:
    cli = main([*arguments(base, tmp_path, []), f"--trainer.strategy={name}"], run=False)
    assert type(cli.trainer.strategy) is FSDP2Strategy


class Run:
    """What a policy asks of its trainer as it is loaded."""

    def __init__(self, strategy: Any) -> None:
        self.strategy = strategy


def test_fsdp1_is_refused() -> None:
    module: Any = PolicyModule(backbone())
    module._trainer = Run(FSDPStrategy())
    with pytest.raises(ValueError, match=r"cannot be sampled from outside of training: set it to fsdp2"):
        module.configure_model()


def test_zero_stage_3_is_refused() -> None:
    strategy = DeepSpeedStrategy.__new__(DeepSpeedStrategy)  # making one needs the package; asked is its stage alone
    strategy.config = {"zero_optimization": {"stage": 3}}
    module: Any = PolicyModule(backbone())
    module._trainer = Run(strategy)
    with pytest.raises(ValueError, match=r"every token: set it to deepspeed_stage_2"):
        module.configure_model()


def test_a_process_reward_model_is_not_trained_apart_on_each_rank() -> None:
    module: Any = ProcessRewardModule(backbone())
    module._device_mesh = object()
    with pytest.raises(ValueError, match=r"process reward models are not cut up: set it to ddp"):
        module.configure_model()


@pytest.mark.filterwarnings(
    "ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning"
)  # torch.compile's own
def test_training_is_compiled_and_sampling_is_not() -> None:
    graphs: list[torch.fx.GraphModule] = []

    @torch._dynamo.register_backend(name="counting")
    def counting(graph: torch.fx.GraphModule, _: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    plain, compiled = PolicyModule(backbone()), PolicyModule(backbone(), compile="counting")
    losses = []
    for module in (plain, compiled):
        module.configure_model()
        assert module.model is not None
        pairs = [(prompt, (5, 6, 7, 2)) for prompt in prompts_for("llava", 2)]
        (part,) = pack(module.renderer, pairs, 1000, share=True)
        total = {"num_tokens": torch.tensor(8), "num_responses": torch.tensor(2)}
        part = {
            **on_device(module.model, part),
            **total,
            "advantages": torch.ones(2),
            "old_logprobs": torch.zeros(2, 4),
        }
        with module.inference() as policy:
            policy.model(input_ids=part["input_ids"], pixel_values=part["pixel_values"])
        assert not graphs
        losses.append(module.part_loss(part)[0].item())
    assert len(graphs) >= 1
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)


def test_bf16_leaves_rotary_frequencies_as_the_exported_model_has_them(base: Path) -> None:
    def frequencies(module: torch.nn.Module) -> list[torch.Tensor]:
        return [buffer for name, buffer in module.named_buffers() if name.endswith("inv_freq")]

    plain, module = (PolicyModule(PretrainedBackbone(str(base), "bfloat16")) for _ in range(2))
    for each in (plain, module):
        each.configure_model()
    HalfPrecision("bf16-true").convert_module(module)
    assert {parameter.dtype for parameter in module.parameters()} == {torch.bfloat16}
    assert frequencies(module) and all(map(torch.equal, frequencies(module), frequencies(plain)))


@pytest.mark.parametrize("script", ["torchrun.sh", "slurm.sbatch"])
def test_script_is_understood_by_the_shell(script: str) -> None:
    subprocess.run(["bash", "-n", ROOT / "scripts" / script], check=True)
