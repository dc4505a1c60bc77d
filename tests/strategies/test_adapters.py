"""Adapters are what is trained, sampled from, saved and exported; the weights beside them stay as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.plugins import HalfPrecision
from peft import PeftModel
from transformers import AutoModelForImageTextToText

from mstar.checkpoints import read_checkpoint
from mstar.cli import main
from mstar.modules.adapter import Lora
from mstar.modules.backbone import PretrainedBackbone
from mstar.modules.families import PARTS
from mstar.modules.policy import PolicyModule
from mstar.modules.process_reward import ProcessRewardModule
from mstar.rollout import NativeEngine
from mstar.strategies import FSDP2Strategy
from mstar.types import Request, Sampling
from tests.architectures import prompts_for
from tests.policies import backbone
from tests.strategies.runs import arguments, between, facts, falls, require_trained
from tests.strategies.twice import twice

FP32 = ("--model.backbone.dtype=float32", "--trainer.precision=32-true")
KINDS = {"lora": (Lora(), None), "dora": (Lora(dora=True), None), "qlora": (Lora(), "nf4")}


@pytest.fixture(scope="module", params=KINDS)
def ran(request: pytest.FixtureRequest, base: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    run = tmp_path_factory.mktemp(request.param)
    twice(arguments(base, run, [request.param], *(FP32 if request.param == "qlora" else ())))
    return request.param, run


def policy(kind: str, base: Path) -> PolicyModule:
    adapter, quantization = KINDS[kind]
    return PolicyModule(PretrainedBackbone(str(base), "float32", quantization=quantization), adapter=adapter)


def bits(module: torch.nn.Module) -> dict[str, list[int]]:
    """All weights, bit for bit: those of 4 bits are no numbers in the type that they are stored in."""
    return {name: value.reshape(-1).view(torch.uint8).tolist() for name, value in module.state_dict().items()}


def test_the_adapter_is_trained_and_rollouts_come_from_it(
    ran: tuple[str, Path], base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kind, run = ran
    found = facts(run)
    module = policy(kind, base)
    apart = require_trained(run, module)
    whole = sum(p.numel() for p in AutoModelForImageTextToText.from_pretrained(base).parameters())
    assert found["trainable"] < whole / 4
    assert found["moments"] == 8 * found["trainable"]
    layers = {"lora": {"Linear": 18}, "dora": {"Linear": 18}, "qlora": {"Linear": 4, "Linear4bit": 14}}[kind]
    assert found["layers"] == layers
    with capsys.disabled():
        print(
            f"\n{kind}: {found['trainable']:,} of {whole:,} weights trained, base of {found['layers']} in "
            f"{found['base_bytes']:,} bytes ({', '.join(found['types'])}); {falls(run)}; {apart}"
        )


def test_four_bit_weights_take_an_eighth(ran: tuple[str, Path], base: Path) -> None:
    kind, run = ran
    model: Any = AutoModelForImageTextToText.from_pretrained(base)
    linear = sum(p.nbytes for n, p in model.named_parameters() if "language_model" in n and "_proj" in n)
    assert facts(run)["base_bytes"] == (linear / 8 if kind == "qlora" else linear)


def test_checkpoints_hold_the_adapter_alone(ran: tuple[str, Path]) -> None:
    state = read_checkpoint(ran[1] / "checkpoints" / "last.ckpt")["state_dict"]
    assert state and all("lora_" in name for name in state)


def test_rollouts_merge_nothing_into_the_weights_beside_the_adapter(ran: tuple[str, Path], base: Path) -> None:
    kind, run = ran
    module = policy(kind, base)
    module.configure_model()
    module.load_state_dict(read_checkpoint(run / "checkpoints" / "last.ckpt")["state_dict"], strict=False)
    before = bits(module)
    seen: list[bool] = []
    model: Any = module.model
    layers = [layer for layer in model.modules() if hasattr(layer, "merged_adapters")]
    model.get_decoder().register_forward_hook(lambda *_: seen.extend(layer.merged for layer in layers))
    with module.inference() as ready:
        requests = [Request(prompt) for prompt in prompts_for("llava", 2)]
        assert list(NativeEngine().generate(ready, requests, Sampling(2, max_new_tokens=4), 0))
    assert len(layers) == 14 and seen and not any(seen)
    assert bits(module) == before


def test_an_adapter_exported_alone_is_the_trained_policy(ran: tuple[str, Path], base: Path, tmp_path: Path) -> None:
    kind, run = ran
    module = policy(kind, base)
    module.configure_model()
    state = read_checkpoint(run / "checkpoints" / "last.ckpt")["state_dict"]
    module.export(tmp_path, state, merge=False)
    assert not (tmp_path / "model.safetensors").exists()
    fresh, _ = policy(kind, base).backbone.load()
    loaded = PeftModel.from_pretrained(fresh, tmp_path).eval()
    module.load_state_dict(state, strict=False)
    assert module.model is not None
    assert between(module.eval().model, loaded, module.renderer, run) < 1e-5
    again, _ = PretrainedBackbone(str(tmp_path), "float32", quantization=KINDS[kind][1]).load()
    assert between(module.model, again.eval(), module.renderer, run) < 1e-5


def test_a_checkpoint_of_whole_weights_is_refused(base: Path) -> None:
    module = policy("lora", base)
    whole = PolicyModule(PretrainedBackbone(str(base)))
    whole.configure_model()
    with pytest.raises(ValueError, match="weights of this model are not in it"):
        module.on_load_checkpoint({"state_dict": whole.state_dict()})


def test_another_adapters_weights_are_not_merged(base: Path) -> None:
    model, _ = policy("lora", base).backbone.load()
    with pytest.raises(ValueError, match="weights of this model are not in it"):
        Lora().merged(model, {"lora_A": torch.zeros(2)})


@pytest.mark.parametrize("module", [PolicyModule, ProcessRewardModule])
def test_what_four_bits_leave_is_not_trained_alone(module: Any, base: Path) -> None:
    made = module(PretrainedBackbone(str(base), "float32", quantization="nf4"))
    made.configure_model()
    with pytest.raises(ValueError, match=r"in 4 bits are never trained.*qlora\.yaml"):
        made.configure_optimizers()


def test_four_bits_stand_for_the_same_under_any_precision(base: Path) -> None:
    source = PretrainedBackbone(str(base), "bfloat16", quantization="nf4")
    plain, _ = source.load()
    with HalfPrecision("bf16-true").module_init_context():
        model, _ = source.load()
    assert any(name.endswith("quant_map") for name in plain.state_dict()) and bits(model) == bits(plain)


def test_nothing_to_train_is_refused(base: Path) -> None:
    module = PolicyModule(PretrainedBackbone(str(base)), frozen=PARTS)
    module.configure_model()
    with pytest.raises(ValueError, match=r"No weight is left to train: shorten model\.frozen"):
        module.configure_optimizers()


def test_fsdp2_refuses_another_models_checkpoint(base: Path, tmp_path: Path) -> None:
    whole, module = PolicyModule(PretrainedBackbone(str(base))), policy("lora", base)
    for each in (whole, module):
        each.configure_model()
    torch.save({"state_dict": whole.state_dict()}, tmp_path / "whole.ckpt")
    strategy = FSDP2Strategy()
    strategy._lightning_module = module
    with pytest.raises(ValueError, match="The checkpoint is of another model"):
        strategy.load_checkpoint(tmp_path / "whole.ckpt")


def test_an_adapter_without_a_base_cannot_be_exported_alone(tmp_path: Path) -> None:
    module = PolicyModule(backbone(), adapter=Lora())
    module.configure_model()
    with pytest.raises(ValueError, match="export with --merge"):
        module.export(tmp_path, module.state_dict(), merge=False)


def test_targets_that_match_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match=r"matches no module; linear ones are \['lm_head'"):
        PolicyModule(backbone(), adapter=Lora(targets="c_attn")).configure_model()


def test_an_adapter_over_an_adapter_is_refused(ran: tuple[str, Path], base: Path, tmp_path: Path) -> None:
    if ran[0] != "lora":
        return
    module = policy("lora", base)
    module.configure_model()
    module.export(tmp_path, read_checkpoint(ran[1] / "checkpoints" / "last.ckpt")["state_dict"], merge=False)
    with pytest.raises(ValueError, match="holds an adapter already"):
        PolicyModule(PretrainedBackbone(str(tmp_path)), adapter=Lora()).configure_model()


def test_what_needs_less_memory_stacks(base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain, small = tmp_path / "plain", tmp_path / "small"
    for run, overlays in ((plain, []), (small, ["bf16", "adam8bit", "gradient_checkpointing"])):
        main(["fit", *arguments(base, run, overlays)])
    before, after = facts(plain), facts(small)
    assert before["types"] == {"torch.float32": 14} and after["types"] == {"torch.bfloat16": 14}
    assert after["bytes"] == before["bytes"] / 2
    assert after["moments"] < before["moments"] / 3
    assert after["forwards"] == 2 * before["forwards"]
    told = f"bytes {before['bytes']:,} -> {after['bytes']:,}, moments {before['moments']:,} -> {after['moments']:,}"
    with capsys.disabled():
        print(f"\nbf16, adam8bit, gradient_checkpointing: {told}; {falls(small)}")
