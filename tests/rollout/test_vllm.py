"""The vLLM engine against a recording of vLLM: what it calls, in which order and with which arguments."""

from __future__ import annotations

import copy
import itertools
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForImageTextToText, AutoProcessor

from mstar.demo.scenes import DigitScenes
from mstar.modules.policy import Policy, PolicyModule
from mstar.modules.renderer import Renderer, placeholders
from mstar.rollout import VllmEngine
from mstar.rollout.vllm.check import Answer, Probe, judge, own_logprobs
from mstar.rollout.vllm.placement import place, surroundings
from mstar.seeds import stable_seed
from mstar.types import Group, Prompt, Request, Sampling
from tests.policies import policy as tiny_policy
from tests.rollout.fake_vllm import FakeVllm

FOUR = Sampling(num_responses=4, max_new_tokens=2)
RESET = ["reset prefix cache", "reset encoder cache"]
LOAD = ["wake weights", "reload_weights", "wake kv_cache", *RESET]


@pytest.fixture
def prompts() -> list[Prompt]:
    source = DigitScenes("prompts", 3, seed=0)
    return [source[i] for i in range(3)]


@pytest.fixture
def module() -> PolicyModule:
    return tiny_policy()


@pytest.fixture
def vllm(monkeypatch: pytest.MonkeyPatch, prompts: list[Prompt]) -> FakeVllm:
    """A vLLM that computes, with transformers, what the folders it is given hold."""

    def load(folder: Path) -> Policy:
        model: Any = AutoModelForImageTextToText.from_pretrained(folder)
        return Policy(model.eval(), Renderer(AutoProcessor.from_pretrained(folder)))

    def answer(loaded: Policy, adapter: Path | None, tokens: Sequence[int]) -> Sequence[float]:
        model: Any = loaded.model
        if adapter is not None:
            model = PeftModel.from_pretrained(copy.deepcopy(model), adapter).eval()
        with torch.no_grad():
            return own_logprobs(Policy(model, loaded.renderer), Request(prompts[0]), Probe((tuple(tokens),), ()))

    fake = FakeVllm(load, answer, token=70)
    fake.install(monkeypatch)
    return fake


def run(
    engine: VllmEngine, module: PolicyModule, requests: Sequence[Request], sampling: Sampling = FOUR, seed: int = 3
) -> list[Group]:
    with module.inference() as ready:
        return list(engine.generate(ready, requests, sampling, seed))


def train(module: PolicyModule, size: float = 0.1) -> None:
    assert module.model is not None
    with torch.no_grad():
        for parameter in module.model.parameters():
            if parameter.requires_grad:
                parameter += size * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1))


def test_it_sleeps_while_the_policy_trains_and_loads_before_it_samples(
    vllm: FakeVllm, module: PolicyModule, prompts: list[Prompt]
) -> None:
    engine = VllmEngine()
    run(engine, module, [Request(prompts[0])])
    assert vllm.order() == ["build", "probe", "ask", "sleep"]
    train(module)
    run(engine, module, [Request(prompts[0])])
    assert vllm.order() == [*LOAD, "probe", "ask", "sleep"]


def test_weights_that_did_not_change_are_not_loaded(
    vllm: FakeVllm, module: PolicyModule, prompts: list[Prompt]
) -> None:
    engine = VllmEngine()
    run(engine, module, [Request(prompts[0])])
    vllm.order()
    run(engine, module, [Request(prompts[1])])
    assert vllm.order() == ["wake weights", "wake kv_cache", *RESET, "ask", "sleep"]


def test_weights_that_were_dropped_are_loaded_and_checked(
    vllm: FakeVllm, module: PolicyModule, prompts: list[Prompt]
) -> None:
    engine = VllmEngine(sleep_level=2)
    run(engine, module, [Request(prompts[0])])
    assert vllm.calls[-1] == ("sleep", 2)
    vllm.order()
    run(engine, module, [Request(prompts[1])])
    assert vllm.order() == [*LOAD, "probe", "ask", "sleep"]


