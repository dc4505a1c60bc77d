"""Both engines: the right tokens, whatever is sampled beside them, on the three shapes of vision-language models."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
import torch
from transformers import GenerationConfig, PreTrainedModel, ProcessorMixin

from mstar.modules.policy import PolicyModule
from mstar.modules.renderer import placeholders
from mstar.rollout import GenerateEngine, NativeEngine, RolloutEngine
from mstar.rollout.draw import draw, uniforms
from mstar.rollout.native.packed import can_pack
from mstar.types import Group, Prompt, Request, Sampling
from tests.architectures import ARCHITECTURES, prompts_for

needs_bf16 = pytest.mark.skipif(not can_pack(), reason="this CPU has no instructions for bf16")


class Built:
    """A backbone from a tiny architecture."""

    def __init__(self, name: str) -> None:
        self.name = name

    def load(self) -> tuple[PreTrainedModel, ProcessorMixin]:
        return ARCHITECTURES[self.name]()


@pytest.fixture(scope="module", params=list(ARCHITECTURES))
def architecture(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def module(architecture: str) -> PolicyModule:
    made = PolicyModule(Built(architecture))
    made.configure_model()
    return made


@pytest.fixture(scope="module")
def prompts(architecture: str) -> list[Prompt]:
    return prompts_for(architecture, 6)


def run(
    engine: RolloutEngine, module: PolicyModule, requests: Sequence[Request], sampling: Sampling
) -> dict[str, Group]:
    with module.inference() as ready:
        return {group.name: group for group in engine.generate(ready, requests, sampling, seed=3)}


def tokens_of(groups: dict[str, Group]) -> dict[str, list[tuple[int, ...]]]:
    return {name: [rollout.tokens for rollout in group] for name, group in groups.items()}


class Whole:
    """The native engine as it is with models whose caches cannot be divided."""

    def __init__(self, rows: int | None = None) -> None:
        self.engine = NativeEngine(rows, logprobs=True)
        self.account = self.engine.account

    def generate(self, policy: Any, requests: Sequence[Request], sampling: Sampling, seed: int) -> Iterator[Group]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("mstar.rollout.native.engine.shares", lambda _: False)
            yield from self.engine.generate(policy, requests, sampling, seed)


@pytest.mark.parametrize(
    "engine", [NativeEngine(), NativeEngine(rows=3, share=True), NativeEngine(share=False), Whole()]
)
def test_greedy_tokens_equal_those_of_generate(
    module: PolicyModule, prompts: list[Prompt], engine: RolloutEngine
) -> None:
    sampling = Sampling(num_responses=1, temperature=0, max_new_tokens=12)
    requests = [Request(prompt) for prompt in prompts]
    mine, reference = (run(each, module, requests, sampling) for each in (engine, GenerateEngine()))
    assert tokens_of(mine) == tokens_of(reference)


@pytest.mark.parametrize("rows", [1, 4, 64])
@pytest.mark.parametrize("share", [True, False])
def test_a_response_does_not_depend_on_its_neighbours(
    module: PolicyModule, prompts: list[Prompt], rows: int, share: bool
) -> None:
    sampling = Sampling(num_responses=3, max_new_tokens=10)
    requests = [Request(prompt) for prompt in prompts]
    together = run(NativeEngine(rows=rows, share=share), module, requests, sampling)
    for prompt in prompts[1:4]:
        alone = run(Whole(), module, [Request(prompt)], sampling)
        assert tokens_of({prompt.id: together[prompt.id]}) == tokens_of(alone)


def test_responses_that_outgrow_their_slots_go_on(module: PolicyModule, prompts: list[Prompt]) -> None:
    sampling = Sampling(num_responses=2, temperature=0.7, max_new_tokens=150)  # slots hold 64, then 128, then 256
    requests = [
        Request(prompt, sampling=replace(sampling, max_new_tokens=70 + 40 * i)) for i, prompt in enumerate(prompts[:3])
    ]
    mine, reference = (run(e, module, requests, sampling) for e in (NativeEngine(rows=4), Whole()))
    assert tokens_of(mine) == tokens_of(reference)


def test_responses_of_a_prompt_differ(module: PolicyModule, prompts: list[Prompt]) -> None:
    group = run(NativeEngine(), module, [Request(prompts[0])], Sampling(num_responses=8, max_new_tokens=10))
    assert len({rollout.tokens for rollout in group[prompts[0].id]}) == 8


def test_greedy_and_sampled_requests_stand_in_one_call(module: PolicyModule, prompts: list[Prompt]) -> None:
    kinds = [
        Sampling(num_responses=2, temperature=0, max_new_tokens=6),
        Sampling(num_responses=3, temperature=0.5, max_new_tokens=9),
        Sampling(num_responses=2, temperature=1.5, top_k=5, max_new_tokens=4),
        Sampling(num_responses=2, temperature=0.9, top_p=0.8, min_p=0.05, max_new_tokens=7),
    ]
    requests = [
        Request(prompt, key=f"{prompt.id}/{i}", sampling=kind) for prompt in prompts[:2] for i, kind in enumerate(kinds)
    ]
    together = run(NativeEngine(rows=5), module, requests, Sampling())
    for request in requests:
        assert request.sampling is not None
        alone = run(Whole(), module, [replace(request, sampling=None)], request.sampling)
        assert tokens_of({request.key: together[request.key]}) == tokens_of(alone)


@pytest.mark.parametrize("engine", [NativeEngine(), NativeEngine(share=True), Whole(), GenerateEngine()])
def test_a_prefix_is_continued_and_kept(module: PolicyModule, prompts: list[Prompt], engine: RolloutEngine) -> None:
    prefixes = {"a": (70, 71, 72), "b": (70,)}
    requests = [Request(prompts[0], prefix, key) for key, prefix in prefixes.items()]
    groups = run(engine, module, requests, Sampling(num_responses=2, max_new_tokens=4))
    assert groups.keys() == prefixes.keys()
    for key, group in groups.items():
        assert all(rollout.tokens[: len(prefixes[key])] == prefixes[key] for rollout in group)
        assert all(len(rollout.tokens) <= len(prefixes[key]) + 4 for rollout in group)


@pytest.mark.parametrize("share", [True, False])
def test_beginnings_that_share_tokens_are_continued_as_if_alone(
    module: PolicyModule, prompts: list[Prompt], share: bool
) -> None:
    prefixes = [(), (70,), (70, 71), (70, 71, 72, 73), (70, 80), (90, 91)]
    requests = [
        Request(prompt, prefix, f"{prompt.id}#{i}") for prompt in prompts[:3] for i, prefix in enumerate(prefixes)
    ]
    sampling = Sampling(num_responses=2, max_new_tokens=5)
    engine = NativeEngine(rows=7, share=share)
    together = run(engine, module, requests, sampling)
    for request in requests:
        assert tokens_of({request.key: together[request.key]}) == tokens_of(run(Whole(), module, [request], sampling))
    assert engine.account.prompts == 3


def test_continuing_a_greedy_response_gives_the_same_response(module: PolicyModule, prompts: list[Prompt]) -> None:
    sampling = Sampling(num_responses=1, temperature=0, max_new_tokens=8)
    whole = run(NativeEngine(), module, [Request(prompts[1])], sampling)[prompts[1].id].rollouts[0].tokens
    shorter = Sampling(num_responses=1, temperature=0, max_new_tokens=5)
    again = run(NativeEngine(), module, [Request(prompts[1], whole[:3])], shorter)[prompts[1].id].rollouts[0].tokens
    assert again == whole


@pytest.mark.parametrize("share", [True, False])
def test_recorded_logprobs_are_those_of_a_plain_forward(
    module: PolicyModule, prompts: list[Prompt], share: bool
) -> None:
    engine = NativeEngine(rows=5, logprobs=True, share=share)
    groups = run(engine, module, [Request(p) for p in prompts], Sampling(2, temperature=0.8, max_new_tokens=10))
    for group in groups.values():
        for rollout in group:
            assert rollout.logprobs == pytest.approx(plain_logprobs(module, group.prompt, rollout.tokens), abs=1e-4)


def plain_logprobs(module: PolicyModule, prompt: Prompt, tokens: tuple[int, ...]) -> list[float]:
    """Of one response by the model's own forward pass over prompt and response."""
    with module.inference() as ready:
        inputs = ready.renderer.encode([prompt], [tokens])
        logits: torch.Tensor = ready.model(**inputs).logits[0, -len(tokens) - 1 : -1]
    return logits.log_softmax(-1).gather(-1, torch.tensor(tokens)[:, None])[:, 0].tolist()


