"""The reference engine: Hugging Face ``generate``, one prompt at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from transformers import GenerationConfig, PreTrainedModel

from mstar.modules.policy import Policy
from mstar.modules.renderer import end_tokens, placeholders
from mstar.rollout.account import Account
from mstar.rollout.engine import require_distinct
from mstar.rollout.stops import StopTexts
from mstar.seeds import stable_seed
from mstar.types import Group, Request, Rollout, Sampling


class GenerateEngine:
    """Samples by ``model.generate``: slower than the native engine, but it runs whatever transformers runs.

    Use it for models without a plain key-value cache in every layer (linear attention, cross-attention), and as the
    reference in tests. One random stream a request, so a response depends on its prompt and seed alone. What the
    checkpoint's generation config says of sampling (``top_k``, ``repetition_penalty``, …) is not applied: ``Sampling``
    alone decides, as with every engine.
    """

    def __init__(self) -> None:
        self.account = Account()

    def generate(self, policy: Policy, requests: Sequence[Request], sampling: Sampling, seed: int) -> Iterator[Group]:
        """Yield groups in the order of the requests; see ``RolloutEngine.generate``."""
        require_distinct(requests)
        for request in requests:
            with torch.random.fork_rng(), self.account.phase("generate"):
                torch.manual_seed(stable_seed(seed, request.stream))
                group = _group(policy, request, request.sampling or sampling)
            self.account.prompts += 1
            self.account.responses += len(group)
            self.account.tokens += sum(len(rollout.tokens) - len(request.prefix) for rollout in group)
            yield group


@contextmanager
def plain(model: PreTrainedModel) -> Iterator[None]:
    """Take the checkpoint's own generation config away: ``generate`` reads from it whatever it is not told."""
    own = model.generation_config
    model.generation_config = GenerationConfig()
    try:
        yield
    finally:
        model.generation_config = own


def _group(policy: Policy, request: Request, sampling: Sampling) -> Group:
    model: Any = policy.model
    inputs = {k: v.to(model.device) for k, v in policy.renderer.encode([request.prompt], [request.prefix]).items()}
    inputs = {k: v.to(model.dtype) if v.is_floating_point() else v for k, v in inputs.items()}
    ends, width = end_tokens(model, policy.renderer), inputs["input_ids"].shape[1]
    greedy = sampling.temperature == 0
    warpers: dict[str, Any] = (
        {} if greedy else {k: getattr(sampling, k) for k in ("temperature", "top_p", "top_k", "min_p")}
    )
    if sampling.stop:
        warpers |= {"stop_strings": list(sampling.stop), "tokenizer": policy.renderer.tokenizer}
    banned = placeholders(model)
    with plain(model):
        rows = model.generate(
            **inputs,
            **warpers,
            do_sample=not greedy,
            num_return_sequences=1 if greedy else sampling.num_responses,
            max_new_tokens=sampling.max_new_tokens,
            eos_token_id=ends,
            pad_token_id=policy.renderer.tokenizer.pad_token_id,
            suppress_tokens=banned or None,
        )[:, width:].tolist()
    rows = rows * sampling.num_responses if greedy else rows
    rollouts = tuple(_rollout(policy, request, i, row, ends, sampling) for i, row in enumerate(rows))
    return Group(request.prompt, rollouts, request.key)


def _rollout(
    policy: Policy, request: Request, index: int, row: list[int], ends: list[int], sampling: Sampling
) -> Rollout:
    stop = next((i for i, token in enumerate(row) if token in ends), None)
    if sampling.stop and stop is None:
        stop = _stopped(policy, row, sampling)
    tokens = (*request.prefix, *(row if stop is None else row[: stop + 1]))
    return Rollout(
        prompt_id=request.prompt.id,
        index=index,
        text=policy.renderer.decode(tokens),
        tokens=tokens,
        finish="length" if stop is None else "stop",
        temperature=sampling.temperature,
    )


def _stopped(policy: Policy, row: list[int], sampling: Sampling) -> int | None:
    """Index of the token that completed a stop text; ``generate`` pads behind it until all rows are over."""
    stops = StopTexts(policy.renderer)
    return next((i for i in range(len(row)) if stops.ended(sampling.stop, torch.tensor(row[: i + 1]))), None)
