"""How much is in memory at the same time, and what was counted of it."""

from __future__ import annotations

import pytest
import torch

from mstar.modules.policy import PolicyModule
from mstar.rollout import NativeEngine
from mstar.rollout.native.memory import bytes_per_row, free_memory, room
from mstar.rollout.native.prompts import SharedPrompts
from mstar.rollout.native.slots import KeyShape, Slots
from mstar.types import Request, Sampling
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
        assert fits.rows == 20 and fits.prompt_bytes == 10 * each
        assert room(policy.model, 100, share=0.5, rows=7).prompt_bytes == 23 * each
        assert room(policy.model, 100, share=0.5, rows=500).prompt_bytes == 10 * each
        assert room(policy.model, 10**9, share=0.5).rows == 1
        assert fits.halved() == type(fits)(10, 5 * each)


def test_a_row_counts_its_keys_and_values(module: PolicyModule) -> None:
    with module.inference() as policy:
        text = policy.model.config.get_text_config()
        keys = 2 * text.num_hidden_layers * text.num_key_value_heads * text.head_dim * 4
        grown = bytes_per_row(policy.model, 600) - bytes_per_row(policy.model, 300)
        assert grown == pytest.approx(300 * keys * 5 / 3, abs=1)
        assert free_memory(policy.model.device) > 2**20


def test_no_further_prompt_is_computed_while_prompts_fill_their_room(
    module: PolicyModule, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mstar.rollout.native.decoder.PREFILL_TOKENS", 1)  # a prompt a forward pass
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
    slots = Slots(SHAPE, longest=100)
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


def test_prompts_are_counted_while_they_are_kept() -> None:
    shared = SharedPrompts(SHAPE)
    numbers = [shared.add(torch.zeros(2, 3, n, 4), torch.zeros(2, 3, n, 5)) for n in (10, 20)]
    assert shared.used_bytes == 30 * SHAPE.bytes_per_token == 30 * 2 * 3 * 9 * 4
    shared.remove(numbers[0])
    assert shared.used_bytes == 20 * SHAPE.bytes_per_token and shared.nbytes >= shared.used_bytes
