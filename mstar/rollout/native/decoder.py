"""The decoding loop: rows are filled as soon as responses end, until nothing waits."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor

from mstar.modules.policy import Policy
from mstar.modules.renderer import end_tokens, placeholders
from mstar.rollout.account import Account
from mstar.rollout.draw import draw, uniforms
from mstar.rollout.native.attention import SlotAttention
from mstar.rollout.native.intake import Intake, Start
from mstar.rollout.native.jobs import Job, Response, Written
from mstar.rollout.native.memory import Room, bytes_per_row
from mstar.rollout.native.slots import Slots, writing_cache
from mstar.rollout.stops import StopTexts
from mstar.types import Finish, Sampling


class Decoder:
    """Writes responses, some rows at a time.

    Args:
        policy: Inside ``PolicyModule.inference()``.
        seed: Of the random numbers.
        room: How much is in memory at the same time.
        logprobs: Record each token's log-probability.
        share: Whether prompts are shared (read once a step for all their rows) or copied into each row's slot.
        account: Where the cost is added.
    """

    def __init__(
        self, policy: Policy, seed: int, room: Room, logprobs: bool, share: bool | None, account: Account
    ) -> None:
        self.policy, self.seed, self.logprobs = policy, seed, logprobs
        self.rows = room.rows
        self.account = account
        self.device = policy.model.device
        self.banned = placeholders(policy.model)
        self.ends = torch.tensor(end_tokens(policy.model, policy.renderer), device=self.device)
        self.stops = StopTexts(policy.renderer)
        self.intake = Intake(policy, room, share, account)
        self.live: dict[int, Response] = {}
        self.bytes_of_row = cache(partial(bytes_per_row, policy.model, rounded=room.rounded))
        self.reserved: dict[int, int] = {}  # bytes that each live row may come to take
        self.taken = 0  # of all of them
        self.free = list(range(self.rows - 1, -1, -1))
        self.slots: Slots | None = None

    def run(self, work: Sequence[Sequence[Job]]) -> Iterator[Written]:
        """Write all that is missing, in any order.

        Args:
            work: Jobs of one prompt together.
        """
        waiting = deque(work)
        self._make_state(max(job.sampling.max_new_tokens for jobs in work for job in jobs))
        starts = self.intake.starts
        while waiting or starts or self.live:
            while waiting and self.intake.take(waiting, len(self.free) - len(starts), idle=not self.live):
                pass
            yield from self._admit()
            if self.live:
                yield from self._step()

    def _make_state(self, width: int) -> None:
        rows, device = self.rows, self.device
        self.last = torch.zeros(rows, dtype=torch.long, device=device)
        self.uniform = torch.zeros(rows, width, dtype=torch.float32, device=device)
        self.temperature = torch.ones(rows, dtype=torch.float32, device=device)
        self.tokens = torch.zeros(rows, width, dtype=torch.long, device=device)
        self.chosen = torch.zeros(rows, width, dtype=torch.float32, device=device) if self.logprobs else None
        self.counts = [0] * rows  # tokens sampled

    def _make_slots(self, start: Start) -> None:
        assert self.intake.shape is not None
        self.slots = Slots(self.intake.shape, self._most_rows)
        self.attention = SlotAttention(self.slots, self.intake.prompts, self.policy.model)
        self.cache = writing_cache(self.intake.shape.layers)
        axes = start.beginning.position.shape
        self.position = torch.zeros(*axes, self.rows, dtype=torch.long, device=self.device)

    def _admit(self) -> Iterator[Written]:
        """Give free rows to waiting responses, and draw their first tokens."""
        starts = self.intake.starts
        with self.account.phase("bookkeeping"):
            rows: list[int] = []
            logits: list[Tensor] = []
            while self.free and starts and self._has_slot(starts[0]):
                row = self.free.pop()
                rows.append(row)
                logits.append(starts[0].beginning.logits)
                self._seat(row, starts[0], *self.intake.pop())
        if rows:
            yield from self._choose(rows, torch.stack(logits))

    def _has_slot(self, start: Start) -> bool:
        """Whether memory allows another row; always if there is none."""
        return not self.live or self.taken + self.bytes_of_row(start.most_keys) <= self.intake.row_bytes

    def _most_rows(self, keys: int) -> int:
        """Rows that may come to hold so many keys."""
        return max(1, min(self.rows, self.intake.row_bytes // self.bytes_of_row(keys)))

    def _seat(self, row: int, start: Start, keys: Tensor | None, values: Tensor | None) -> None:
        """Give a response a row, with the keys and values that its slot begins with."""
        if self.slots is None:
            self._make_slots(start)
        assert self.slots is not None
        response = start.response
        self.live[row], self.reserved[row] = response, self.bytes_of_row(start.most_keys)
        self.taken += self.reserved[row]
        self.counts[row] = 0
        self.slots.reserve(start.most_keys)
        self.slots.add(row, keys, values)
        width = response.job.sampling.max_new_tokens
        self.uniform[row, :width] = uniforms(self.seed, response.job.request, response.index, width).to(self.device)
        self.temperature[row] = response.job.sampling.temperature or 1.0
        self.position[..., row] = start.beginning.position - 1  # the step adds one

    def _step(self) -> Iterator[Written]:
        """One token further for every live row."""
        assert self.slots is not None
        with self.account.phase("bookkeeping"):
            order = self.slots.advance()
            self.attention.prepare(order, [self.live[row].prompt for row in order])
            index = torch.tensor(order, device=self.device)
            self.position[..., index] += 1
        self.account.steps += 1
        self.account.row_steps += len(order)
        self.account.rows += self.rows
        self.account.cache_bytes = max(self.account.cache_bytes, self.slots.nbytes + self.intake.nbytes)
        model: Any = self.policy.model
        with self.account.phase("decode"), self.attention.installed():
            logits = model(
                input_ids=self.last[index][:, None],
                attention_mask=torch.zeros(1, 1, 1, 1, device=self.device),  # four axes: taken as it is; we mask
                position_ids=self.position[..., index, None],
                past_key_values=self.cache,
                use_cache=True,
                logits_to_keep=1,
            ).logits[:, -1]
        yield from self._choose(order, logits)

    def _choose(self, order: list[int], logits: Tensor) -> Iterator[Written]:
        """Draw the next token of each row, write it down, and end the rows that are over."""
        with self.account.phase("sample"):
            index = torch.tensor(order, device=self.device)
            counts = torch.tensor([self.counts[row] for row in order], device=self.device)
            plain = logits.float().log_softmax(-1) if self.chosen is not None else None
            if self.banned:
                logits[:, self.banned] = -torch.inf
            token = self._draw(order, logits, self.uniform[index, counts], self.temperature[index])
            self.tokens[index, counts] = token
            self.last[index] = token
            if plain is not None and self.chosen is not None:
                self.chosen[index, counts] = plain.gather(-1, token[:, None])[:, 0]
            ended = (token[:, None] == self.ends).any(1).tolist()
        with self.account.phase("bookkeeping"):
            written = []
            for row, end in zip(order, ended, strict=True):
                self.counts[row] += 1
                sampling = self.live[row].job.sampling
                stop = end or (bool(sampling.stop) and self._stopped(row, sampling))
                if stop or self.counts[row] == sampling.max_new_tokens:
                    written.append(self._finish(row, "stop" if stop else "length"))
        self.account.tokens += len(order)
        self.account.responses += len(written)
        yield from written

    def _draw(self, order: list[int], logits: Tensor, uniform: Tensor, temperature: Tensor) -> Tensor:
        """One draw for all rows that are cut off alike, whatever their temperatures."""
        kinds: dict[Sampling, list[int]] = {}
        for place, row in enumerate(order):
            kinds.setdefault(self.live[row].job.sampling, []).append(place)
        merged: dict[Sampling, list[int]] = {}
        for sampling, places in kinds.items():
            merged.setdefault(_cut(sampling), []).extend(places)
        plain = all(sampling.temperature in (0, 1) for sampling in kinds)  # as the cuts say already
        if len(merged) == 1:
            (cut,) = merged
            return draw(logits, cut, uniform, None if plain or cut.temperature == 0 else temperature)
        token = torch.zeros(len(order), dtype=torch.long, device=self.device)
        for cut, places in merged.items():
            at = torch.tensor(places, device=self.device)
            token[at] = draw(logits[at], cut, uniform[at], None if plain or cut.temperature == 0 else temperature[at])
        return token

    def _stopped(self, row: int, sampling: Sampling) -> bool:
        return self.stops.ended(sampling.stop, self.tokens[row, : self.counts[row]])

    def _finish(self, row: int, finish: Finish) -> Written:
        assert self.slots is not None
        response, count = self.live.pop(row), self.counts[row]
        self.slots.remove(row)
        self.free.append(row)
        self.taken -= self.reserved.pop(row)
        self.intake.finished(response)
        tokens = tuple(self.tokens[row, :count].tolist())
        logprobs = None if self.chosen is None else tuple(self.chosen[row, :count].tolist())
        return Written(response.job.request, response.index, tokens, logprobs, finish)


def _cut(sampling: Sampling) -> Sampling:
    """What of a sampling one draw has in common; the temperature is given a row, but for greedy ones."""
    return replace(sampling, num_responses=1, max_new_tokens=1, stop=(), temperature=float(sampling.temperature > 0))
