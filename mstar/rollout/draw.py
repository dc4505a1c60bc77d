"""Drawing tokens: each response from random numbers of its own."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from mstar.seeds import stable_seed
from mstar.types import Request, Sampling

BLOCK = 128  # tokens summed at once when the place of a random number is looked for
TOGETHER = 2**20  # numbers drawn from at once on a CPU: what its caches hold


def uniforms(seed: int, request: Request, index: int, count: int) -> Tensor:
    """The random numbers of one response, ``(count,)`` in [0, 1): token t is drawn with the t-th."""
    generator = torch.Generator().manual_seed(stable_seed(seed, request.stream, index))
    return torch.rand(count, generator=generator, dtype=torch.float32)  # whatever the default type is


def draw(logits: Tensor, sampling: Sampling, uniform: Tensor, temperature: Tensor | None = None) -> Tensor:
    """Draw a token a row by the inverse of the distribution function.

    Temperature, top-k, top-p and min-p apply in the order transformers applies them. At temperature 0 the most likely
    token is taken.

    Args:
        logits: ``(rows, vocabulary)``; banned tokens are ``-inf``.
        sampling: Temperature (unitless), top-k, top-p and min-p.
        uniform: ``(rows,)`` in [0, 1).
        temperature: ``(rows,)``, where rows differ in it; all above 0. ``sampling.temperature`` is then not read.

    Returns:
        Token ids ``(rows,)``.

    >>> draw(torch.tensor([[0.0, 5.0]]), Sampling(temperature=0), torch.tensor([0.9])).tolist()
    [1]
    >>> draw(torch.tensor([[0.0, 0.0]]), Sampling(), torch.tensor([0.75])).tolist()
    [1]
    """
    if temperature is None and sampling.temperature == 0:
        return logits.argmax(-1)
    rows = max(1, TOGETHER // logits.shape[-1]) if logits.device.type == "cpu" else len(logits)
    cut = [slice(start, start + rows) for start in range(0, len(logits), rows)]
    return torch.cat(
        [_draw(logits[at], sampling, uniform[at], None if temperature is None else temperature[at]) for at in cut]
    )


def _draw(logits: Tensor, sampling: Sampling, uniform: Tensor, temperature: Tensor | None) -> Tensor:
    scores = logits.float()
    if temperature is not None:
        scores = scores / temperature[:, None]
    elif sampling.temperature != 1:
        scores = scores / sampling.temperature
    if sampling.top_k:
        least = scores.topk(min(sampling.top_k, scores.shape[-1]), -1).values[:, -1:]
        scores = scores.masked_fill(scores < least, -torch.inf)
    if sampling.top_p < 1:
        scores = _nucleus(scores, sampling.top_p)
    top = scores.max(-1, keepdim=True).values
    weights = (scores - top if scores is logits else scores.sub_(top)).exp_()
    if sampling.min_p:
        weights = weights.masked_fill(weights < sampling.min_p, 0)  # the most likely token weighs 1
    return _place(weights, uniform.to(weights))


def _nucleus(scores: Tensor, top_p: float) -> Tensor:
    """Keep the smallest set of most likely tokens whose mass reaches ``top_p``."""
    ordered, order = scores.sort(-1, descending=True)
    before = ordered.softmax(-1).cumsum(-1) - ordered.softmax(-1)
    ordered = ordered.masked_fill(before >= top_p, -torch.inf)
    return torch.empty_like(scores).scatter(-1, order, ordered)


def _place(weights: Tensor, uniform: Tensor) -> Tensor:
    """The token at whose weight the running sum passes ``uniform`` of the whole: first its block, then within it."""
    rows, size = weights.shape
    if size % BLOCK:
        weights = pad(weights, (0, -size % BLOCK))
    weights = weights.reshape(rows, -1, BLOCK)
    sums = weights.sum(-1)
    running = sums.cumsum(-1)
    wanted = uniform[:, None] * running[:, -1:]
    block = _passing(running, wanted)  # (rows, 1)
    chosen = weights.gather(1, block[..., None].expand(-1, -1, BLOCK))[:, 0]
    inside = (wanted - (running - sums).gather(1, block)).clamp(min=0)  # rounding may leave less than nothing
    return (block * BLOCK + _passing(chosen.cumsum(-1), inside))[:, 0]


def _passing(running: Tensor, wanted: Tensor) -> Tensor:
    """First place whose running sum is above ``wanted``; never one of weight 0, however the sums were rounded."""
    last = torch.searchsorted(running, running[:, -1:].contiguous())
    return torch.minimum(torch.searchsorted(running, wanted.contiguous(), right=True), last)
