"""The linear layers in bf16."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from mstar.demo.scenes import DigitScenes
from mstar.modules.policy import Policy
from mstar.rollout.native import NativeEngine
from mstar.rollout.native.packed import PackedLinears, can_pack
from mstar.types import Request, Sampling
from tests.policies import policy

needs_bf16 = pytest.mark.skipif(not can_pack(), reason="this CPU has no instructions for bf16")
GREEDY = Sampling(num_responses=1, temperature=0.0, max_new_tokens=12)


def requests(num: int) -> list[Request]:
    scenes = DigitScenes("prompts", num, seed=0)
    return [Request(scenes[i]) for i in range(num)]


@needs_bf16
def test_products_are_those_of_rounded_numbers() -> None:
    layer, x = nn.Linear(48, 32), torch.randn(5, 3, 48)
    plain: Tensor = layer(x)
    (packed,) = PackedLinears(nn.Sequential(layer)).around(layer(x) for _ in range(1))
    exact = nn.functional.linear(x.bfloat16().float(), layer.weight.bfloat16().float(), layer.bias.bfloat16().float())
    assert packed.dtype == torch.float32
    torch.testing.assert_close(packed, exact, rtol=2**-7, atol=1e-6)  # one rounding to bf16, of the result
    assert not torch.equal(packed, plain)


@needs_bf16
def test_log_probabilities_are_near_those_of_the_policy() -> None:
    with policy().inference() as ready:
        found = {
            dtype: next(iter(NativeEngine(dtype=dtype, logprobs=True).generate(ready, requests(1), GREEDY, seed=0)))
            for dtype in ("auto", "bfloat16")
        }
    one, other = (found[dtype].rollouts[0].logprobs for dtype in ("auto", "bfloat16"))
    assert one is not None and other is not None
    assert one != other
    assert one[0] == pytest.approx(other[0], abs=0.05)


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


@needs_bf16
def test_other_weights_are_refused() -> None:
    with policy().inference() as ready:
        half = Policy(ready.model.to(torch.float16), ready.renderer)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match=r"fp32.*_proj has others\. Set engine\.dtype to auto"):
            next(NativeEngine(dtype="bfloat16").generate(half, requests(1), GREEDY, seed=0))


def test_a_machine_that_cannot_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mstar.rollout.native.packed.can_pack", lambda: False)
    with policy().inference() as ready, pytest.raises(ValueError, match="set it to auto"):
        next(NativeEngine(dtype="bfloat16").generate(ready, requests(1), GREEDY, seed=0))
