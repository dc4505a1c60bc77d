"""The decoding loop: rows are filled as soon as responses end, until nothing waits."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from mstar.modules.policy import Policy
from mstar.modules.renderer import end_tokens, placeholders
from mstar.rollout.account import Account
from mstar.rollout.draw import draw, uniforms
from mstar.rollout.native.attention import SlotAttention
from mstar.rollout.native.memory import Room
from mstar.rollout.native.prefill import Beginning, Filled, encode, key_shape, prefill
from mstar.rollout.native.prompts import SharedPrompts
from mstar.rollout.native.slots import Slots, writing_cache
from mstar.rollout.stops import StopTexts
from mstar.types import Finish, Request, Sampling

PREFILL_TOKENS = 4096  # of one forward pass over prompts: bounds the memory it needs


@dataclass(frozen=True)
class Job:
    """A request, and which of its responses are still to be written."""

    request: Request
    sampling: Sampling
    missing: tuple[int, ...]


@dataclass(frozen=True)
class Written:
    """A finished response."""

    request: Request
    index: int
    tokens: tuple[int, ...]
    """Sampled ones."""
    logprobs: tuple[float, ...] | None
    finish: Finish


@dataclass(frozen=True)
class Start:
    """A response that waits for a row."""

    job: Job
    index: int
    prompt: int
    """Number of its prompt among those in memory."""
    beginning: Beginning


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
        self.policy, self.seed, self.room, self.logprobs, self.share = policy, seed, room, logprobs, share
        self.rows = room.rows
        self.account = account
        self.device = policy.model.device
        self.banned = placeholders(policy.model)
        self.ends = torch.tensor(end_tokens(policy.model, policy.renderer), device=self.device)
        self.stops = StopTexts(policy.renderer)
        self.starts: deque[Start] = deque()
        self.filled: dict[int, Filled] = {}
        self.left: dict[int, int] = {}  # responses of each prompt in memory that are not finished
        self.live: dict[int, Start] = {}
        self.free = list(range(self.rows - 1, -1, -1))
        self.slots: Slots | None = None
        self.prompts: SharedPrompts | None = None

    def run(self, work: Sequence[Sequence[Job]]) -> Iterator[Written]:
        """Write all that is missing, in any order.

        Args:
            work: Jobs of one prompt together.
        """
        waiting = deque(work)
        longest = max(len(job.request.prefix) + job.sampling.max_new_tokens for jobs in work for job in jobs)
        self._make_state(max(job.sampling.max_new_tokens for jobs in work for job in jobs))
        while waiting or self.starts or self.live:
            while waiting and len(self.starts) < len(self.free) and self._room_for_prompts():
                self._prefill(waiting, longest)
            yield from self._admit()
            if self.live:
                yield from self._step()

    def _room_for_prompts(self) -> bool:
        """Whether another prompt may be computed; always if nothing else is to be done."""
        idle = not self.starts and not self.live
        return idle or self.prompts is None or self.prompts.used_bytes < self.room.prompt_bytes

    def _make_state(self, width: int) -> None:
        rows, device = self.rows, self.device
        self.last = torch.zeros(rows, dtype=torch.long, device=device)
        self.uniform = torch.zeros(rows, width, dtype=torch.float32, device=device)
        self.temperature = torch.ones(rows, dtype=torch.float32, device=device)
        self.tokens = torch.zeros(rows, width, dtype=torch.long, device=device)
        self.chosen = torch.zeros(rows, width, dtype=torch.float32, device=device) if self.logprobs else None
        self.counts = [0] * rows  # tokens sampled
        self.position: Tensor | None = None

    def _prefill(self, waiting: deque[Sequence[Job]], longest: int) -> None:
        """Run the next prompts through the model: as many as the free rows can take, within a bound of tokens."""
        batch: list[Sequence[Job]] = []
        wanted = len(self.free) - len(self.starts)
        while waiting and (not batch or wanted > 0):
            batch.append(waiting.popleft())
            wanted -= sum(len(job.missing) for job in batch[-1])
        with self.account.phase("encode"):
            prefixes = [[job.request.prefix for job in jobs] for jobs in batch]
            inputs = encode(self.policy, [jobs[0].request.prompt for jobs in batch], prefixes)
        tokens = inputs["input_ids"].numel()
        while tokens > PREFILL_TOKENS and len(batch) > 1:  # too many at once: leave the later ones for the next time
            keep = max(1, len(batch) * PREFILL_TOKENS // tokens)
            waiting.extendleft(reversed(batch[keep:]))
            batch, prefixes = batch[:keep], prefixes[:keep]
            with self.account.phase("encode"):
                inputs = encode(self.policy, [jobs[0].request.prompt for jobs in batch], prefixes)
            tokens = inputs["input_ids"].numel()
        with self.account.phase("prefill"):
            filled = prefill(self.policy, inputs, prefixes)
        self.account.prompts += len(batch)
        with self.account.phase("bookkeeping"):
            for jobs, prompt in zip(batch, filled, strict=True):
                self._keep(jobs, prompt, longest)

    def _keep(self, jobs: Sequence[Job], filled: Filled, longest: int) -> None:
        if self.slots is None:
            shape = key_shape(filled)
            if self.share is None:
                self.share = filled.keys.shape[2] >= SHARED_FROM
            self.prompts = SharedPrompts(shape) if self.share else None
            self.slots = Slots(shape, longest + (0 if self.share else filled.keys.shape[2]))
            self.attention = SlotAttention(self.slots, self.prompts, self.policy.model)
            self.cache = writing_cache(shape.layers)
            axes = filled.beginnings[0].position.shape
            self.position = torch.zeros(*axes, self.rows, dtype=torch.long, device=self.device)
        if self.prompts is not None:
            number = self.prompts.add(filled.keys, filled.values)
        else:
            self.slots.reserve(longest + filled.keys.shape[2])
            number = max(self.left, default=-1) + 1
            self.filled[number] = filled
        self.left[number] = sum(len(job.missing) for job in jobs)
        for job, beginning in zip(jobs, filled.beginnings, strict=True):
            self.starts += [Start(job, index, number, beginning) for index in job.missing]

    def _admit(self) -> Iterator[Written]:
        """Give free rows to waiting responses, and draw their first tokens."""
        if not self.free or not self.starts:
            return
        assert self.slots is not None and self.position is not None
        with self.account.phase("bookkeeping"):
            rows: list[int] = []
            while self.free and self.starts:
                row, start = self.free.pop(), self.starts.popleft()
                rows.append(row)
                self.live[row] = start
                self.counts[row] = 0
                self.slots.add(row, *self._given(start))
                width = start.job.sampling.max_new_tokens
                numbers = uniforms(self.seed, start.job.request, start.index, width)
                self.uniform[row, :width] = numbers.to(self.device)
                self.temperature[row] = start.job.sampling.temperature or 1.0
                self.position[..., row] = start.beginning.position - 1  # the step adds one
            logits = torch.stack([self.live[row].beginning.logits for row in rows])
        yield from self._choose(rows, logits)

    def _given(self, start: Start) -> tuple[Tensor | None, Tensor | None]:
        """Keys and values that the response's slot begins with."""
        own = start.beginning
        if self.prompts is not None:
            return own.keys, own.values
        prompt = self.filled[start.prompt]
        if own.keys is None or own.values is None:
            return prompt.keys, prompt.values
        return torch.cat([prompt.keys, own.keys], 2), torch.cat([prompt.values, own.values], 2)

    def _step(self) -> Iterator[Written]:
        """One token further for every live row."""
        assert self.slots is not None and self.position is not None
        with self.account.phase("bookkeeping"):
            order = self.slots.advance()
            self.attention.prepare(order, [self.live[row].prompt for row in order])
            index = torch.tensor(order, device=self.device)
            self.position[..., index] += 1
        self.account.steps += 1
        self.account.row_steps += len(order)
        self.account.rows += self.rows
        held = self.slots.nbytes + (self.prompts.nbytes if self.prompts is not None else 0)
        self.account.cache_bytes = max(self.account.cache_bytes, held)
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
        if len(merged) == 1:
            (cut,) = merged
            return draw(logits, cut, uniform, None if cut.temperature == 0 else temperature)
        token = torch.zeros(len(order), dtype=torch.long, device=self.device)
        for cut, places in merged.items():
            at = torch.tensor(places, device=self.device)
            token[at] = draw(logits[at], cut, uniform[at], None if cut.temperature == 0 else temperature[at])
        return token

    def _stopped(self, row: int, sampling: Sampling) -> bool:
        return self.stops.ended(sampling.stop, self.tokens[row, : self.counts[row]])

    def _finish(self, row: int, finish: Finish) -> Written:
        assert self.slots is not None
        start, count = self.live.pop(row), self.counts[row]
        self.slots.remove(row)
        self.free.append(row)
        self.left[start.prompt] -= 1
        if not self.left[start.prompt]:
            del self.left[start.prompt]
            self.filled.pop(start.prompt, None)
            if self.prompts is not None:
                self.prompts.remove(start.prompt)
        tokens = tuple(self.tokens[row, :count].tolist())
        logprobs = None if self.chosen is None else tuple(self.chosen[row, :count].tolist())
        return Written(start.job.request, start.index, tokens, logprobs, finish)


SHARED_FROM = 48  # tokens a prompt must have for sharing to cost less than reading copies


def _cut(sampling: Sampling) -> Sampling:
    """What of a sampling one draw has in common; the temperature is given a row, but for greedy ones."""
    return replace(sampling, num_responses=1, max_new_tokens=1, stop=(), temperature=float(sampling.temperature > 0))
