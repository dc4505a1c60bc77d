"""What a decoder is asked to write, and what it gives."""

from __future__ import annotations

from dataclasses import dataclass

from mstar.types import Finish, Request, Sampling


@dataclass(frozen=True)
class Job:
    """A request, and which of its responses are still to be written."""

    request: Request
    sampling: Sampling
    missing: tuple[int, ...]


@dataclass(frozen=True)
class Response:
    """A response that is not finished."""

    job: Job
    index: int
    prompt: int
    """Number of its prompt among those in memory."""


@dataclass(frozen=True)
class Written:
    """A finished response."""

    request: Request
    index: int
    tokens: tuple[int, ...]
    """Sampled ones."""
    logprobs: tuple[float, ...] | None
    finish: Finish
