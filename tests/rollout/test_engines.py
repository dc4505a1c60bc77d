"""Both engines: the right tokens, whatever is sampled beside them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest
import torch

from mstar.demo.scenes import DigitScenes
from mstar.modules.logprobs import response_logprobs
from mstar.modules.policy import PolicyModule
from mstar.modules.renderer import placeholders
from mstar.rollout import GenerateEngine, NativeEngine, RolloutEngine
from mstar.rollout.engine import draw
from mstar.types import Group, Prompt, Request, Sampling
from tests.policies import policy


@pytest.fixture(scope="module")
def module() -> PolicyModule:
    return policy()


@pytest.fixture(scope="module")
def prompts() -> list[Prompt]:
    source = DigitScenes("prompts", 7, seed=0)
    return [source[i] for i in range(len(source))]


def run(
    engine: RolloutEngine, module: PolicyModule, requests: Sequence[Request], sampling: Sampling
) -> dict[str, Group]:
    with module.inference() as ready:
        return {group.name: group for group in engine.generate(ready, requests, sampling, seed=3)}


def test_greedy_tokens_equal_those_of_generate(module: PolicyModule, prompts: list[Prompt]) -> None:
    sampling = Sampling(num_responses=1, temperature=0, max_new_tokens=10)
    requests = [Request(prompt) for prompt in prompts]
    mine, reference = (run(engine, module, requests, sampling) for engine in (NativeEngine(), GenerateEngine()))
    assert {n: g.rollouts[0].tokens for n, g in mine.items()} == {n: g.rollouts[0].tokens for n, g in reference.items()}


@pytest.mark.parametrize("rows", [1, 6, 64])
def test_a_response_does_not_depend_on_its_neighbours(module: PolicyModule, prompts: list[Prompt], rows: int) -> None:
    sampling = Sampling(num_responses=3, max_new_tokens=10)
    requests = [Request(prompt) for prompt in prompts]
    together = run(NativeEngine(rows=rows), module, requests, sampling)
    alone = run(NativeEngine(), module, [requests[4]], sampling)
    assert together[prompts[4].id].rollouts == alone[prompts[4].id].rollouts


def test_responses_of_a_prompt_differ(module: PolicyModule, prompts: list[Prompt]) -> None:
    group = run(NativeEngine(), module, [Request(prompts[0])], Sampling(num_responses=8, max_new_tokens=10))
    assert len({rollout.tokens for rollout in group[prompts[0].id]}) == 8


@pytest.mark.parametrize("engine", [NativeEngine(), GenerateEngine()])
def test_a_prefix_is_continued_and_kept(module: PolicyModule, prompts: list[Prompt], engine: RolloutEngine) -> None:
    prefixes = {"a": (70, 71, 72), "b": (70,)}
    requests = [Request(prompts[0], prefix, key) for key, prefix in prefixes.items()]
    groups = run(engine, module, requests, Sampling(num_responses=2, max_new_tokens=4))
    assert groups.keys() == prefixes.keys()
    for key, group in groups.items():
        assert all(rollout.tokens[: len(prefixes[key])] == prefixes[key] for rollout in group)
        assert all(len(rollout.tokens) <= len(prefixes[key]) + 4 for rollout in group)


def test_continuing_a_greedy_response_gives_the_same_response(module: PolicyModule, prompts: list[Prompt]) -> None:
    sampling = Sampling(num_responses=1, temperature=0, max_new_tokens=8)
    whole = run(NativeEngine(), module, [Request(prompts[1])], sampling)[prompts[1].id].rollouts[0].tokens
    shorter = Sampling(num_responses=1, temperature=0, max_new_tokens=5)
    again = run(NativeEngine(), module, [Request(prompts[1], whole[:3])], shorter)[prompts[1].id].rollouts[0].tokens
    assert again == whole


def test_recorded_logprobs_are_those_of_a_plain_forward(module: PolicyModule, prompts: list[Prompt]) -> None:
    groups = run(NativeEngine(logprobs=True), module, [Request(p) for p in prompts], Sampling(2, max_new_tokens=10))
    for group in groups.values():
        for rollout in group:
            with module.inference() as ready:
                found = response_logprobs(ready.model, ready.renderer, [(group.prompt, rollout.tokens)])
            assert rollout.logprobs == pytest.approx(found[0], abs=1e-4)


def test_placeholders_are_never_sampled(module: PolicyModule, prompts: list[Prompt]) -> None:
    assert module.model is not None
    banned = set(placeholders(module.model))
    assert banned
    groups = run(
        NativeEngine(), module, [Request(p) for p in prompts], Sampling(32, temperature=5.0, max_new_tokens=30)
    )
    assert not banned & {token for group in groups.values() for rollout in group for token in rollout.tokens}


@pytest.mark.parametrize(
    "sampling",
    [Sampling(temperature=0.7), Sampling(top_k=3), Sampling(top_p=0.6), Sampling(temperature=1.4, top_k=5, top_p=0.8)],
)
def test_draws_follow_the_distribution_transformers_would_use(sampling: Sampling) -> None:
    from transformers import LogitsProcessorList, TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

    logits = torch.tensor([[2.0, 1.0, 0.5, 0.0, -0.5, -1.0, -3.0]])
    warpers = LogitsProcessorList([TemperatureLogitsWarper(sampling.temperature)])
    if sampling.top_k:
        warpers.append(TopKLogitsWarper(sampling.top_k))
    if sampling.top_p < 1:
        warpers.append(TopPLogitsWarper(sampling.top_p))
    expected = warpers(torch.zeros(1, 1, dtype=torch.long), logits.clone()).softmax(-1)[0]
    count = 20_000
    uniform = torch.rand(count, generator=torch.Generator().manual_seed(0))
    drawn = Counter(draw(logits.expand(count, -1), sampling, uniform).tolist())
    assert all(drawn[token] == 0 for token in range(7) if expected[token] == 0)
    chi_square = sum((drawn[t] - count * float(p)) ** 2 / (count * float(p)) for t, p in enumerate(expected) if p > 0)
    assert chi_square < 22.5  # 6 degrees of freedom: exceeded once in a thousand draws


def test_a_group_that_hits_the_limit_says_so(module: PolicyModule, prompts: list[Prompt]) -> None:
    group = run(NativeEngine(), module, [Request(prompts[0])], Sampling(4, max_new_tokens=1))[prompts[0].id]
    ends = [rollout.finish for rollout in group]
    assert len(group) == 4 and "length" in ends and all(len(rollout.tokens) == 1 for rollout in group)
