"""What every family must pass, a function a check; each raises ``AssertionError`` where it does not hold."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from mstar.modules.adapter import Lora
from mstar.modules.backbone import PretrainedBackbone
from mstar.modules.families import PARTS, family_of, parameters_of, part_of, placeholders
from mstar.modules.logprobs import response_logprobs, token_logprobs
from mstar.modules.packing import pack
from mstar.modules.policy import Policy, PolicyModule, freeze
from mstar.modules.process_reward import ProcessRewardModule
from mstar.modules.renderer import Renderer
from mstar.modules.tree import shares
from mstar.rollout import GenerateEngine, NativeEngine, RolloutEngine
from mstar.rollout.native.packed import can_pack
from mstar.types import Group, Prompt, Request, Sampling

RESPONSES = ("3+4=7\n\nIt is 7.", "It is 9.")
CLOSE = 2e-4
"""Between two ways to compute a log-probability in fp32."""
ROUNDED = 0.1
"""Between one in fp32 and one in bf16, of these small models."""


def picture(seed: int, width: int, height: int) -> Image.Image:
    """Noise."""
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


class Subject:
    """A family's tiny checkpoint, opened by ``PretrainedBackbone``; what checks measure by."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def module(self) -> PolicyModule:
        """The policy; checks leave it as they find it."""
        made = PolicyModule(self.backbone)
        made.configure_model()
        return made

    @property
    def backbone(self) -> PretrainedBackbone:
        """Where it comes from."""
        return PretrainedBackbone(str(self.folder), dtype="float32")

    @cached_property
    def prompts(self) -> list[Prompt]:
        """None, one and three images, of sizes that divide by nothing."""
        sizes = [[], [(64, 48)], [(33, 47), (101, 40), (20, 90)]]
        pictures = [[picture(i + 7 * n, *size) for i, size in enumerate(each)] for n, each in enumerate(sizes)]
        asked = [Prompt(f"{len(each)}", "What is the sum" + " of these" * len(each) + "?", each) for each in pictures]
        return [prompt for prompt in asked if prompt.images or not family_of(self.model).needs_image]

    @cached_property
    def model(self) -> Any:
        """The policy's."""
        return self.module.model

    @cached_property
    def renderer(self) -> Renderer:
        """The policy's."""
        return self.module.renderer

    @property
    def pairs(self) -> list[tuple[Prompt, tuple[int, ...]]]:
        """Each prompt with two responses."""
        return [(prompt, self.renderer.response_tokens(text)) for prompt in self.prompts for text in RESPONSES]

    def sample(self, engine: RolloutEngine, sampling: Sampling) -> list[Group]:
        """Groups in the order of the prompts."""
        with self.module.inference() as ready:
            found = {g.name: g for g in engine.generate(ready, [Request(p) for p in self.prompts], sampling, seed=1)}
        return [found[prompt.id] for prompt in self.prompts]

    def logits(self, prompts: Sequence[Prompt]) -> Tensor:
        """Of each prompt's last token, ``(B, V)``, the prompts standing in one batch."""
        with self.module.inference() as ready:
            return ready.model(**ready.renderer.process(prompts)).logits[:, -1]


def chat_template(subject: Subject) -> None:
    """A prompt with none, one and three images becomes tokens; each image more than its placeholder."""
    renderer, banned = subject.renderer, torch.tensor(placeholders(subject.model))
    for prompt in subject.prompts:
        inputs = renderer.process([prompt])
        images = int(torch.isin(inputs["input_ids"], banned).sum())
        assert (images == 0) == (not prompt.images)
        assert images >= len(prompt.images)
        assert prompt.question in renderer.decode(inputs["input_ids"][0].tolist())
    if len(subject.prompts) == 3:
        assert not any("pixel" in name for name in renderer.process(subject.prompts[:1]))


def odd_sizes(subject: Subject) -> None:
    """Pictures of any size are read, seen, and take the tokens that they were said to take."""
    for index, size in enumerate([(33, 47), (120, 9), (5, 7), (97, 101)]):
        seen, mirrored = picture(index, *size), picture(index, *size).rotate(180)
        prompt, other = Prompt("a", "How many?", (seen,)), Prompt("b", "How many?", (mirrored,))
        assert subject.renderer.num_tokens(prompt) == subject.renderer.process([prompt])["input_ids"].shape[1]
        here, there = subject.logits([prompt]), subject.logits([other])
        assert here.isfinite().all()
        assert (here - there).abs().max() > 1e-5


def mixed_batch(subject: Subject) -> None:
    """Prompts of one batch, with images of several sizes or none, give what each gives alone."""
    renderer, prompts = subject.renderer, subject.prompts
    together = renderer.process(prompts)
    merged = renderer.merged([renderer.process([prompt]) for prompt in prompts])
    assert torch.equal(together["input_ids"], merged["input_ids"])
    alone = torch.cat([subject.logits([prompt]) for prompt in prompts])
    assert torch.allclose(subject.logits(prompts), alone, atol=CLOSE)
    with subject.module.inference() as ready:
        assert torch.allclose(ready.model(**merged).logits[:, -1], alone, atol=CLOSE)