def test_nothing_sleeps_where_vllm_cannot(vllm: FakeVllm, module: PolicyModule, prompts: list[Prompt]) -> None:
    vllm.platform.is_sleep_mode_available = lambda: False
    engine = VllmEngine()
    run(engine, module, [Request(prompts[0])])
    train(module)
    run(engine, module, [Request(prompts[0])])
    assert vllm.order() == ["build", "probe", "ask", "reload_weights", *RESET, "probe", "ask"]
    assert vllm.built[0]["enable_sleep_mode"] is False


def test_a_vllm_that_does_not_load_is_built_anew(vllm: FakeVllm, module: PolicyModule, prompts: list[Prompt]) -> None:
    engine = VllmEngine()
    run(engine, module, [Request(prompts[0])])
    vllm.loads = False
    vllm.order()
    # so small a change that its log-probabilities alone would pass as rounding
    train(module, size=1e-7)
    with pytest.warns(UserWarning, match="as before to the last bit"):
        run(engine, module, [Request(prompts[0])])
    assert vllm.order() == [*LOAD, "probe", "shutdown", "build", "probe", "ask", "sleep"]
    train(module)  # and from here on it is not tried again
    run(engine, module, [Request(prompts[0])])
    assert vllm.order() == ["shutdown", "build", "probe", "ask", "sleep"]


def test_a_vllm_that_computes_something_else_stops_the_run(
    vllm: FakeVllm, module: PolicyModule, prompts: list[Prompt]
) -> None:
    engine = VllmEngine()
    right = vllm.answer
    run(engine, module, [Request(prompts[0])])
    vllm.order()
    vllm.answer = lambda *given: [value - 0.2 for value in right(*given)]
    train(module)
    with pytest.raises(
        RuntimeError, match=r"differ by 0\.2 nat on average, and 0\.1 is the limit \(engine\.tolerance\)"
    ):
        run(engine, module, [Request(prompts[0])])
    assert vllm.order() == [*LOAD, "probe", "shutdown", "build", "probe", "shutdown"]
    vllm.answer = right  # the next call begins from nothing
    run(engine, module, [Request(prompts[0])])
    assert vllm.order() == ["build", "probe", "ask", "sleep"]


def test_what_vllm_is_built_with(vllm: FakeVllm, module: PolicyModule, prompts: list[Prompt]) -> None:
    engine = VllmEngine(
        tensor_parallel=2, gpu_memory=0.3, options={"max_model_len": 99, "enable_prefix_caching": False}
    )
    run(engine, module, [Request(prompts[0])])
    (built,) = vllm.built
    assert Path(built.pop("model")).name == "1"
    assert built == {
        "tensor_parallel_size": 2,
        "gpu_memory_utilization": 0.3,
        "enable_prefix_caching": False,
        "enable_sleep_mode": True,
        "logprobs_mode": "raw_logprobs",
        "generation_config": "vllm",
        "max_model_len": 99,
    }