def test_placeholders_are_never_sampled(module: PolicyModule, prompts: list[Prompt]) -> None:
    assert module.model is not None
    banned = set(placeholders(module.model))
    assert banned
    sampling = Sampling(32, temperature=5.0, max_new_tokens=30)
    groups = run(NativeEngine(), module, [Request(p) for p in prompts[:3]], sampling)
    assert not banned & {token for group in groups.values() for rollout in group for token in rollout.tokens}


@pytest.mark.parametrize("engine", [NativeEngine(rows=3), Whole(), GenerateEngine()])
def test_a_group_that_hits_the_limit_says_so(
    module: PolicyModule, prompts: list[Prompt], engine: RolloutEngine
) -> None:
    groups = run(engine, module, [Request(p) for p in prompts[:2]], Sampling(4, max_new_tokens=1))
    for group in groups.values():
        assert len(group) == 4 and all(len(rollout.tokens) == 1 for rollout in group)
        assert "length" in [rollout.finish for rollout in group]


@pytest.mark.parametrize("engine", [NativeEngine(rows=3), Whole(), GenerateEngine()])
def test_a_stop_text_ends_a_response_and_is_kept(
    module: PolicyModule, prompts: list[Prompt], engine: RolloutEngine
) -> None:
    free = run(engine, module, [Request(prompts[0])], Sampling(6, max_new_tokens=20))[prompts[0].id]
    stop = max((r.text for r in free), key=len)[5]
    cut = run(engine, module, [Request(prompts[0])], Sampling(6, max_new_tokens=20, stop=(stop,)))[prompts[0].id]
    assert any(stop in rollout.text for rollout in cut)
    for rollout in cut:
        assert stop not in module.renderer.decode(rollout.tokens[:-1])
        assert rollout.finish == "stop" or stop not in rollout.text


