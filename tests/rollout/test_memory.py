"""How much is in memory at the same time, and what was counted of it."""

from __future__ import annotations

import random
import weakref
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import psutil
import pytest
import torch
from PIL.Image import Image

from mstar.modules.packing import pack
from mstar.modules.policy import PolicyModule
from mstar.modules.renderer import Renderer
from mstar.prompts.images import LazyImages
from mstar.rollout import NativeEngine
from mstar.rollout.native.memory import bytes_per_row, free_memory, room
from mstar.rollout.native.prompts import SharedPrompts
from mstar.rollout.native.slots import KeyShape, Slots
from mstar.types import Prompt, Request, Sampling
from tests.architectures import prompts_for
from tests.policies import backbone

SHAPE = KeyShape(layers=2, heads=3, key_size=4, value_size=5, dtype=torch.float32, device=torch.device("cpu"))


@pytest.fixture(scope="module")
def module() -> PolicyModule:
    return PolicyModule(backbone())


def test_rows_and_prompts_fit_into_the_share(module: PolicyModule, monkeypatch: pytest.MonkeyPatch) -> None:
    with module.inference() as policy:
        each = bytes_per_row(policy.model, 100)
        monkeypatch.setattr("mstar.rollout.native.memory.free_memory", lambda _: 60 * each)
        fits = room(policy.model, 100, share=0.5)
        assert fits.rows == 20 and fits.row_bytes == 20 * each and fits.prompt_bytes == 10 * each
        assert room(policy.model, 100, share=0.5, rows=7).prompt_bytes == 23 * each
        assert room(policy.model, 100, share=0.5, rows=500).prompt_bytes == 10 * each
        assert room(policy.model, 10**9, share=0.5).rows == 1
        assert fits.halved() == type(fits)(10, 10 * each, 5 * each)


def test_a_row_counts_its_keys_and_values(module: PolicyModule) -> None:
    with module.inference() as policy:
        text = policy.model.config.get_text_config()
        keys = 2 * text.num_hidden_layers * text.num_key_value_heads * text.head_dim * 4
        grown = bytes_per_row(policy.model, 600) - bytes_per_row(policy.model, 300)
        assert grown == 2 * (1024 - 512) * keys  # slots of 64, 128, … come beside the one that holds them all
        assert free_memory(policy.model.device) > 2**20


