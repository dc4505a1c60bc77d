"""Responses that share a prompt's row are trained on as if each had a row of its own, whatever the architecture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel

from mstar.datamodules.policy_data import Example, collate
from mstar.modules import logprobs as logprobs_module
from mstar.modules import packing
from mstar.modules.logprobs import response_logprobs, token_logprobs
from mstar.modules.packing import pack
from mstar.modules.renderer import Inputs, Renderer
from mstar.objectives import GRPO, SFT, Objective
from mstar.types import Prompt
from tests.architectures import ARCHITECTURES, prompts_for

EVERYTHING = 10**6


@cache
def ready(name: str) -> tuple[PreTrainedModel, Renderer]:
    model, processor = ARCHITECTURES[name]()
    return model, Renderer(processor)


def examples(name: str, seed: int = 0) -> list[Example]:
    """Two to four responses a prompt, in mixed order; some begin alike, two are equal."""
    draw = np.random.default_rng(seed)
    made = []
    for index, prompt in enumerate(prompts_for(name, 4)):
        stem = tuple(draw.integers(60, 250, 3).tolist())
        for number in range(2 + index % 3):
            tokens = (*stem, *draw.integers(60, 250, int(draw.integers(1, 12))).tolist())
            tokens = tokens if number % 2 else tokens[3 - index % 3 :]
            old = tuple(draw.normal(-6, 1, len(tokens)).tolist())
            made.append(Example(prompt, tokens, float(draw.normal()), old))
    made.append(replace(made[0], advantage=0.3))
    return [made[i] for i in draw.permutation(len(made))]


def plain(model: PreTrainedModel, renderer: Renderer, example: Example) -> Tensor:
    """Log-probabilities of one response by the model's ordinary forward pass over nothing else."""
    inputs: Inputs = renderer.process([example.prompt])
    length = inputs["input_ids"].shape[1]
    row = torch.tensor([example.tokens])
    ids = torch.cat([inputs["input_ids"], row], 1)
    inputs = {**inputs, "input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if "mm_token_type_ids" in inputs:
        inputs["mm_token_type_ids"] = torch.nn.functional.pad(inputs["mm_token_type_ids"], (0, row.shape[1]))
    logits = model(**inputs).logits[0, length - 1 : -1]
    return logits.log_softmax(-1).gather(-1, row[0][:, None])[:, 0]


def gradients(model: PreTrainedModel, loss: Tensor) -> list[Tensor]:
    parameters = list(model.parameters())
    found = torch.autograd.grad(loss, parameters, allow_unused=True)
    return [torch.zeros_like(p) if g is None else g for p, g in zip(parameters, found, strict=True)]


def assert_equal_gradients(found: list[Tensor], expected: list[Tensor]) -> None:
    total = torch.sqrt(sum(((a - b) ** 2).sum() for a, b in zip(found, expected, strict=True)))
    assert total < 1e-5 * torch.sqrt(sum((b**2).sum() for b in expected))
    assert sum((b**2).sum() for b in expected) > 0


@pytest.mark.parametrize("share", [True, False])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_loss_and_gradients_are_those_of_one_forward_a_response(name: str, share: bool) -> None:
    model, renderer = ready(name)
    kept = examples(name)
    parts = collate(renderer, EVERYTHING, share, kept)
    assert len(parts) == 1 and len(parts[0]["input_ids"]) == (4 if share else len(kept))
    loss, _ = SFT().loss(model, parts[0])
    each = torch.cat([plain(model, renderer, example) for example in kept])
    assert loss.item() == pytest.approx(-each.mean().item(), rel=1e-5)
    assert_equal_gradients(gradients(model, loss), gradients(model, -each.mean()))


@pytest.mark.parametrize("objective", [SFT(), GRPO()])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_parts_add_up_to_the_whole(name: str, objective: Objective) -> None:
    model, renderer = ready(name)
    kept = examples(name)
    (whole,) = collate(renderer, EVERYTHING, True, kept)
    parts = collate(renderer, 150, True, kept)
    assert len(parts) > 1 and all(part["input_ids"].numel() <= 150 or len(part["input_ids"]) == 1 for part in parts)
    assert sorted(i for part in parts for i in part["index"].tolist()) == list(range(len(kept)))
    expected, metrics = objective.loss(model, whole)
    shares = [objective.loss(model, part) for part in parts]
    assert sum(loss.item() for loss, _ in shares) == pytest.approx(expected.item(), rel=1e-5)
    for metric, value in metrics.items():
        assert sum(m[metric].item() for _, m in shares) == pytest.approx(value.item(), rel=1e-5)
    cut = [gradients(model, loss) for loss, _ in shares]
    assert_equal_gradients([torch.stack(g).sum(0) for g in zip(*cut, strict=True)], gradients(model, expected))


@pytest.mark.parametrize("budget", [60, 400, EVERYTHING])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_logprobs_of_existing_responses_do_not_depend_on_the_budget(name: str, budget: int) -> None:
    model, renderer = ready(name)
    kept = examples(name, seed=1)
    found = response_logprobs(model, renderer, [(e.prompt, e.tokens) for e in kept], budget)
    for example, logprobs in zip(kept, found, strict=True):
        with torch.no_grad():
            assert logprobs == pytest.approx(plain(model, renderer, example).tolist(), abs=1e-4)


def test_a_prompt_with_very_many_tokens_behind_it_takes_several_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "LONGEST", 20)
    model, renderer = ready("llava")
    kept = examples("llava")
    (part,) = collate(renderer, EVERYTHING, True, kept)
    assert 4 < len(part["input_ids"]) < len(kept)
    expected = [plain(model, renderer, kept[i]).sum().item() for i in part["index"].tolist()]
    assert token_logprobs(model, part)[0].sum(1).tolist() == pytest.approx(expected, rel=1e-5)