@pytest.mark.parametrize("engine", [NativeEngine(), Whole(), GenerateEngine()])
def test_requests_that_would_be_mistaken_for_one_another_are_refused(
    module: PolicyModule, prompts: list[Prompt], engine: RolloutEngine
) -> None:
    sampling, one, other = Sampling(1, max_new_tokens=1), prompts[0], prompts[1]
    with pytest.raises(ValueError, match=f"same stream, '{one.id}'.*keys that differ"):
        run(engine, module, [Request(one), Request(one, (70,))], sampling)
    for field in ("question", "images"):
        changed = replace(one, **{field: getattr(other, field)})
        with pytest.raises(ValueError, match=f"the id '{one.id}', but their {field} differ"):
            run(engine, module, [Request(one), Request(changed, key="other")], sampling)
    again = replace(one, images=tuple(image.copy() for image in one.images))
    assert len(run(engine, module, [Request(one), Request(again, key="again")], sampling)) == 2


def test_generate_samples_as_told_and_not_as_the_checkpoint_says(module: PolicyModule, prompts: list[Prompt]) -> None:
    assert module.model is not None
    own, requests = module.model.generation_config, [Request(prompts[0])]
    module.model.generation_config = GenerationConfig(
        **{**own.to_diff_dict(), "repetition_penalty": 50.0, "no_repeat_ngram_size": 1, "top_k": 1, "do_sample": True}
    )
    ways = [Sampling(4, max_new_tokens=12), Sampling(1, temperature=0, max_new_tokens=12)]
    try:
        found = [tokens_of(run(GenerateEngine(), module, requests, way)) for way in ways]
        assert module.model.generation_config.top_k == 1
    finally:
        module.model.generation_config = own
    assert found == [tokens_of(run(GenerateEngine(), module, requests, way)) for way in ways]


