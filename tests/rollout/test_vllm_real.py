"""The vLLM engine with a real vLLM: text-only models, as its CPU build has them (docs/vllm.md says how to get it)."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import torch

from mstar.modules.policy import Policy
from mstar.modules.renderer import placeholders
from mstar.rollout import GenerateEngine, RolloutEngine, VllmEngine
from mstar.types import Group, Prompt, Request, Sampling
from tests.rollout.text_only import questions, text_policy, train

if importlib.util.find_spec("vllm") is None:
    pytest.skip("vLLM is not installed; docs/vllm.md says how to make an environment for it", allow_module_level=True)

pytestmark = pytest.mark.filterwarnings("ignore")  # vLLM's own, at import
os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")

OPTIONS = {
    "dtype": "float32",
    "enforce_eager": True,
    "max_model_len": 256,
    "max_num_seqs": 64,
    "max_num_batched_tokens": 256,
    "kv_cache_memory_bytes": 2**28,
}
GREEDY = Sampling(num_responses=1, temperature=0, max_new_tokens=24)


def engine(**kwargs: Any) -> VllmEngine:
    return VllmEngine(gpu_memory=0.05, tolerance=1e-2, options=OPTIONS, **kwargs)


def run(
    engine: RolloutEngine, policy: Policy, requests: Sequence[Request], sampling: Sampling, seed: int = 3
) -> dict[str, Group]:
    with torch.no_grad():
        return {group.name: group for group in engine.generate(policy, requests, sampling, seed)}


def tokens(groups: dict[str, Group]) -> dict[str, list[tuple[int, ...]]]:
    return {name: [rollout.tokens for rollout in group] for name, group in groups.items()}


def assert_greedy_is_that_of_generate(engine: RolloutEngine, policy: Policy) -> None:
    requests = [Request(prompt) for prompt in questions(4)]
    assert tokens(run(engine, policy, requests, GREEDY)) == tokens(run(GenerateEngine(), policy, requests, GREEDY))


@pytest.fixture(scope="module")
def policy() -> Policy:
    return text_policy()


@pytest.fixture(scope="module")
def vllm() -> Iterator[VllmEngine]:
    made = engine(logprobs=True)
    yield made
    made.close()


def test_greedy_tokens_equal_those_of_generate(vllm: VllmEngine, policy: Policy) -> None:
    assert_greedy_is_that_of_generate(vllm, policy)


def test_a_response_does_not_depend_on_its_neighbours(vllm: VllmEngine, policy: Policy) -> None:
    sampling = Sampling(num_responses=5, max_new_tokens=16)
    requests = [Request(prompt) for prompt in questions(6)]
    together, alone = (run(vllm, policy, asked, sampling) for asked in (requests, requests[3:4]))
    assert tokens(together)["q3"] == tokens(alone)["q3"]
    assert len({tokens for group in together.values() for tokens in [r.tokens for r in group]}) == 30
    other = run(vllm, policy, requests[3:4], sampling, seed=4)
    assert tokens(other) != tokens(alone)


def test_more_prompts_than_one_step_takes(vllm: VllmEngine, policy: Policy) -> None:
    groups = run(vllm, policy, [Request(prompt) for prompt in questions(40)], Sampling(2, max_new_tokens=4))
    assert len(groups) == 40


def test_recorded_logprobs_are_those_of_the_policy(vllm: VllmEngine, policy: Policy) -> None:
    sampling = Sampling(num_responses=3, temperature=0.7, top_k=20, top_p=0.9, min_p=0.01, max_new_tokens=16)
    for group in run(vllm, policy, [Request(prompt) for prompt in questions(3)], sampling).values():
        for rollout in group:
            logits = plain_logits(policy, group.prompt, rollout.tokens)
            chosen = logits.log_softmax(-1).gather(-1, torch.tensor(rollout.tokens)[:, None])[:, 0]
            assert rollout.logprobs == pytest.approx(chosen.tolist(), abs=1e-4)


@torch.no_grad()
def plain_logits(policy: Policy, prompt: Prompt, tokens: tuple[int, ...]) -> torch.Tensor:
    """Logits ``(L, V)`` that predict each token, by the model's own forward pass over prompt and response."""
    inputs = policy.renderer.encode([prompt], [tokens])
    logits: torch.Tensor = policy.model(**inputs).logits[0, -len(tokens) - 1 : -1]
    return logits


def test_placeholders_are_never_sampled(vllm: VllmEngine, policy: Policy) -> None:
    (banned,) = placeholders(policy.model)
    groups = run(vllm, policy, [Request(prompt) for prompt in questions(3)], Sampling(8, max_new_tokens=32))
    pairs = [(group.prompt, rollout.tokens) for group in groups.values() for rollout in group]
    best = torch.cat([plain_logits(policy, prompt, tokens).argmax(-1) for prompt, tokens in pairs])
    assert (best == banned).float().mean() > 0.1
    assert not any(banned in tokens for _, tokens in pairs)


