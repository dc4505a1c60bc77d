"""Does vLLM hold the policy's weights? Its log-probabilities of a few responses beside the policy's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mstar.modules.logprobs import response_logprobs
from mstar.modules.policy import Policy
from mstar.rollout.vllm.replica import Response
from mstar.types import Request, Sampling

PROBE = Sampling(num_responses=4, max_new_tokens=32)
"""Sampled rather than greedy: a model that repeats itself is sure of every token whatever its weights are."""


@dataclass(frozen=True)
class Probe:
    """What a replica said: the tokens of its responses, and what it holds each to be worth (natural log)."""

    tokens: tuple[tuple[int, ...], ...]
    logprobs: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Answer:
    """A replica's probe beside the policy's own log-probabilities of the same tokens."""

    probe: Probe
    own: tuple[float, ...]

    @property
    def gap(self) -> float:
        """Mean absolute difference of the log-probabilities of a token, in nats."""
        said = [value for row in self.probe.logprobs for value in row]
        return sum(abs(a - b) for a, b in zip(said, self.own, strict=True)) / len(said)


def to_probe(responses: Sequence[Response]) -> Probe:
    """The part of the responses that is compared."""
    return Probe(tuple(r.tokens for r in responses), tuple(r.logprobs or () for r in responses))


def own_logprobs(policy: Policy, request: Request, probe: Probe) -> tuple[float, ...]:
    """The policy's log-probabilities of all the probe's tokens, from its own forward, images included."""
    rows = response_logprobs(policy.model, policy.renderer, [(request.prompt, row) for row in probe.tokens])
    return tuple(value for row in rows for value in row)


def judge(answers: Sequence[Answer], limit: float, before: Sequence[Answer]) -> str:
    """Say in words why the replicas do not hold the policy's weights; nothing if they do.

    Args:
        answers: One a replica.
        limit: Largest gap that passes, in nats; not-a-number never does.
        before: The replicas' answers under other weights, if these must differ: the same to the last bit means that
            nothing was loaded, which the limit would not tell after a short training.

    >>> judge([Answer(Probe(((5, 6),), ((-1.0, -2.0),)), (-1.0, -2.5))], 0.1, [])
    'the log-probabilities of 2 tokens differ by 0.25 nat on average, and 0.1 is the limit'
    """
    for answer in answers:
        if not answer.gap <= limit:
            return (
                f"the log-probabilities of {len(answer.own)} tokens differ by {answer.gap:.3g} nat on average, and "
                f"{limit:.3g} is the limit"
            )
    if any(answer.probe == old.probe for answer, old in zip(answers, before, strict=False)):
        return "it answers as before to the last bit, although they have changed"
    return ""