class FailsOnce:
    """Runs out of memory at a given call of the model."""

    def __init__(self, call: int) -> None:
        self.call, self.count = call, 0

    def __call__(self, *_: Any) -> None:
        self.count += 1
        if self.count == self.call:
            raise torch.OutOfMemoryError("test: out of memory")


@pytest.mark.parametrize("engine", [NativeEngine, Whole])
@pytest.mark.parametrize("call", [1, 6])
def test_out_of_memory_halves_the_rows_and_loses_nothing(
    module: PolicyModule, prompts: list[Prompt], engine: Any, call: int, caplog: pytest.LogCaptureFixture
) -> None:
    requests, sampling = [Request(p) for p in prompts], Sampling(3, max_new_tokens=8)
    whole = run(engine(rows=8), module, requests, sampling)
    assert module.model is not None
    hook = module.model.register_forward_pre_hook(FailsOnce(call))
    try:
        found = run(engine(rows=8), module, requests, sampling)
    finally:
        hook.remove()
    assert tokens_of(found) == tokens_of(whole)
    assert "4 rows" in caplog.text


def test_no_more_rows_are_decoded_than_asked_for(module: PolicyModule, prompts: list[Prompt]) -> None:
    sizes: list[int] = []
    assert module.model is not None
    requests, sampling = [Request(prompt) for prompt in prompts[:3]], Sampling(7, max_new_tokens=5)
    hook = module.model.register_forward_pre_hook(
        lambda _model, _args, given: sizes.append(len(given["input_ids"])), with_kwargs=True
    )
    try:
        found = [run(engine, module, requests, sampling) for engine in (NativeEngine(rows=4), Whole(rows=4))]
    finally:
        hook.remove()
    assert tokens_of(found[0]) == tokens_of(found[1]) and max(sizes) == 4


def test_out_of_memory_with_one_row_says_what_to_lower(module: PolicyModule, prompts: list[Prompt]) -> None:
    assert module.model is not None
    hook = module.model.register_forward_pre_hook(FailsOnce(2))
    try:
        with pytest.raises(RuntimeError, match=r"max_new_tokens \(8\)"):
            run(NativeEngine(rows=1), module, [Request(prompts[0])], Sampling(3, max_new_tokens=8))
    finally:
        hook.remove()


def test_sampled_pairs_follow_the_models_own_distribution(module: PolicyModule, prompts: list[Prompt]) -> None:
    sampling, count = Sampling(4000, temperature=1.3, top_k=3, max_new_tokens=2), 4000
    group = run(NativeEngine(), module, [Request(prompts[0])], sampling)[prompts[0].id]
    drawn = Counter(rollout.tokens for rollout in group)
    expected = two_token_chances(module, prompts[0], sampling)
    assert set(drawn) <= set(expected)
    chi_square = sum((drawn[pair] - count * p) ** 2 / (count * p) for pair, p in expected.items())
    assert chi_square < 26.2  # at most 8 degrees of freedom: exceeded once in a thousand tries


