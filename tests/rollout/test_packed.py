"""The linear layers by oneDNN, in fp32 and in bf16, and what else is rounded then."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mstar.demo.scenes import DigitScenes
from mstar.modules.policy import Policy
from mstar.rollout.native import NativeEngine, blocks
from mstar.rollout.native.attention import attend
from mstar.rollout.native.packed import PackedLinears, can_pack, product_rates, warn_if_slow
from mstar.types import Request, Rollout, Sampling
from tests.architectures import ARCHITECTURES
from tests.policies import policy

needs_bf16 = pytest.mark.skipif(not can_pack(), reason="this CPU has no instructions for bf16")
GREEDY = Sampling(num_responses=1, temperature=0.0, max_new_tokens=12)


def requests(num: int) -> list[Request]:
    scenes = DigitScenes("prompts", num, seed=0)
    return [Request(scenes[i]) for i in range(num)]


def product(dtype: torch.dtype) -> tuple[nn.Linear, Tensor, Tensor, Tensor]:
    """A layer of a policy, an input, and its product by itself and packed."""
    with policy().inference() as ready:
        layer: Any = next(module for name, module in ready.model.named_modules() if name.endswith("fc2"))
        x = torch.randn(5, 3, layer.in_features)
        plain = layer(x)
        (packed,) = PackedLinears(ready.model, dtype).around(layer(x) for _ in range(1))
        return layer, x, plain, packed


def sampled(dtype: Any, share: bool) -> Rollout:
    """A greedy response."""
    engine = NativeEngine(dtype=dtype, logprobs=True, share=share)
    with policy().inference() as ready:
        return next(engine.generate(ready, requests(1), GREEDY, seed=0)).rollouts[0]


@needs_bf16
def test_products_are_those_of_rounded_numbers() -> None:
    layer, x, plain, packed = product(torch.bfloat16)
    exact = nn.functional.linear(x.bfloat16().float(), layer.weight.bfloat16().float(), layer.bias.bfloat16().float())
    assert packed.dtype == torch.float32
    torch.testing.assert_close(packed, exact, rtol=2**-7, atol=1e-6)  # one rounding to bf16, of the result
    assert not torch.equal(packed, plain)


def test_products_in_fp32_are_the_layers_own() -> None:
    _, _, plain, packed = product(torch.float32)
    torch.testing.assert_close(packed, plain, rtol=1e-5, atol=1e-6)


@needs_bf16
@pytest.mark.parametrize("share", [True, False])
def test_log_probabilities_are_near_those_of_the_policy(share: bool) -> None:
    one, other = (sampled(dtype, share) for dtype in ("auto", "bfloat16"))
    assert one.logprobs is not None and other.logprobs is not None
    assert one.logprobs != other.logprobs
    assert one.logprobs[0] == pytest.approx(other.logprobs[0], abs=0.05)


@pytest.mark.parametrize("share", [True, False])
def test_in_fp32_the_policy_is_the_same(share: bool) -> None:
    one, other = (sampled(dtype, share) for dtype in ("auto", "float32"))
    assert one.tokens == other.tokens and one.logprobs is not None
    assert other.logprobs == pytest.approx(one.logprobs, abs=1e-4)


@needs_bf16
def test_keys_and_values_are_kept_in_bf16() -> None:
    engines = {dtype: NativeEngine(dtype=dtype, rows=2) for dtype in ("float32", "bfloat16")}
    with policy().inference() as ready:
        for engine in engines.values():
            list(engine.generate(ready, requests(2), GREEDY, seed=0))
    assert engines["float32"].account.cache_bytes == 2 * engines["bfloat16"].account.cache_bytes


@needs_bf16
def test_beginnings_that_wait_are_kept_in_bf16_too() -> None:
    engines = {dtype: NativeEngine(dtype=dtype, rows=1, share=False) for dtype in ("float32", "bfloat16")}
    with policy().inference() as ready:
        for engine in engines.values():
            list(engine.generate(ready, requests(4), GREEDY, seed=0))
    assert engines["float32"].account.cache_bytes == 2 * engines["bfloat16"].account.cache_bytes


def test_biased_attention_stays_as_it_is() -> None:
    query, key, value = (torch.randn(1, 2, 5, 8) for _ in range(3))
    bias = torch.randn(1, 2, 5, 5)
    found, _ = blocks.attend(Attention(), query, key, value, None, position_bias=bias)
    attention = nn.functional.scaled_dot_product_attention
    torch.testing.assert_close(found, attention(query, key, value, bias).transpose(1, 2))
    found, _ = blocks.attend(Attention(), query, key[:, :, :3], value[:, :, :3], None)  # cross attention
    assert torch.equal(found, attention(query, key[:, :, :3], value[:, :, :3]).transpose(1, 2))


@pytest.mark.parametrize("masked", [False, True])
def test_queries_in_fp32_attend_to_keys_in_bf16(masked: bool) -> None:
    query, keys, values = (torch.randn(3, 2, count, 8) for count in (5, 7, 7))
    mask = torch.zeros(3, 1, 1, 7)
    if masked:
        mask[1, ..., 4:] = -torch.inf
    exact, mass = attend(query, keys.bfloat16().float(), values.bfloat16().float(), mask, None)
    found, found_mass = attend(query, keys.bfloat16(), values.bfloat16(), mask, None)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, exact, rtol=0, atol=0.03)
    torch.testing.assert_close(found_mass, mass, rtol=0, atol=0.03)


class Attention(nn.Module):
    """What attention needs to know of a module."""

    def __init__(self, is_causal: bool = False) -> None:
        super().__init__()
        self.is_causal = is_causal


@pytest.mark.parametrize("scores", [2**20, 200, 30])  # all heads at once, some, parts of one
def test_images_are_attended_to_in_blocks(scores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "SCORES", scores)
    monkeypatch.setattr(blocks, "FEWEST_ROWS", 3)
    query, key, value = (torch.randn(2, 9, 3, 8).transpose(1, 2) for _ in range(3))
    found, _ = blocks.attend(Attention(), query, key, value, None, scaling=0.3)
    exact = nn.functional.scaled_dot_product_attention(query, key, value, scale=0.3).transpose(1, 2)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), exact, rtol=0, atol=0.03)


def test_masked_and_causal_attention_stays_as_it_is() -> None:
    query, key, value = (torch.randn(1, 2, 5, 8) for _ in range(3))
    attention = nn.functional.scaled_dot_product_attention
    mask = torch.rand(1, 1, 5, 5) > 0.3
    mask[..., 0] = True
    found, _ = blocks.attend(Attention(), query, key, value, mask)
    assert torch.equal(found, attention(query, key, value, mask).transpose(1, 2))
    found, _ = blocks.attend(Attention(is_causal=True), query, key, value, None)
    assert torch.equal(found, attention(query, key, value, is_causal=True).transpose(1, 2))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_vision_tower_attends_in_blocks_only_while_it_is_asked_to(architecture: str) -> None:
    model, _ = ARCHITECTURES[architecture]()
    found = {name: m.config._attn_implementation for name, m in model.named_modules() if "is_causal" in vars(m)}
    assert set(found.values()) == {"sdpa"}
    with blocks.installed([attention.config for attention in blocks.tower_attentions(model)]):
        inside = {name: m.config._attn_implementation for name, m in model.named_modules() if name in found}
    assert {name: kind == blocks.NAME for name, kind in inside.items()} == {name: "vis" in name for name in found}
    assert {m.config._attn_implementation for n, m in model.named_modules() if n in found} == {"sdpa"}


@needs_bf16
def test_the_model_is_its_own_between_groups_and_afterwards() -> None:
    with policy().inference() as ready:
        inputs = ready.renderer.process([requests(1)[0].prompt])
        logits = ready.model(**inputs).logits
        groups = NativeEngine(rows=1, dtype="bfloat16").generate(ready, requests(3), GREEDY, seed=0)
        next(groups)
        assert torch.equal(ready.model(**inputs).logits, logits)
        groups.close()  # type: ignore[attr-defined]
        assert torch.equal(ready.model(**inputs).logits, logits)
        assert not [name for name, module in ready.model.named_modules() if "forward" in vars(module)]


@needs_bf16
def test_weights_trained_in_between_are_used() -> None:
    engine = NativeEngine(dtype="bfloat16")
    with policy().inference() as ready:
        before = [group.rollouts[0].tokens for group in engine.generate(ready, requests(3), GREEDY, seed=0)]
        for weight in ready.model.parameters():
            weight.data.add_(torch.randn_like(weight))
        after = [group.rollouts[0].tokens for group in engine.generate(ready, requests(3), GREEDY, seed=0)]
    assert before != after


@pytest.mark.parametrize("dtype", ["float32", pytest.param("bfloat16", marks=needs_bf16)])
def test_other_weights_are_refused(dtype: Any) -> None:
    with policy().inference() as ready:
        half = Policy(ready.model.to(torch.float16), ready.renderer)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match=rf"{dtype}.*fp32.*_proj has others\. Set engine\.dtype to auto"):
            next(NativeEngine(dtype=dtype).generate(half, requests(1), GREEDY, seed=0))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_machine_that_cannot_is_told(dtype: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mstar.rollout.native.packed.can_pack", lambda _dtype: False)
    with policy().inference() as ready, pytest.raises(ValueError, match=f"{dtype}.*oneDNN.*set it to auto"):
        next(NativeEngine(dtype=dtype).generate(ready, requests(1), GREEDY, seed=0))


def test_a_machine_without_bf16_is_told_of_fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mstar.rollout.native.packed.can_pack", lambda dtype: dtype == torch.float32)
    with policy().inference() as ready, pytest.raises(ValueError, match="no instructions: set it to float32"):
        next(NativeEngine(dtype="bfloat16").generate(ready, requests(1), GREEDY, seed=0))


def test_another_type_is_refused() -> None:
    with pytest.raises(ValueError, match=r"engine\.dtype is bf16; give auto, float32 or bfloat16"):
        NativeEngine(dtype="bf16")  # type: ignore[arg-type]


@needs_bf16
def test_what_is_only_read_again_stays_in_bf16() -> None:
    wanted = {"up_proj": torch.bfloat16, "down_proj": torch.float32, "fc1": torch.bfloat16, "fc2": torch.float32}
    kinds = {
        **wanted,
        "layers.0.self_attn.o_proj": torch.float32,
        "out_proj": torch.bfloat16,
        "lm_head": torch.bfloat16,
    }
    model, _ = ARCHITECTURES["idefics3"]()
    with torch.inference_mode():
        packed = PackedLinears(model, torch.bfloat16)
        for end, kind in kinds.items():
            layer: Any = next(module for name, module in model.named_modules() if name.endswith(end))
            (found,) = packed.around(layer(torch.randn(2, layer.in_features)) for _ in range(1))
            assert found.dtype == kind, end


@needs_bf16
def test_a_model_that_computes_on_its_logits_gets_them_in_fp32() -> None:
    with policy().inference() as ready:
        head: Any = ready.model.get_output_embeddings()
        x = torch.randn(2, head.in_features)
        (narrow,) = PackedLinears(ready.model, torch.bfloat16).around(head(x) for _ in range(1))
        ready.model.config.get_text_config().logit_scale = 2.0
        (wide,) = PackedLinears(ready.model, torch.bfloat16).around(head(x) for _ in range(1))
    assert narrow.dtype == torch.bfloat16 and wide.dtype == torch.float32
    assert torch.equal(narrow.float(), wide)


def test_many_equal_keys_do_not_overflow_in_half_precision() -> None:
    keys = torch.ones(1, 1, 8192, 4, dtype=torch.float16)
    found, _ = attend(torch.ones(1, 1, 1, 4), keys, 10 * keys, None, None)
    torch.testing.assert_close(found, torch.full_like(found, 10.0), rtol=1e-2, atol=0)


def test_products_are_timed_in_the_types_that_can_be_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    packable = {name for name, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)) if can_pack(dtype)}
    rates = product_rates(256)
    assert rates.keys() == {"auto", *packable} and all(1e6 < rate < 1e15 for rate in rates.values())
    monkeypatch.setattr("mstar.rollout.native.packed.can_pack", lambda dtype: False)
    assert product_rates(32).keys() == {"auto"}


def test_a_type_that_is_slow_here_is_warned_of(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("mstar.rollout.native.packed.product_rates", lambda: {"auto": 200e9, "bfloat16": 100e9})
    warn_if_slow.__wrapped__("bfloat16")
    assert "computes 100 GFLOP/s, with auto 200: set it to auto" in caplog.text
    caplog.clear()
    monkeypatch.setattr("mstar.rollout.native.packed.product_rates", lambda: {"auto": 200e9, "bfloat16": 300e9})
    warn_if_slow.__wrapped__("bfloat16")
    assert not caplog.text


def test_timing_products_leaves_random_numbers_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    product_rates(32)
    assert torch.equal(torch.rand(4), expected)
