"""The face of a rollout engine, and what every one refuses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from mstar.modules.policy import Policy
from mstar.rollout.account import Account
from mstar.types import Group, Prompt, Request, Sampling


class RolloutEngine(Protocol):
    """Samples responses."""

    account: Account
    """What sampling has cost since the engine was made; engines only add to it."""

    def generate(self, policy: Policy, requests: Sequence[Request], sampling: Sampling, seed: int) -> Iterator[Group]:
        """Yield each request's group as soon as it is finished, in any order.

        Args:
            policy: A policy inside ``PolicyModule.inference()``.
            requests: What to continue; their streams must differ, and prompts of the same id be the same.
            sampling: How, where a request does not say it itself.
            seed: With a request's stream and a response's index it fixes that response's random numbers, whatever
                else is sampled beside it.

        Raises:
            ValueError: If ``require_distinct`` does.
        """
        ...


def require_distinct(requests: Sequence[Request]) -> None:
    """Refuse requests that would be mistaken for one another.

    Raises:
        ValueError: If two draw from the same random stream, or two prompts differ but in their id.
    """
    streams: set[str] = set()
    prompts: dict[str, Prompt] = {}
    for request in requests:
        if request.stream in streams:
            raise ValueError(
                f"Two requests have the same stream, {request.stream!r}: give prompts ids that differ, and requests of "
                "one prompt keys that differ."
            )
        streams.add(request.stream)
        prompts.setdefault(request.prompt.id, request.prompt).require_same(request.prompt)