def two_token_chances(module: PolicyModule, prompt: Prompt, sampling: Sampling) -> dict[tuple[int, ...], float]:
    """Exact chances of the first two tokens, by the model's own forward pass."""
    with module.inference() as ready:
        banned, end = placeholders(ready.model), ready.renderer.tokenizer.eos_token_id

        def chances(prefix: tuple[int, ...]) -> dict[int, float]:
            logits = ready.model(**ready.renderer.encode([prompt], [prefix])).logits[0, -1]
            logits[banned] = -torch.inf
            top = (logits / sampling.temperature).topk(sampling.top_k)
            return dict(zip(top.indices.tolist(), top.values.softmax(-1).tolist(), strict=True))

        first = chances(())
        pairs = {(a,): p for a, p in first.items() if a == end}
        for a, p in first.items():
            if a != end:
                pairs |= {(a, b): p * q for b, q in chances((a,)).items()}
    return pairs


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(temperature=0.7),
        Sampling(top_k=3),
        Sampling(top_p=0.6),
        Sampling(min_p=0.2),
        Sampling(temperature=1.4, top_k=5, top_p=0.8, min_p=0.1),
    ],
)
@pytest.mark.parametrize("size", [7, 300])
def test_draws_follow_the_distribution_transformers_would_use(sampling: Sampling, size: int) -> None:
    from transformers import (
        LogitsProcessorList,
        MinPLogitsWarper,
        TemperatureLogitsWarper,
        TopKLogitsWarper,
        TopPLogitsWarper,
    )

    logits = torch.full((1, size), -9.0)
    logits[0, torch.linspace(0, size - 1, 7).long()] = torch.tensor([2.0, 1.0, 0.5, 0.0, -0.5, -1.0, -3.0])
    warpers = LogitsProcessorList([TemperatureLogitsWarper(sampling.temperature)])
    if sampling.top_k:
        warpers.append(TopKLogitsWarper(sampling.top_k))
    if sampling.top_p < 1:
        warpers.append(TopPLogitsWarper(sampling.top_p))
    if sampling.min_p:
        warpers.append(MinPLogitsWarper(sampling.min_p))
    expected = warpers(torch.zeros(1, 1, dtype=torch.long), logits.clone()).softmax(-1)[0]
    count = 20_000
    uniform = torch.rand(count, generator=torch.Generator().manual_seed(0))
    drawn = Counter(draw(logits.expand(count, -1), sampling, uniform).tolist())
    assert all(drawn[token] == 0 for token in range(size) if expected[token] == 0)
    common = [t for t in range(size) if count * float(expected[t]) > 5]
    chi_square = sum((drawn[t] - count * float(expected[t])) ** 2 / (count * float(expected[t])) for t in common)
    assert chi_square < 22.5  # 6 degrees of freedom: exceeded once in a thousand draws


def test_a_draw_never_falls_on_a_token_without_weight() -> None:
    logits = torch.full((1, 256), -torch.inf)
    logits[0, [3, 200]] = 0.0
    almost = math.nextafter(1.0, 0.0)
    for uniform, top_k in product([0.0, 0.25, 0.4999999, 0.5, 0.75, almost], [0, 2]):
        token = draw(logits, Sampling(top_k=top_k), torch.tensor([uniform]))
        assert int(token) == (3 if uniform < 0.5 else 200)


def test_random_numbers_do_not_depend_on_the_default_type(prompts: list[Prompt]) -> None:
    expected = uniforms(1, Request(prompts[0]), 0, 64)
    torch.set_default_dtype(torch.bfloat16)
    try:
        assert torch.equal(uniforms(1, Request(prompts[0]), 0, 64), expected)
    finally:
        torch.set_default_dtype(torch.float32)


def test_a_draw_that_rounding_puts_before_its_block_takes_no_weightless_token() -> None:
    generator = torch.Generator().manual_seed(0)
    weights = torch.rand(1, 1024, generator=generator)
    weights[0, ::128] = 0
    logits, total = weights.log(), weights.double().sum()
    edges = weights.double().view(-1, 128).sum(-1).cumsum(0)[:-1] / total
    near = torch.cat([edges + step * 2.0**-25 for step in range(-6, 7)]).float()
    drawn = draw(logits.expand(len(near), -1).contiguous(), Sampling(), near)
    assert (weights[0, drawn] > 0).all()


@pytest.mark.parametrize(("dtype", "near"), [("float32", 1e-4), pytest.param("bfloat16", 0.05, marks=needs_bf16)])
def test_packed_weights_sample_near_the_policy(
    module: PolicyModule, prompts: list[Prompt], dtype: Any, near: float
) -> None:
    greedy = Sampling(num_responses=1, temperature=0.0, max_new_tokens=4)
    asked = [Request(prompt) for prompt in prompts]
    one, other = (run(NativeEngine(dtype=kind, logprobs=True), module, asked, greedy) for kind in ("auto", dtype))
    for name, group in one.items():
        expected, found = group.rollouts[0].logprobs, other[name].rollouts[0].logprobs
        assert expected is not None and found is not None
        assert found[0] == pytest.approx(expected[0], abs=near)