def test_a_prefix_is_continued(vllm: VllmEngine, policy: Policy) -> None:
    prompt = questions(2)[1]
    whole = run(vllm, policy, [Request(prompt)], GREEDY)[prompt.id].rollouts[0].tokens
    again = run(vllm, policy, [Request(prompt, whole[:5], "again")], GREEDY)["again"].rollouts[0]
    assert again.tokens[: len(whole)] == whole
    assert again.logprobs is not None and len(again.logprobs) == len(again.tokens) - 5


def test_a_stop_text_ends_a_response_and_stays_in_it(vllm: VllmEngine, policy: Policy) -> None:
    prompt = questions(1)[0]
    whole = run(vllm, policy, [Request(prompt)], GREEDY)[prompt.id].rollouts[0]
    text = policy.renderer.decode(whole.tokens[6:8])
    stopping = Sampling(num_responses=1, temperature=0, max_new_tokens=24, stop=(text,))
    short = run(vllm, policy, [Request(prompt)], stopping)[prompt.id].rollouts[0]
    assert short.finish == "stop" and short.text.endswith(text)
    assert len(short.tokens) <= 8 and short.tokens == whole.tokens[: len(short.tokens)]


def test_greedy_and_sampled_requests_stand_in_one_call(vllm: VllmEngine, policy: Policy) -> None:
    prompt = questions(1)[0]
    requests = [Request(prompt, key="greedy", sampling=GREEDY), Request(prompt, key="sampled")]
    groups = run(vllm, policy, requests, Sampling(num_responses=4, max_new_tokens=8))
    assert [len(groups[key]) for key in ("greedy", "sampled")] == [1, 4]
    assert len(groups["greedy"].rollouts[0].tokens) > 8


def test_changed_weights_are_loaded_in_place(vllm: VllmEngine, policy: Policy) -> None:
    before = tokens(run(vllm, policy, [Request(questions(1)[0])], GREEDY))
    replicas = list(vllm._fleet.replicas)
    train(policy, seed=1)
    assert_greedy_is_that_of_generate(vllm, policy)
    assert tokens(run(vllm, policy, [Request(questions(1)[0])], GREEDY)) != before
    assert vllm._fleet.replicas == replicas and vllm._fleet.in_place


def test_a_small_change_is_seen_too(vllm: VllmEngine, policy: Policy) -> None:
    replica = vllm._fleet.replicas[0]
    replica.load = lambda folder: None  # type: ignore[method-assign]  # a vLLM that says it has loaded, and has not
    train(policy, seed=2, size=1e-6)
    with pytest.warns(UserWarning, match="did not take the policy's weights in place"):
        assert_greedy_is_that_of_generate(vllm, policy)
    assert vllm._fleet.replicas != [replica] and not vllm._fleet.in_place


@pytest.mark.filterwarnings("ignore")
def test_a_load_that_went_wrong_is_caught_and_repeated() -> None:
    """With tied embeddings vLLM's CPU build keeps the old output layer when it loads in place (0.32)."""
    policy, vllm = text_policy(tied=True), engine()
    assert_greedy_is_that_of_generate(vllm, policy)
    train(policy, seed=1)
    with pytest.warns(UserWarning, match="did not take the policy's weights in place"):
        assert_greedy_is_that_of_generate(vllm, policy)
    vllm.close()


def test_an_adapter_is_loaded_beside_its_base() -> None:
    from peft import LoraConfig, get_peft_model

    plain, vllm = text_policy(), engine(logprobs=True)
    lora = LoraConfig(r=4, lora_alpha=16, target_modules=["q_proj", "v_proj", "down_proj"], init_lora_weights=False)
    model: Any = get_peft_model(plain.model, lora)
    policy = Policy(model.eval(), plain.renderer)
    assert_greedy_is_that_of_generate(vllm, policy)
    replicas = list(vllm._fleet.replicas)
    train(policy, seed=1)
    assert_greedy_is_that_of_generate(vllm, policy)
    assert vllm._fleet.replicas == replicas
    vllm.close()


def test_replicas_share_the_requests() -> None:
    policy, vllm = text_policy(), engine(data_parallel=2)
    assert_greedy_is_that_of_generate(vllm, policy)
    vllm.close()


def test_a_vllm_that_computes_something_else_stops_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    policy, vllm = text_policy(), VllmEngine(gpu_memory=0.05, tolerance=1e-12, options=OPTIONS)
    with pytest.raises(RuntimeError, match=r"engine\.tolerance"):
        run(vllm, policy, [Request(questions(1)[0])], GREEDY)