def same_prompt_tokens(subject: Subject) -> None:
    """The sampler, the trainer and a process reward call the model with the same tokens for a prompt."""
    with called(subject.model) as sampler:
        subject.sample(NativeEngine(), Sampling(2, max_new_tokens=1))
    with called(subject.model) as trainer, subject.module.inference() as ready:
        response_logprobs(ready.model, ready.renderer, subject.pairs)
    judge = ProcessRewardModule(subject.backbone)
    judge.configure_model()
    with called(judge.model.base_model) as scorer:
        judge.score_steps(subject.prompts, ["7"] * len(subject.prompts))
    expected = {tuple(subject.renderer.process([prompt])["input_ids"][0].tolist()) for prompt in subject.prompts}
    for found in (sampler, trainer, scorer):
        assert {row[: len(each)] for row in found for each in expected if row[: len(each)] == each} == expected
    assert len(expected) == len(subject.prompts)


@contextmanager
def called(model: Any) -> Iterator[set[tuple[int, ...]]]:
    """The rows of tokens that a model is called with, padding left out."""
    rows: set[tuple[int, ...]] = set()

    def note(_model: Any, _args: Any, given: dict[str, Any]) -> None:
        ids, mask = given["input_ids"], given.get("attention_mask")
        real = mask.bool() if mask is not None and mask.shape == ids.shape else torch.ones_like(ids, dtype=torch.bool)
        rows.update(tuple(row[keep].tolist()) for row, keep in zip(ids, real, strict=True))

    hook = model.register_forward_pre_hook(note, with_kwargs=True)
    try:
        yield rows
    finally:
        hook.remove()


def never_sampled(subject: Subject) -> None:
    """Tokens that an image stands for are not sampled, however likely the model thinks them."""
    banned = placeholders(subject.model)
    assert banned

    def insist(_module: Any, _args: Any, logits: Tensor) -> Tensor:
        logits = logits.clone()
        logits[..., banned] = 50.0
        return logits

    hook = subject.model.get_output_embeddings().register_forward_hook(insist)
    try:
        for engine in (NativeEngine(), GenerateEngine()):
            for group in subject.sample(engine, Sampling(2, max_new_tokens=3)):
                assert not {token for rollout in group for token in rollout.tokens} & set(banned)
    finally:
        hook.remove()


def loss_mask(subject: Subject) -> None:
    """The loss counts the response's tokens, its end among them, and nothing else."""
    (part,) = pack(subject.renderer, subject.pairs, 10**6, shares(subject.model))
    assert sorted(part["index"].tolist()) == list(range(len(subject.pairs)))
    for number, row, places, labels in zip(*(part[n] for n in ("index", "rows", "places", "labels")), strict=True):
        prompt, tokens = subject.pairs[int(number)]
        start = int(part["prompt_lengths"][row])
        ids = part["input_ids"][row]
        counted = labels >= 0
        assert tuple(labels[counted].tolist()) == tokens == tuple(ids[places[counted]].tolist())
        assert int(places[counted].min()) >= start
        assert ids[:start].tolist() == subject.renderer.process([prompt])["input_ids"][0].tolist()
    with subject.module.inference() as ready:
        logprobs, mask = token_logprobs(ready.model, part)
    assert torch.equal(mask, part["labels"] >= 0) and bool((logprobs[mask] < 0).all())


def same_logprobs(subject: Subject) -> None:
    """What the engine records is what the trainer computes, and what a plain forward pass gives."""
    groups = subject.sample(NativeEngine(logprobs=True), Sampling(2, temperature=0.8, max_new_tokens=5))
    with subject.module.inference() as ready:
        for group in groups:
            pairs = [(group.prompt, rollout.tokens) for rollout in group]
            for rollout, trained in zip(group, response_logprobs(ready.model, ready.renderer, pairs), strict=True):
                assert rollout.logprobs == pytest.approx(trained, abs=CLOSE)
                assert trained == pytest.approx(plain(ready, group.prompt, rollout.tokens), abs=CLOSE)


def packed_weights(subject: Subject) -> None:
    """With weights packed in fp32 the engine records what the trainer computes; with weights in bf16, nearly that."""
    near = {"float32": CLOSE, "bfloat16": ROUNDED}
    types: tuple[Any, ...] = tuple(name for name in near if can_pack(getattr(torch, name)))
    for dtype in types:
        engine = NativeEngine(logprobs=True, dtype=dtype)
        groups = subject.sample(engine, Sampling(2, temperature=0.8, max_new_tokens=5))
        with subject.module.inference() as ready:
            pairs = [(group.prompt, rollout.tokens) for group in groups for rollout in group]
            trained = response_logprobs(ready.model, ready.renderer, pairs)
        found = [rollout.logprobs for group in groups for rollout in group]
        assert [pytest.approx(each, abs=near[dtype]) for each in trained] == found