def test_what_a_request_becomes(vllm: FakeVllm, module: PolicyModule, prompts: list[Prompt]) -> None:
    sampling = Sampling(3, 0.7, 0.9, 20, 0.05, ("\n\n",), 7)
    engine = VllmEngine(logprobs=True)
    (group,) = run(engine, module, [Request(prompts[0], (70, 71), "key")], sampling, seed=5)
    assert module.model is not None
    asked, tokenizer = vllm.requests[-1], module.renderer.tokenizer
    (image,) = placeholders(module.model)
    ids = asked.prompt["prompt_token_ids"]
    assert ids[-2:] == [70, 71] and ids.count(image) == 1  # one placeholder: vLLM makes the four
    assert ids[:-2] == tokenizer(module.renderer.text(prompts[0]))["input_ids"]
    assert asked.prompt["multi_modal_data"] == {"image": [prompts[0].images[0]]}
    assert vars(asked.params) == {
        "n": 3,
        "temperature": 0.7,
        "top_p": 0.9,
        "top_k": 20,
        "min_p": 0.05,
        "max_tokens": 7,
        "seed": stable_seed(5, "key") >> 1,
        "stop": ["\n\n"],
        "include_stop_str_in_output": True,
        "detokenize": True,
        "stop_token_ids": [tokenizer.eos_token_id],
        "ignore_eos": True,
        "logit_bias": {image: -math.inf},
        "logprobs": 0,
        "output_kind": "final",
    }
    assert [r.tokens for r in group] == [(70, 71, 70 + i, 70 + i) for i in range(3)]
    assert [r.index for r in group] == [0, 1, 2] and group.key == "key"
    assert all(r.logprobs is not None and len(r.logprobs) == 2 and r.finish == "length" for r in group)
    assert group.rollouts[0].text == module.renderer.decode(group.rollouts[0].tokens)


def test_seeds_of_two_requests_never_meet(vllm: FakeVllm, module: PolicyModule, prompts: list[Prompt]) -> None:
    run(VllmEngine(), module, [Request(prompt) for prompt in prompts])
    seeds = sorted(request.params.seed for request in vllm.requests if request.name != "mstar-probe")
    assert len(seeds) == 3 and min(b - a for a, b in itertools.pairwise(seeds)) > 10**6
    assert seeds[-1] + 1024 < 2**63


def test_a_greedy_response_is_sampled_once_and_stands_for_all(
    vllm: FakeVllm, module: PolicyModule, prompts: list[Prompt]
) -> None:
    greedy = Request(prompts[0], sampling=Sampling(num_responses=3, temperature=0, max_new_tokens=2))
    groups = {g.name: g for g in run(VllmEngine(), module, [greedy, Request(prompts[1])])}
    assert [(r.params.n, r.params.temperature) for r in vllm.requests[1:]] == [(1, 0), (4, 1.0)]
    assert len(groups[prompts[0].id]) == 3 and len({r.tokens for r in groups[prompts[0].id]}) == 1
    assert [r.index for r in groups[prompts[0].id]] == [0, 1, 2]
    assert len({r.tokens for r in groups[prompts[1].id]}) == 4


def test_groups_come_as_they_finish_and_the_rest_is_aborted(
    vllm: FakeVllm, module: PolicyModule, prompts: list[Prompt]
) -> None:
    with module.inference() as ready:
        groups: Any = VllmEngine().generate(ready, [Request(prompt) for prompt in prompts], FOUR, 3)
        assert next(groups).prompt.id == prompts[2].id
        vllm.order()
        groups.close()
    assert vllm.order() == ["abort", "abort", "sleep"]


def test_replicas_get_equal_shares(vllm: FakeVllm, module: PolicyModule, prompts: list[Prompt]) -> None:
    requests = [Request(prompts[0], key=str(i)) for i in range(400)]  # more than two replicas take at a time
    groups = run(VllmEngine(data_parallel=2), module, requests)
    assert sorted(int(group.key) for group in groups) == list(range(400))
    asked = [request.llm for request in vllm.requests if request.name != "mstar-probe"]
    assert len(vllm.built) == 2 and {asked.count(llm) for llm in asked} == {200}


@pytest.fixture
def adapted(module: PolicyModule) -> PolicyModule:
    assert module.model is not None
    lora = LoraConfig(r=4, target_modules=r".*language_model.*(q_proj|v_proj)", init_lora_weights=False)
    model: Any = get_peft_model(module.model, lora)
    module.model = model
    return module


