"""The native engine: prompts encoded once, responses decoded together, finished rows dropped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from mstar.modules.policy import Policy
from mstar.modules.renderer import end_tokens, placeholders
from mstar.rollout.engine import draw, uniforms
from mstar.types import Finish, Group, Request, Rollout, Sampling


class NativeEngine:
    """Samples from any Hugging Face vision-language model with a key-value cache in every layer.

    Image and prompt go through the model once a prompt, not once a response; the cache is repeated for its
    responses, and rows leave it as they finish. Every response draws from a random stream of its own, so neither
    its neighbours nor a resume changes which numbers it gets (log-probabilities differ by floating-point noise
    between batch shapes, so a near-tie may still flip). Placeholder tokens are never sampled.

    Args:
        rows: Responses decoded at the same time; more is faster until memory runs out.
        logprobs: Record each token's log-probability, as the GRPO objective needs.
    """

    def __init__(self, rows: int = 256, logprobs: bool = False) -> None:
        if rows < 1:
            raise ValueError(f"engine.rows is {rows}; give 1 or more.")
        self.rows = rows
        self.logprobs = logprobs

    def generate(self, policy: Policy, requests: Sequence[Request], sampling: Sampling, seed: int) -> Iterator[Group]:
        """Yield groups as they finish; see ``RolloutEngine.generate``."""
        waiting = iter(requests)
        while chunk := list(islice(waiting, max(1, self.rows // sampling.num_responses))):
            yield from _Decoding(policy, chunk, sampling, seed, self.logprobs).groups()


class _Decoding:
    """One batch of rows from prefill to the last finished response.

    Row r is response r % n of request r // n. ``live`` ``(rows left,)`` names the rows still in the cache.
    """

    def __init__(
        self, policy: Policy, requests: Sequence[Request], sampling: Sampling, seed: int, logprobs: bool
    ) -> None:
        self.policy, self.requests, self.sampling, self.logprobs = policy, requests, sampling, logprobs
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
            ended = torch.isin(last, self.ends)
            over = ended if step + 1 < self.sampling.max_new_tokens else torch.ones_like(ended)
            for group in self._finish(over, ended, step + 1):
                yield self._group(group)
            if bool(over.all()):
                return
            logits = self._decode(self._drop(over, last))

    def _prefill(self) -> Tensor:
        """Run images and prompts through the model once, then repeat the cache for the n responses."""
        inputs: dict[str, Any] = self.policy.renderer.encode(
            [request.prompt for request in self.requests], [request.prefix for request in self.requests]
        )
        inputs = {k: _place(v, self.policy.model) for k, v in inputs.items()}
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

    def _finish(self, over: Tensor, ended: Tensor, length: int) -> list[int]:
        """Close the rows that are over; return the requests whose last response this was."""
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


def _place(value: Tensor, model: torch.nn.Module) -> Tensor:
    """Move an input to the model's device, pixels also to its data type."""
    parameter = next(model.parameters())
    return value.to(parameter.device, parameter.dtype if value.is_floating_point() else value.dtype)