def test_no_further_prompt_is_computed_while_prompts_fill_their_room(
    module: PolicyModule, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mstar.rollout.native.intake.PREFILL_TOKENS", 1)  # a prompt a forward pass
    requests = [Request(prompt) for prompt in prompts_for("llava", 6)]
    sampling = Sampling(2, max_new_tokens=6)
    found = {}
    for memory in (1e-12, 0.5):  # room for nothing: one prompt after the other all the same
        engine = NativeEngine(rows=12, share=True, memory=memory)
        with module.inference() as policy:
            groups = {g.prompt.id: g for g in engine.generate(policy, requests, sampling, 0)}
        found[memory] = {name: [r.tokens for r in group] for name, group in groups.items()}, engine.account
    few, many = found[1e-12][1], found[0.5][1]
    assert found[1e-12][0] == found[0.5][0]
    assert few.steps > many.steps and few.cache_bytes < many.cache_bytes


def test_the_account_adds_up(module: PolicyModule) -> None:
    engine = NativeEngine(rows=4)
    with module.inference() as policy:
        asked = [Request(prompt) for prompt in prompts_for("llava", 3)]
        groups = list(engine.generate(policy, asked, Sampling(3, max_new_tokens=7), 0))
    account, tokens = engine.account, [len(r.tokens) for group in groups for r in group]
    assert (account.prompts, account.responses, account.tokens) == (3, 9, sum(tokens))
    assert account.row_steps == sum(tokens) - 9  # a response's first token comes from its prompt's forward pass
    assert account.rows == 4 * account.steps and 0.5 < account.occupancy <= 1
    assert {"encode", "prefill", "decode", "sample", "bookkeeping"} <= account.seconds.keys()
    before = account.flat()
    assert set(account.since(before).values()) == {0.0}


def test_slots_move_up_as_they_grow_and_close_gaps() -> None:
    slots = Slots(SHAPE, lambda _: 3)
    slots.reserve(100)
    for row in range(3):
        keys = torch.full((2, 3, 60 + row, 4), float(row))
        slots.add(row, keys, torch.full((2, 3, 60 + row, 5), float(row)))
    for _ in range(3):  # row 2 has 65 keys then: more than the 64 of the smallest slots
        order = slots.advance()
    assert order == [0, 1, 2] and slots.lengths == {0: 63, 1: 64, 2: 65}
    assert [shelf.rows for shelf in slots.shelves] == [[0, 1], [2]]
    slots.remove(0)
    assert slots.place == {1: (0, 0), 2: (1, 0)}
    for row in (1, 2):
        shelf, slot = slots.place[row]
        assert (slots.shelves[shelf].keys[:, slot, :, : 60 + row] == row).all()
        assert (slots.shelves[shelf].values[:, slot, :, : 60 + row] == row).all()


def test_rows_come_and_go_in_the_memory_of_as_many_as_there_may_be() -> None:
    draw, slots, next_row, most = random.Random(0), Slots(SHAPE, lambda _: 20), 0, 0
    slots.reserve(500)
    for _ in range(1500):
        while len(slots.lengths) < 20 and draw.random() < 0.5:
            length = draw.randrange(1, 200)
            keys, values = (torch.full((2, 3, length, size), float(next_row)) for size in (4, 5))
            slots.add(next_row, keys, values)
            next_row += 1
        slots.advance()
        most = max(most, len(slots.lengths))
        assert slots.nbytes <= most * (64 + 128 + 256 + 512) * SHAPE.bytes_per_token
        for row, length in list(slots.lengths.items()):
            if length == 500 or draw.random() < 0.02:
                slots.remove(row)
        for row in slots.lengths:
            shelf, slot = slots.place[row]
            assert slots.shelves[shelf].keys[0, slot, 0, 0, 0] == slots.shelves[shelf].values[1, slot, 2, 0, 4] == row
    assert next_row > 500 and most == 20


def test_keys_on_a_cpu_take_memory_as_they_are_written() -> None:
    many = KeyShape(layers=8, heads=8, key_size=128, value_size=128, dtype=torch.bfloat16, device=torch.device("cpu"))
    keys = many.keys(slots=512, capacity=1024)  # 8 GB
    assert keys.shape == (8, 512, 8, 1024, 128) and keys.dtype == torch.bfloat16 and keys.data_ptr() % 64 == 0
    keys[0, 3] = 1
    assert keys[0, 2:5].sum(dtype=torch.float32) == 8 * 1024 * 128
    assert psutil.Process().memory_info().rss < 6e9
    with pytest.raises(torch.OutOfMemoryError, match="allocate"):
        SHAPE.keys(slots=2**22, capacity=2**22)


def test_prompts_take_what_was_foreseen_and_give_it_back() -> None:
    draw, shared = random.Random(0), SharedPrompts(SHAPE)
    kept: dict[int, int] = {}
    for _ in range(300):
        for number in draw.sample(sorted(kept), draw.randrange(min(4, len(kept) + 1))):
            shared.remove(number)
            del kept[number]
        lengths = [draw.randrange(1, 100) for _ in range(draw.randrange(4))]
        if lengths:
            foreseen = shared.after(lengths) * SHAPE.bytes_per_token
            for length in lengths:
                number = shared.add(torch.full((2, 3, length, 4), float(length)), torch.zeros(2, 3, length, 5))
                kept[number] = length
            assert shared.nbytes == foreseen
        for number, length in kept.items():
            assert (shared.keys[:, number, :, :length] == length).all()
    for number in list(kept):
        shared.remove(number)
    assert shared.nbytes == 0


BEGINNINGS = [(), (70,), (70, 71, 72), (70, 80), tuple(range(60, 120))]


@pytest.mark.parametrize(("divided", "share"), [(True, True), (True, False), (False, None)])
def test_keys_and_values_stay_within_their_share_of_the_memory(
    module: PolicyModule, monkeypatch: pytest.MonkeyPatch, divided: bool, share: bool | None
) -> None:
    monkeypatch.setattr("mstar.rollout.native.engine.shares", lambda _: divided)
    asked = prompts_for("llava", 4)
    requests = [Request(prompt, p, f"{prompt.id}#{i}") for prompt in asked for i, p in enumerate(BEGINNINGS)]
    found = []
    with module.inference() as policy:
        for rows in (3, 40):
            free = 2 * rows * bytes_per_row(policy.model, 60 + 10)
            monkeypatch.setattr("mstar.rollout.native.memory.free_memory", lambda _, free=free: free)
            engine = NativeEngine(share=share, memory=0.75)
            groups = list(engine.generate(policy, requests, Sampling(1, max_new_tokens=10), 0))
            found.append({group.name: group.rollouts[0].tokens for group in groups})
            assert 0 < engine.account.cache_bytes < 0.75 * free
    assert found[0] == found[1] and len(found[0]) == len(requests)


def test_each_prompts_images_are_processed_once(module: PolicyModule, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mstar.rollout.native.intake.PREFILL_TOKENS", 150)  # three or four prompts
    requests = [Request(prompt) for prompt in prompts_for("llava", 40)]
    seen: list[str] = []
    process = Renderer.process

    def counted(renderer: Renderer, prompts: Sequence[Prompt]) -> Any:
        seen.extend(prompt.id for prompt in prompts)
        return process(renderer, prompts)

    monkeypatch.setattr(Renderer, "process", counted)
    for engine in (NativeEngine(), NativeEngine(rows=3)):
        seen.clear()
        with module.inference() as policy:
            assert len(list(engine.generate(policy, requests, Sampling(1, max_new_tokens=4), 0))) == 40
        assert sorted(seen) == sorted(request.prompt.id for request in requests)


@pytest.mark.parametrize("divided", [True, False])
def test_images_are_in_memory_only_while_their_prompt_is_encoded(
    module: PolicyModule, monkeypatch: pytest.MonkeyPatch, divided: bool
) -> None:
    monkeypatch.setattr("mstar.rollout.native.engine.shares", lambda _: divided)
    alive: list[int] = []
    most = 0

    def opened(image: Image) -> list[Image]:
        nonlocal most
        copy = image.copy()
        alive.append(1)
        most = max(most, len(alive))
        weakref.finalize(copy, alive.pop)
        return [copy]

    asked = [replace(p, images=LazyImages(1, partial(opened, p.images[0]))) for p in prompts_for("llava", 12)]
    with module.inference() as policy:
        groups = list(NativeEngine().generate(policy, [Request(p) for p in asked], Sampling(2, max_new_tokens=4), 0))
        pairs = [(group.prompt, rollout.tokens) for group in groups for rollout in group]
        assert len(list(pack(policy.renderer, pairs, 150, True))) > 2
    assert len(groups) == 12 and most == 1 and not alive


def test_very_many_beginnings_of_a_prompt_take_several_rows(
    module: PolicyModule, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompt, beginnings = prompts_for("llava", 1)[0], [tuple(range(60, 60 + i)) for i in range(10)] + [(200,) * 12]
    requests = [Request(prompt, prefix, str(i)) for i, prefix in enumerate(beginnings)]
    widths: list[int] = []
    found = {}
    with module.inference() as policy:
        hook = policy.model.register_forward_pre_hook(
            lambda _model, _args, given: widths.append(given["input_ids"].shape[1]), with_kwargs=True
        )
        for longest in (8, 2048):
            monkeypatch.setattr("mstar.rollout.native.engine.LONGEST", longest)
            groups = NativeEngine().generate(policy, requests, Sampling(1, max_new_tokens=5), 0)
            found[longest] = {group.key: group.rollouts[0].tokens for group in groups}, max(widths)
            widths.clear()
        hook.remove()
        length = policy.renderer.process([prompt])["input_ids"].shape[1]
    assert found[8][0] == found[2048][0] and len(found[8][0]) == 11
    assert found[8][1] == length + 12 and found[2048][1] == length + 9 + 12