def test_an_adapter_is_loaded_beside_its_base(vllm: FakeVllm, adapted: PolicyModule, prompts: list[Prompt]) -> None:
    engine = VllmEngine(sleep_level=2)
    run(engine, adapted, [Request(prompts[0])])
    (built,) = vllm.built
    assert (built["enable_lora"], built["max_loras"], built["max_lora_rank"]) == (True, 1, 8)
    assert vllm.calls[-1] == ("sleep", 1)  # an adapter would not survive the second level
    vllm.order()
    train(adapted)
    run(engine, adapted, [Request(prompts[0])])
    assert vllm.order() == ["wake weights", "wake kv_cache", *RESET, "probe", "ask", "sleep"]
    adapters = [request.lora[:2] for request in vllm.requests]
    assert adapters == [("mstar-1", 1), ("mstar-1", 1), ("mstar-2", 2), ("mstar-2", 2)]


def test_weights_trained_beside_an_adapter_are_refused(
    vllm: FakeVllm, adapted: PolicyModule, prompts: list[Prompt]
) -> None:
    assert adapted.model is not None
    next(adapted.model.parameters()).requires_grad_(True)
    with pytest.raises(ValueError, match=r"trains 1 other weights"):
        run(VllmEngine(), adapted, [Request(prompts[0])])


def test_quantised_weights_need_a_base(vllm: FakeVllm, module: PolicyModule, prompts: list[Prompt]) -> None:
    assert module.model is not None
    module.model.config.quantization_config = {"load_in_4bit": True}
    with pytest.raises(ValueError, match=r"engine\.base"):
        run(VllmEngine(), module, [Request(prompts[0])])


def test_without_vllm_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "vllm", raising=False)
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setattr(sys, "path_importer_cache", {})
    with pytest.raises(ImportError, match=r"pip install 'mstar\[vllm\]'"):
        VllmEngine()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tensor_parallel": 0}, r"engine\.tensor_parallel is 0"),
        ({"gpu_memory": 1.5}, r"engine\.gpu_memory is 1\.5"),
        ({"tolerance": 0.0}, r"engine\.tolerance is 0\.0"),
    ],
)
def test_bad_arguments_are_named(vllm: FakeVllm, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        VllmEngine(**arguments)


def test_no_weights_pass_that_answer_with_not_a_number() -> None:
    answer = Answer(Probe(((5,),), ((math.nan,),)), (-1.0,))
    assert "differ by nan nat" in judge([answer], 1.0, [])


def test_no_replica_may_answer_as_before() -> None:
    old, new = (Answer(Probe(((5,),), ((-1.0,),)), (own,)) for own in (-1.0, -1.01))
    other = Answer(Probe(((5,),), ((-1.02,),)), (-1.01,))
    assert judge([other, new], 0.1, [old, old]) == "it answers as before to the last bit, although they have changed"
    assert judge([other, other], 0.1, [old, old]) == ""


def test_replicas_have_gpus_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert place(torch.device("cuda", 1), 1, 2) == [[1], [2]]
    assert place(torch.device("cpu"), 2, 2) == [[], []]
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 4)
    assert place(torch.device("cuda", 3), 1, 1) == [[3]]
    with pytest.raises(ValueError, match="4 training processes"):
        place(torch.device("cuda", 0), 2, 1)


def test_a_replica_starts_without_the_launchers_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"LOCAL_RANK": "1", "MASTER_PORT": "1", "TORCHELASTIC_RUN_ID": "x", "CUDA_VISIBLE_DEVICES": "4,6,7"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with surroundings([1, 2]):
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "6,7"
        assert not {"LOCAL_RANK", "MASTER_PORT", "TORCHELASTIC_RUN_ID"} & os.environ.keys()
    assert {name: os.environ[name] for name in given} == given
    with pytest.raises(ValueError, match="CUDA_VISIBLE_DEVICES is 4,6,7"), surroundings([3]):
        pass
    assert {name: os.environ[name] for name in given} == given
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    with surroundings([2]):
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "2"
    assert "CUDA_VISIBLE_DEVICES" not in os.environ