def test_beginnings_that_responses_share_are_computed_once() -> None:
    _, renderer = ready("llava")
    prompt = prompts_for("llava", 1)[0]
    (part,) = pack(renderer, [(prompt, (70, 71, 72)), (prompt, (70, 71, 80)), (prompt, (70, 71))], EVERYTHING, True)
    assert part["input_ids"].shape[1] == part["prompt_lengths"][0] + 4


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_chunks_of_logits_give_the_same_loss_and_gradients(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, renderer = ready(name)
    (part,) = collate(renderer, EVERYTHING, True, examples(name))
    loss, _ = SFT().loss(model, part)
    monkeypatch.setattr(logprobs_module, "ALIVE", 3 * model.config.get_text_config().vocab_size)
    calls: list[int] = []
    head = model.get_output_embeddings()
    forward = head.forward
    monkeypatch.setattr(head, "forward", lambda h: calls.append(h.shape[-2]) or forward(h))
    chunked, _ = SFT().loss(model, part)
    assert max(calls) == 3 and len(calls) > 5
    assert chunked.item() == pytest.approx(loss.item(), rel=1e-6)
    assert_equal_gradients(gradients(model, chunked), gradients(model, loss))


def test_logits_that_a_model_changes_behind_its_head_are_kept_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import Gemma2Config, Gemma2ForCausalLM

    monkeypatch.setattr(logprobs_module, "ALIVE", 1)
    config = Gemma2Config(
        vocab_size=300, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, head_dim=8,
        num_key_value_heads=1, final_logit_softcapping=0.1, initializer_range=1.0, layer_types=["full_attention"],
    )  # fmt: skip
    model = Gemma2ForCausalLM(config).eval()
    ids = torch.tensor([[5, 6, 7, 8]])
    part = {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "ends": torch.full_like(ids, 4),
        "prompt_lengths": torch.tensor([2]),
        "rows": torch.tensor([0]),
        "places": torch.tensor([[2, 3]]),
        "labels": ids[:, 2:],
    }
    expected = model(input_ids=ids).logits.log_softmax(-1)[0, [1, 2], [7, 8]]
    assert torch.allclose(token_logprobs(model, part)[0][0], expected, atol=1e-5)


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("budget", [1, 150, 300, EVERYTHING])
def test_images_are_processed_once_and_parts_do_not_depend_on_what_was_seen_before(
    name: str, budget: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    renderer = Renderer(ready(name)[1].processor)
    pairs = [(example.prompt, example.tokens) for example in examples(name)]
    seen: list[str] = []
    process = Renderer.process

    def counted(self: Renderer, prompts: Sequence[Prompt]) -> Inputs:
        seen.extend(prompt.id for prompt in prompts)
        return process(self, prompts)

    monkeypatch.setattr(Renderer, "process", counted)
    first, second = (list(pack(renderer, pairs, budget, True)) for _ in range(2))
    assert sorted(seen) == sorted(2 * [prompt.id for prompt in prompts_for(name, 4)])
    for one, other in zip(first, second, strict=True):
        assert one.keys() == other.keys() and all(torch.equal(one[field], other[field]) for field in one)


def test_long_prompts_stand_with_long_prompts() -> None:
    _, renderer = ready("llava")
    short = prompts_for("llava", 1)[0]
    long = replace(short, question=short.question * 8)
    prompts = [replace(prompt, id=str(i)) for i, prompt in enumerate([short, long] * 4)]
    parts = list(pack(renderer, [(prompt, (70,) * 9) for prompt in prompts], 300, True))
    assert sum(part["attention_mask"].numel() - part["attention_mask"].sum() for part in parts) == 0
    assert 2 <= len(parts) < len(prompts) and all(part["input_ids"].numel() <= 300 for part in parts)


def test_prompts_that_share_an_id_alone_are_refused() -> None:
    one, other = prompts_for("llava", 2)
    pairs = [(one, (70,)), (replace(other, id=one.id), (71,))]
    with pytest.raises(ValueError, match="the id 'llava-0', but their question differ"):
        list(pack(ready("llava")[1], pairs, 100, True))


def test_a_budget_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="token_budget is 0; give 1 or more"):
        list(pack(ready("llava")[1], [(prompts_for("llava", 1)[0], (70,))], 0, True))
