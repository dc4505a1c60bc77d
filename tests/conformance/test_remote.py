"""A model with code of its own: refused unless trusted; trusted, it samples, trains and judges."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, CLIPImageProcessorPil, GenerationConfig

from mstar.demo.tiny import CHAT_TEMPLATE, IMAGE, build_tokenizer
from mstar.modules.adapter import Lora
from mstar.modules.backbone import PretrainedBackbone
from mstar.modules.logprobs import response_logprobs
from mstar.modules.policy import PolicyModule
from mstar.modules.tree import shares
from mstar.rollout import GenerateEngine
from mstar.types import Prompt, Request, Sampling
from tests.conformance.checks import CLOSE, picture, plain

CODE = Path(__file__).parent / "remote"


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder as such models are published: weights, code, and an ``auto_map`` to it."""
    folder, cache = tmp_path_factory.mktemp("repository"), tmp_path_factory.mktemp("modules")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(cache))
        write_repository(folder)
        yield folder


def write_repository(folder: Path) -> None:
    """Weights of seed 0, and the code beside them."""
    for file in CODE.glob("*_phi3_v.py"):
        shutil.copy(file, folder)
    named = {
        "AutoConfig": "configuration_phi3_v.Phi3VConfig",
        "AutoModelForCausalLM": "modeling_phi3_v.Phi3VForCausalLM",
    }
    (folder / "config.json").write_text(json.dumps({"model_type": "phi3_v", "auto_map": named}))
    config = AutoConfig.from_pretrained(folder, trust_remote_code=True)
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, trust_remote_code=True)
    model.generation_config = GenerationConfig(eos_token_id=2, pad_token_id=0)
    model.save_pretrained(folder)
    images = CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    images.save_pretrained(folder)
    tokenizer = build_tokenizer()
    tokenizer.chat_template = CHAT_TEMPLATE.replace(f"'{IMAGE}' if part.type == 'image' else ", "")
    tokenizer.save_pretrained(folder)
    auto = {"processor_class": "Phi3VProcessor", "auto_map": {"AutoProcessor": "processing_phi3_v.Phi3VProcessor"}}
    (folder / "processor_config.json").write_text(json.dumps(auto))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "auto_map": named}))


@pytest.fixture(scope="module")
def module(repository: Path) -> PolicyModule:
    made = PolicyModule(PretrainedBackbone(str(repository), trust_remote_code=True))
    made.configure_model()
    return made


PROMPTS = [
    Prompt("0", "What is 3 + 4?"),
    Prompt("1", "What is shown?", (picture(0, 40, 33),)),
    Prompt("3", "Which is larger?", (picture(1, 32, 32), picture(2, 50, 20), picture(3, 9, 64))),
]


def test_code_of_a_model_is_not_run_unless_trusted(repository: Path) -> None:
    with pytest.raises(ValueError, match=r"phi3_v.*trust_remote_code true.*Qwen2\.5-VL-3B-Instruct"):
        PretrainedBackbone(str(repository)).load()


def test_code_without_a_class_for_text_is_named(tmp_path: Path) -> None:
    config = {"model_type": "internvl_chat", "auto_map": {"AutoConfig": "configuration.Config"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"InternVL3-2B-hf"):
        PretrainedBackbone(str(tmp_path)).load()
    with pytest.raises(ValueError, match=r"names none of AutoModelForImageTextToText"):
        PretrainedBackbone(str(tmp_path), trust_remote_code=True).load()


def test_a_trusted_models_prompts_are_tagged_and_padded(module: PolicyModule) -> None:
    renderer = module.renderer
    assert "<|image_1|>\n<|image_2|>\n<|image_3|>\nWhich" in renderer.text(PROMPTS[2])
    inputs = renderer.process(PROMPTS)
    assert (inputs["input_ids"] < 0).sum(1).tolist() == [0, 16, 48]
    merged = renderer.merged([renderer.process([prompt]) for prompt in PROMPTS])
    assert all(torch.equal(inputs[name], merged[name]) for name in inputs)


def test_a_trusted_model_is_trained_on_what_it_samples(module: PolicyModule) -> None:
    assert module.model is not None and not shares(module.model)
    with module.inference() as ready:
        for group in GenerateEngine().generate(ready, [Request(p) for p in PROMPTS], Sampling(2, max_new_tokens=4), 0):
            pairs = [(group.prompt, rollout.tokens) for rollout in group]
            for (prompt, tokens), found in zip(
                pairs, response_logprobs(ready.model, ready.renderer, pairs), strict=True
            ):
                assert found == pytest.approx(plain(ready, prompt, tokens), abs=CLOSE)


def test_adapters_do_not_hide_whose_code_a_model_is(repository: Path) -> None:
    adapted = PolicyModule(PretrainedBackbone(str(repository), trust_remote_code=True), adapter=Lora(r=2))
    adapted.configure_model()
    assert adapted.model is not None and not shares(adapted.model)
    learnt = [name for name, parameter in adapted.model.named_parameters() if parameter.requires_grad]
    assert len(learnt) == 2 * 7 * 2 and all(".layers." in name for name in learnt)  # of the decoder's two blocks alone


def test_a_trusted_model_is_saved_with_its_code(module: PolicyModule, tmp_path: Path) -> None:
    module.export(tmp_path, module.state_dict())
    again = PolicyModule(PretrainedBackbone(str(tmp_path), trust_remote_code=True))
    with again.inference() as reloaded, module.inference() as ready:
        inputs = ready.renderer.process(PROMPTS)
        assert torch.equal(reloaded.model(**reloaded.renderer.process(PROMPTS)).logits, ready.model(**inputs).logits)
