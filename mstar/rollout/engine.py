"""The face of a rollout engine, and the draw both engines share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import torch
from torch import Tensor

from mstar.modules.policy import Policy
from mstar.seeds import stable_seed
from mstar.types import Group, Request, Sampling


class RolloutEngine(Protocol):
    """Samples responses."""

    def generate(self, policy: Policy, requests: Sequence[Request], sampling: Sampling, seed: int) -> Iterator[Group]:
        """Yield each request's group as soon as it is finished, in any order.

        Args:
            policy: A policy inside ``PolicyModule.inference()``.
            requests: What to continue; their streams must differ.
            sampling: How; the same for all requests.
            seed: With a request's stream and a response's index it fixes that response's random numbers, whatever
                else is sampled beside it.
        """
        ...


def uniforms(seed: int, request: Request, index: int, count: int) -> Tensor:
    """The random numbers of one response, ``(count,)`` in [0, 1): token t is drawn with the t-th."""
    generator = torch.Generator().manual_seed(stable_seed(seed, request.stream, index))
    return torch.rand(count, generator=generator)


def draw(logits: Tensor, sampling: Sampling, uniform: Tensor) -> Tensor:
    """Draw a token a row by the inverse of the distribution function.

    Temperature, top-k and top-p apply in the order transformers applies them. At temperature 0 the most likely
    token is taken.

    Args:
        logits: ``(rows, vocabulary)``; banned tokens are ``-inf``.
        sampling: Temperature (unitless), top-k and top-p.
        uniform: ``(rows,)`` in [0, 1).

    Returns:
        Token ids ``(rows,)``.

    >>> draw(torch.tensor([[0.0, 5.0]]), Sampling(temperature=0), torch.tensor([0.9])).tolist()
    [1]
    >>> draw(torch.tensor([[0.0, 0.0]]), Sampling(), torch.tensor([0.75])).tolist()
    [1]
    """
    if sampling.temperature == 0:
        return logits.argmax(-1)
    scores = logits.float() / sampling.temperature
    if sampling.top_k:
        kept = scores.topk(min(sampling.top_k, scores.shape[-1]), -1).values[:, -1:]
        scores = scores.masked_fill(scores < kept, -torch.inf)
    if sampling.top_p < 1:
        scores = _nucleus(scores, sampling.top_p)
    cumulative = scores.softmax(-1).cumsum(-1)
    # The last column is 1 only up to rounding: scale the uniform instead, so that no draw falls off the end.
    threshold = uniform.to(cumulative)[:, None] * cumulative[:, -1:]
    return torch.searchsorted(cumulative, threshold, right=True)[:, 0].clamp_(max=scores.shape[-1] - 1)


def _nucleus(scores: Tensor, top_p: float) -> Tensor:
    """Keep the smallest set of most likely tokens whose mass reaches ``top_p``."""
    ordered, order = scores.sort(-1, descending=True)
    before = ordered.softmax(-1).cumsum(-1) - ordered.softmax(-1)
    ordered = ordered.masked_fill(before >= top_p, -torch.inf)
    return torch.empty_like(scores).scatter(-1, order, ordered)