def plain(ready: Policy, prompt: Prompt, tokens: tuple[int, ...]) -> list[float]:
    """Log-probabilities of a response by one call of the model on prompt and response."""
    logits = ready.model(**ready.renderer.encode([prompt], [tokens])).logits[0, -len(tokens) - 1 : -1]
    found: list[float] = logits.log_softmax(-1).gather(-1, torch.tensor(tokens)[:, None])[:, 0].tolist()
    return found


def same_greedy_tokens(subject: Subject) -> None:
    """The engine's greedy tokens are those of transformers' ``generate``."""
    sampling = Sampling(1, temperature=0, max_new_tokens=8)
    mine, reference = (subject.sample(engine, sampling) for engine in (NativeEngine(), GenerateEngine()))
    assert [group.rollouts[0].tokens for group in mine] == [group.rollouts[0].tokens for group in reference]


def process_scores(subject: Subject) -> None:
    """A process reward scores each step, the same alone and in a batch; the picture counts."""
    judge = ProcessRewardModule(subject.backbone)
    judge.configure_model()
    with torch.no_grad():
        judge.head.linear.weight.normal_(generator=torch.Generator().manual_seed(0))
    prompts = [prompt for prompt in subject.prompts for _ in RESPONSES]
    scores = judge.score_steps(prompts, RESPONSES * len(subject.prompts))
    assert [len(steps) for steps in scores] == [2, 1] * len(subject.prompts)
    assert all(0 < step < 1 for steps in scores for step in steps)
    last = prompts[-1]
    (alone,) = judge.score_steps([last], RESPONSES[1:])
    assert alone == pytest.approx(scores[-1], abs=CLOSE)
    turned = replace(last, images=tuple(image.rotate(180) for image in last.images))
    assert judge.score_steps([turned], RESPONSES[1:]) != [alone]


def save_and_reload(subject: Subject) -> None:
    """An exported policy is the same model and the same processor."""
    with tempfile.TemporaryDirectory() as folder:
        subject.module.export(Path(folder), subject.module.state_dict())
        again = Subject(Path(folder))
        mine, theirs = (each.renderer.process(subject.prompts) for each in (subject, again))
        assert mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)
        assert torch.equal(again.logits(subject.prompts), subject.logits(subject.prompts))
        assert [*again.module.state_dict()] == [*subject.module.state_dict()]


def lora_found(subject: Subject) -> None:
    """Adapters go to the language model's linear layers; they alone learn, and each of them does."""
    model, processor = subject.backbone.load()
    family, head = family_of(model), model.get_output_embeddings()
    linear = [name for name, module in model.named_modules() if isinstance(module, nn.Linear) and module is not head]
    targets = {name for name in linear if part_of(family, name) == "language_model"}
    layers = model.config.get_text_config().num_hidden_layers
    assert len(targets) >= 6 * layers
    adapted = Lora(r=2).apply(model)
    trained = {name: p for name, p in adapted.named_parameters() if p.requires_grad}
    assert {name.removeprefix("base_model.model.").split(".lora_")[0] for name in trained} == targets
    assert len(trained) == 2 * len(targets)
    with torch.no_grad():
        for name, parameter in trained.items():
            if "lora_B" in name:
                parameter.fill_(0.01)
    renderer = Renderer(processor)
    for part in pack(renderer, subject.pairs, 10**6, shares(model)):
        token_logprobs(adapted, part)[0].sum().backward()
    assert [name for name, parameter in trained.items() if parameter.grad is None or not parameter.grad.any()] == []


def freezing(subject: Subject) -> None:
    """Every parameter belongs to the vision tower, the projector or the language model, and each can be frozen."""
    model, _ = subject.backbone.load()
    parts = {part: parameters_of(model, part) for part in PARTS}
    names = [name for name, _ in model.named_parameters()]
    assert sorted(name for part in parts.values() for name in part) == sorted(names)
    inside = {id(parameter) for parameter in model.get_decoder().parameters()}
    inside |= {id(parameter) for parameter in model.get_output_embeddings().parameters()}
    assert parts["language_model"] == [name for name, parameter in model.named_parameters() if id(parameter) in inside]
    for part in PARTS:
        for parameter in model.parameters():
            parameter.requires_grad_(True)
        freeze(model, [part])
        assert [name for name, parameter in model.named_parameters() if not parameter.requires_grad] == parts[part]
    for parameter in model.parameters():
        parameter.requires_grad_(True)
    freeze(model, ["vision_tower"])
    (batch,) = pack(subject.renderer, subject.pairs, 10**6, shares(model))
    token_logprobs(model, batch)[0].sum().backward()
    learns = {part_of(family_of(model), n) for n, p in model.named_parameters() if p.grad is not None and p.grad.any()}
    assert learns == {"projector", "language_model"}


CHECKS: tuple[Callable[[Subject], None], ...] = (
    chat_template,
    odd_sizes,
    mixed_batch,
    same_prompt_tokens,
    never_sampled,
    loss_mask,
    same_logprobs,
    packed_weights,
    same_greedy_tokens,
    process_scores,
    save_and_reload,
    lora_found,
    freezing,
)
