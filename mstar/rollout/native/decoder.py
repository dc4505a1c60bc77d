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
from mstar.rollout.native.memory import Room, bytes_per_row, bytes_per_token
from mstar.rollout.native.prefill import Beginning, Encoded, Filled, encode, key_shape, prefill
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
class Response:
    """A response that is not finished."""

    job: Job
    index: int
    prompt: int
    """Number of its prompt among those in memory."""


@dataclass(frozen=True)
class Start:
    """A response that waits for a row."""

    response: Response
    beginning: Beginning


@dataclass(frozen=True)
class Held:
    """Keys and values that slots will begin with, kept until the last response that does has its row."""

    keys: Tensor
    """``(layers, heads, tokens, size)``: of the tree behind the prompt, and of the prompt before it if it is copied."""
    values: Tensor
    copied: int
    """Tokens of the prompt among them."""


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
        self.token_bytes = bytes_per_token(policy.model)
        self.ahead: Encoded | None = None  # the next prompt, if it was encoded but there was no room for it
        self.starts: deque[Start] = deque()
        self.held: dict[int, Held] = {}
        self.left: dict[int, int] = {}  # responses of each prompt in memory that are not finished
        self.live: dict[int, Response] = {}
        self.reserved: dict[int, int] = {}  # bytes that each live row may come to take
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
            while waiting and len(self.starts) < len(self.free) and (batch := self._next(waiting)):
                self._prefill(batch, longest)
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
        self.position: Tensor | None = None

    def _next(self, waiting: deque[Sequence[Job]]) -> list[tuple[Sequence[Job], Encoded]]:
        """The next prompts, each encoded once: as many as free rows can take, within bounds of tokens and memory."""
        batch: list[tuple[Sequence[Job], Encoded]] = []
        wanted = len(self.free) - len(self.starts)
        with self.account.phase("encode"):
            while waiting and wanted > 0:
                if self.ahead is None:
                    prefixes = [job.request.prefix for job in waiting[0]]
                    self.ahead = encode(self.policy, waiting[0][0].request.prompt, prefixes)
                if self.share is None:
                    self.share = self.ahead.length >= SHARED_FROM
                if not self._fit([*(encoded for _, encoded in batch), self.ahead]):
                    break
                batch.append((waiting.popleft(), self.ahead))
                wanted -= sum(len(job.missing) for job in batch[-1][0])
                self.ahead = None
        return batch

    def _fit(self, prompts: Sequence[Encoded]) -> bool:
        """Whether these may be computed together now; one always may if nothing else is to be done."""
        if len(prompts) > 1 and len(prompts) * max(each.width for each in prompts) > PREFILL_TOKENS:
            return False
        if len(prompts) == 1 and not self.starts and not self.live:
            return True
        tokens = sum(held.keys.shape[2] for held in self.held.values())
        if self.share:
            lengths = [each.length for each in prompts]
            tokens += sum(len(each.tree.tokens) for each in prompts)
            tokens += self.prompts.after(lengths) if self.prompts is not None else len(lengths) * max(lengths)
        else:
            tokens += sum(each.width for each in prompts)
        return 2 * tokens * self.token_bytes <= self._prompt_bytes  # twice: where they go may have to be copied

    @property
    def _prompt_bytes(self) -> int:
        """What prompts may take; copied ones leave half of it to the slots they are copied into."""
        return self.room.prompt_bytes if self.share else self.room.prompt_bytes // 2

    @property
    def _row_bytes(self) -> int:
        return self.room.row_bytes + self.room.prompt_bytes - self._prompt_bytes

    def _prefill(self, batch: Sequence[tuple[Sequence[Job], Encoded]], longest: int) -> None:
        """Run prompts through the model."""
        with self.account.phase("prefill"):
            filled = prefill(self.policy, [encoded for _, encoded in batch])
        self.account.prompts += len(batch)
        with self.account.phase("bookkeeping"):
            if self.slots is None:
                self._make_slots(filled[0], longest)
            if self.prompts is not None:
                self.prompts.reserve(len(filled), max(each.length for each in filled))
            for (jobs, _), each in zip(batch, filled, strict=True):
                self._keep(jobs, each, longest)

    def _make_slots(self, filled: Filled, longest: int) -> None:
        shape = key_shape(filled)
        self.prompts = SharedPrompts(shape) if self.share else None
        self.slots = Slots(shape, longest)
        self.attention = SlotAttention(self.slots, self.prompts, self.policy.model)
        self.cache = writing_cache(shape.layers)
        axes = filled.beginnings[0].position.shape
        self.position = torch.zeros(*axes, self.rows, dtype=torch.long, device=self.device)

    def _keep(self, jobs: Sequence[Job], filled: Filled, longest: int) -> None:
        assert self.slots is not None
        length = filled.length
        if self.prompts is not None:
            number = self.prompts.add(filled.keys[:, :, :length], filled.values[:, :, :length])
            # Clones: a view would keep the keys of all prompts that were computed together.
            self.held[number] = Held(filled.keys[:, :, length:].clone(), filled.values[:, :, length:].clone(), 0)
        else:
            self.slots.reserve(longest + length)
            number = max(self.left, default=-1) + 1
            self.held[number] = Held(filled.keys.clone(), filled.values.clone(), length)
        self.left[number] = sum(len(job.missing) for job in jobs)
        for job, beginning in zip(jobs, filled.beginnings, strict=True):
            self.starts += [Start(Response(job, index, number), beginning) for index in job.missing]

    def _admit(self) -> Iterator[Written]:
        """Give free rows to waiting responses, and draw their first tokens."""
        if not self.free or not self.starts:
            return
        assert self.slots is not None and self.position is not None
        with self.account.phase("bookkeeping"):
            rows: list[int] = []
            logits: list[Tensor] = []
            while self.free and self.starts and self._has_slot(self.starts[0]):
                row, start = self.free.pop(), self.starts.popleft()
                response = start.response
                rows.append(row)
                logits.append(start.beginning.logits)
                self.live[row], self.reserved[row] = response, self._slot_bytes(start)
                self.counts[row] = 0
                self.slots.add(row, *self._given(start))
                width = response.job.sampling.max_new_tokens
                numbers = uniforms(self.seed, response.job.request, response.index, width)
                self.uniform[row, :width] = numbers.to(self.device)
                self.temperature[row] = response.job.sampling.temperature or 1.0
                self.position[..., row] = start.beginning.position - 1  # the step adds one
                if not self.starts or self.starts[0].response.prompt != response.prompt:
                    del self.held[response.prompt]
        if rows:
            yield from self._choose(rows, torch.stack(logits))

    def _has_slot(self, start: Start) -> bool:
        """Whether memory allows another row; always if there is none."""
        return not self.live or sum(self.reserved.values()) + self._slot_bytes(start) <= self._row_bytes

    def _slot_bytes(self, start: Start) -> int:
        copied, job = self.held[start.response.prompt].copied, start.response.job
        return bytes_per_row(self.policy.model, copied + len(job.request.prefix) + job.sampling.max_new_tokens)

    def _given(self, start: Start) -> tuple[Tensor | None, Tensor | None]:
        """Keys and values that the response's slot begins with."""
        held = self.held[start.response.prompt]
        index = [*range(held.copied), *(held.copied + node for node in start.beginning.path)]
        return (held.keys[:, :, index], held.values[:, :, index]) if index else (None, None)

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
        self.account.cache_bytes = max(self.account.cache_bytes, self._bytes_held())
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

    def _bytes_held(self) -> int:
        assert self.slots is not None
        waiting = sum(held.keys.nbytes + held.values.nbytes for held in self.held.values())
        return self.slots.nbytes + waiting + (self.prompts.nbytes if self.prompts is not None else 0)

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
        response, count = self.live.pop(row), self.counts[row]
        self.slots.remove(row)
        self.free.append(row)
        del self.reserved[row]
        self.left[response.prompt] -= 1
        if not self.left[response.prompt]:
            del self.left[response.prompt]
            if self.prompts is not None:
                self.prompts.remove(response.prompt)
        tokens = tuple(self.tokens[row, :count].tolist())
        logprobs = None if self.chosen is None else tuple(self.chosen[row, :count].tolist())
        return Written(response.job.request, response.index, tokens, logprobs, finish)


SHARED_FROM = 48  # tokens a prompt must have for sharing to cost less than reading copies


def _cut(sampling: Sampling) -> Sampling:
    """What of a sampling one draw has in common; the temperature is given a row, but for greedy ones."""
    return replace(sampling, num_responses=1, max_new_tokens=1, stop=(), temperature=float(sampling.temperature > 0))
