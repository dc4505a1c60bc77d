"""Decoding in batches of whole prompts: for models whose cache cannot be divided into slots."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from mstar.modules.policy import Policy
from mstar.modules.renderer import end_tokens, placeholders
from mstar.rollout.account import Account
from mstar.rollout.draw import draw, uniforms
from mstar.rollout.native.prefill import place
from mstar.rollout.stops import StopTexts
from mstar.types import Finish, Group, Request, Rollout, Sampling


class Grouped:
    """Samples a batch of prompts to the end before the next is begun.

    Each prompt goes through the model once, its cache is copied for its responses, and rows leave as they finish.

    Args:
        rows: Responses decoded at the same time.
        logprobs: Record each token's log-probability.
        account: Where the cost is added.
    """

    def __init__(self, rows: int, logprobs: bool, account: Account) -> None:
        self.rows, self.logprobs, self.account = rows, logprobs, account

    def generate(self, policy: Policy, requests: Sequence[Request], sampling: Sampling, seed: int) -> Iterator[Group]:
        """Yield groups as they finish; see ``RolloutEngine.generate``."""
        alike: dict[Sampling, list[Request]] = {}
        for request in requests:
            alike.setdefault(request.sampling or sampling, []).append(request)
        for own, these in alike.items():
            size = max(1, self.rows // own.num_responses)
            for start in range(0, len(these), size):
                yield from _Decoding(
                    policy, these[start : start + size], own, seed, self.logprobs, self.account
                ).groups()


class _Decoding:
    """One batch of rows from prefill to the last finished response.

    Row r is response r % n of request r // n. ``live`` ``(rows left,)`` names the rows still in the cache.
    """

    def __init__(
        self,
        policy: Policy,
        requests: Sequence[Request],
        sampling: Sampling,
        seed: int,
        logprobs: bool,
        account: Account,
    ) -> None:
        self.policy, self.requests, self.sampling, self.account = policy, requests, sampling, account
        self.stops = StopTexts(policy.renderer)
        model = policy.model
        self.device = model.device
        self.banned = placeholders(model)
        self.ends = torch.tensor(end_tokens(model, policy.renderer), device=self.device)
        num = sampling.num_responses
        rows = len(requests) * num
        self.uniform = torch.stack(
            [uniforms(seed, request, i, sampling.max_new_tokens) for request in requests for i in range(num)]
        ).to(self.device)  # (rows, max_new_tokens)
        self.tokens = torch.zeros(rows, sampling.max_new_tokens, dtype=torch.long, device=self.device)
        self.chosen = torch.zeros(rows, sampling.max_new_tokens, device=self.device) if logprobs else None
        self.live = torch.arange(rows, device=self.device)
        self.unfinished = [num] * len(requests)
        self.lengths = [0] * rows
        self.finishes: list[Finish] = ["length"] * rows

    def groups(self) -> Iterator[Group]:
        """Decode to the end, yielding each group with its last response."""
        logits = self._prefill()
        for step in range(self.sampling.max_new_tokens):
            last = self._choose(logits, step)
            ended = torch.isin(last, self.ends) | self._stopped(step + 1)
            over = ended if step + 1 < self.sampling.max_new_tokens else torch.ones_like(ended)
            for group in self._finish(over, ended, step + 1):
                yield self._group(group)
            if bool(over.all()):
                return
            logits = self._decode(self._drop(over, last))

    def _prefill(self) -> Tensor:
        """Run images and prompts through the model once, then repeat the cache for the n responses."""
        with self.account.phase("encode"):
            encoded = self.policy.renderer.encode(
                [request.prompt for request in self.requests], [request.prefix for request in self.requests]
            )
            inputs: dict[str, Any] = {k: place(v, self.policy) for k, v in encoded.items()}
        self.account.prompts += len(self.requests)
        self.cache = DynamicCache()
        model: Any = self.policy.model
        positions = model._prepare_position_ids_for_generation(inputs["input_ids"], dict(inputs))
        outputs = model(**inputs, position_ids=positions, past_key_values=self.cache, use_cache=True, logits_to_keep=1)
        num = self.sampling.num_responses
        self.cache.batch_repeat_interleave(num)
        self.mask = inputs["attention_mask"].repeat_interleave(num, 0)  # (rows, T)
        self.position = positions[..., -1:].repeat_interleave(num, -2)  # (rows, 1), or (3, rows, 1) with M-RoPE
        logits: Tensor = outputs.logits[:, -1]
        return logits.repeat_interleave(num, 0)

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

    def _finish(self, over: Tensor, ended: Tensor, length: int) -> list[int]:
        """Close the rows that are over; return the requests whose last response this was."""
        self.account.tokens += len(self.live)
        self.account.responses += int(over.sum())
        closed = []
        for row, stop in zip(self.live[over].tolist(), ended[over].tolist(), strict=True):
            self.lengths[row] = length
            self.finishes[row] = "stop" if stop else "length"
            request = row // self.sampling.num_responses
            self.unfinished[request] -= 1
            if not self.unfinished[request]:
                closed.append(request)
        return closed

    def _drop(self, over: Tensor, last: Tensor) -> Tensor:
        """Take finished rows out of the cache; return the last tokens of those that go on."""
        if not bool(over.any()):
            return last
        keep = (~over).nonzero()[:, 0]
        self.cache.batch_select_indices(keep)
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

    def _group(self, number: int) -> Group:
        request, num = self.requests[number], self.sampling.num_responses
        rollouts = tuple(self._rollout(request, number * num + i, i) for i in range(num))
        return Group(request.prompt, rollouts, request.key)

    def _rollout(self, request: Request, row: int, index: int) -> Rollout:
        length = self.lengths[row]
        tokens = (*request.prefix, *self.tokens[row, :length].tolist())
        return Rollout(
            prompt_id=request.prompt.id,
            index=index,
            text=self.policy.renderer.decode(tokens),
            tokens=tokens,
            finish=self.finishes[row],
            temperature=self.sampling.temperature,
            logprobs=None if self.chosen is None else tuple(self.chosen[row, :length].tolist()),
        )
