"""Decoding in batches of whole rows: for models whose cache cannot be divided into slots."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from mstar.modules.policy import Policy
from mstar.modules.renderer import Inputs, end_tokens, placeholders
from mstar.rollout.account import Account
from mstar.rollout.draw import draw, uniforms
from mstar.rollout.native.jobs import Job, Written
from mstar.rollout.native.memory import Room, bytes_of_logits, bytes_per_token
from mstar.rollout.native.prefill import place
from mstar.rollout.stops import StopTexts
from mstar.types import Sampling


class Grouped:
    """Writes a batch of responses to the end before the next is begun.

    Each prompt goes through the model once a batch, its cache is copied for its responses, and rows leave as they
    finish.

    Args:
        policy: Inside ``PolicyModule.inference()``.
        seed: Of the random numbers.
        room: How much is in memory at the same time.
        logprobs: Record each token's log-probability.
        account: Where the cost is added.
    """

    def __init__(self, policy: Policy, seed: int, room: Room, logprobs: bool, account: Account) -> None:
        self.policy, self.seed, self.room, self.logprobs, self.account = policy, seed, room, logprobs, account
        self.ahead: Inputs | None = None  # the next prompt, if it was encoded but there was no room for it

    def run(self, work: Sequence[Sequence[Job]]) -> Iterator[Written]:
        """Write all that is missing, requests that are sampled alike together."""
        alike: dict[Sampling, deque[Job]] = {}
        for jobs in work:
            for job in jobs:
                alike.setdefault(replace(job.sampling, num_responses=1), deque()).extend(self._in_rows(job))
        for sampling, waiting in alike.items():
            while waiting:
                batch, inputs = self._next(waiting, sampling)
                decoding = _Decoding(self.policy, batch, inputs, sampling, self.seed, self.logprobs, self.account)
                for written in decoding.run():
                    self.account.cache_bytes = max(self.account.cache_bytes, decoding.most_bytes)
                    yield written

    def _in_rows(self, job: Job) -> Iterator[Job]:
        """The job, in parts that have no more responses than there are rows."""
        for start in range(0, len(job.missing), self.room.rows):
            yield replace(job, missing=job.missing[start : start + self.room.rows])

    def _next(self, waiting: deque[Job], sampling: Sampling) -> tuple[list[Job], Inputs]:
        """Requests for one batch, each encoded once: what rows and memory allow, and one in any case."""
        batch: list[Job] = []
        encoded: list[Inputs] = []
        renderer = self.policy.renderer
        with self.account.phase("encode"):
            while waiting:
                if self.ahead is None:
                    request = waiting[0].request
                    self.ahead = renderer.encode([request.prompt], [request.prefix])
                asked, widest = [*batch, waiting[0]], max(each["input_ids"].shape[1] for each in (*encoded, self.ahead))
                if batch and not self._fit(sum(len(job.missing) for job in asked), widest + sampling.max_new_tokens):
                    break
                batch.append(waiting.popleft())
                encoded.append(self.ahead)
                self.ahead = None
            return batch, {name: place(v, self.policy) for name, v in renderer.merged(encoded).items()}

    def _fit(self, rows: int, tokens: int) -> bool:
        """Whether so many rows of so many tokens may be decoded together."""
        model = self.policy.model
        # A step copies a layer's cache to add to it, and dropping rows copies all layers but one at a time.
        each = tokens * bytes_per_token(model) * 3 // 2 + bytes_of_logits(model)
        return rows <= self.room.rows and rows * each <= self.room.row_bytes + self.room.prompt_bytes


class _Decoding:
    """One batch of rows from prefill to the last finished response.

    ``live`` ``(rows left,)`` names the rows still in the cache.
    """

    def __init__(
        self,
        policy: Policy,
        jobs: Sequence[Job],
        inputs: Inputs,
        sampling: Sampling,
        seed: int,
        logprobs: bool,
        account: Account,
    ) -> None:
        self.policy, self.inputs, self.sampling, self.account = policy, inputs, sampling, account
        self.stops = StopTexts(policy.renderer)
        model = policy.model
        self.device = model.device
        self.banned = placeholders(model)
        self.ends = torch.tensor(end_tokens(model, policy.renderer), device=self.device)
        self.repeats = torch.tensor([len(job.missing) for job in jobs], device=self.device)
        self.rows = [(job.request, index) for job in jobs for index in job.missing]
        width = sampling.max_new_tokens
        drawn = [uniforms(seed, request, index, width) for request, index in self.rows]
        self.uniform = torch.stack(drawn).to(self.device)  # (rows, max_new_tokens)
        self.tokens = torch.zeros(len(self.rows), width, dtype=torch.long, device=self.device)
        self.chosen = torch.zeros(len(self.rows), width, device=self.device) if logprobs else None
        self.live = torch.arange(len(self.rows), device=self.device)
        self.most_bytes = 0
        """Most memory that keys and values took."""

    def run(self) -> Iterator[Written]:
        """Decode to the end, yielding each response as it ends."""
        logits = self._prefill()
        for step in range(self.sampling.max_new_tokens):
            last = self._choose(logits, step)
            ended = torch.isin(last, self.ends) | self._stopped(step + 1)
            over = ended if step + 1 < self.sampling.max_new_tokens else torch.ones_like(ended)
            yield from self._finish(over, ended, step + 1)
            if bool(over.all()):
                return
            logits = self._decode(self._drop(over, last))

    def _prefill(self) -> Tensor:
        """Run images and prompts through the model once, then repeat the cache for the responses of each."""
        self.account.prompts += len(self.repeats)
        model: Any = self.policy.model
        self.cache = DynamicCache(config=model.config)  # windows and linear attention have layers of their own
        inputs: dict[str, Any] = self.inputs
        with self.account.phase("prefill"):
            positions = model._prepare_position_ids_for_generation(inputs["input_ids"], dict(inputs))
            outputs = model(
                **inputs, position_ids=positions, past_key_values=self.cache, use_cache=True, logits_to_keep=1
            )
        owners = torch.arange(len(self.repeats), device=self.device).repeat_interleave(self.repeats)  # (rows,)
        self.cache.reorder_cache(owners)  # type: ignore[arg-type]
        self.mask = inputs["attention_mask"][owners]  # (rows, T)
        self.position = positions[..., -1:].expand(*positions.shape[:-2], len(self.repeats), 1).index_select(-2, owners)
        logits: Tensor = outputs.logits[:, -1]
        return logits[owners]

    def _choose(self, logits: Tensor, step: int) -> Tensor:
        """Draw the next token of every live row and write it down."""
        logits = logits.float()
        if self.chosen is not None:
            logprobs = logits.log_softmax(-1)
        if self.banned:
            logits[:, self.banned] = -torch.inf
        last = draw(logits, self.sampling, self.uniform[self.live, step])
        self.tokens[self.live, step] = last
        if self.chosen is not None:
            self.chosen[self.live, step] = logprobs.gather(-1, last[:, None])[:, 0]
        return last

    def _stopped(self, length: int) -> Tensor:
        """Which live rows have just completed a stop text."""
        stops = self.sampling.stop
        found = [bool(stops) and self.stops.ended(stops, self.tokens[row, :length]) for row in self.live.tolist()]
        return torch.tensor(found, dtype=torch.bool, device=self.device)

    def _finish(self, over: Tensor, ended: Tensor, length: int) -> Iterator[Written]:
        """Give the responses that are over."""
        self.account.tokens += len(self.live)
        self.account.responses += int(over.sum())
        self.most_bytes = max(self.most_bytes, self._bytes_held())
        for row, stop in zip(self.live[over].tolist(), ended[over].tolist(), strict=True):
            logprobs = None if self.chosen is None else tuple(self.chosen[row, :length].tolist())
            tokens = tuple(self.tokens[row, :length].tolist())
            request, index = self.rows[row]
            yield Written(request, index, tokens, logprobs, "stop" if stop else "length")

    def _bytes_held(self) -> int:
        layers = [layer for layer in self.cache.layers if isinstance(layer, DynamicLayer)]
        return sum(tensor.nbytes for layer in layers for tensor in (layer.keys, layer.values) if tensor is not None)

    def _drop(self, over: Tensor, last: Tensor) -> Tensor:
        """Take finished rows out of the cache; return the last tokens of those that go on."""
        if not bool(over.any()):
            return last
        keep = (~over).nonzero()[:, 0]
        self.cache.reorder_cache(keep)  # type: ignore[arg-type]
        self.live, self.mask = self.live[keep], self.mask[keep]
        self.position = self.position.index_select(-2, keep)
        return last[keep]

    def _decode(self, last: Tensor) -> Tensor:
        """One token further for every live row; returns logits ``(rows left, vocabulary)``."""
        self.mask = torch.cat([self.mask, self.mask.new_ones(len(self.mask), 1)], 1)
        self.position = self.position + 1
        outputs = self.policy.model(
            input_ids=last[:, None],
            attention_mask=self.mask,
            position_ids=self.position,
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=1,
        )
        logits: Tensor = outputs.logits[:, -1]
        return logits
