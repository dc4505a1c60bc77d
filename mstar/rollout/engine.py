"""The face of a rollout engine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from mstar.modules.policy import Policy
from mstar.rollout.account import Account
from mstar.types import Group, Request, Sampling


class RolloutEngine(Protocol):
    """Samples responses."""

    account: Account
    """What sampling has cost since the engine was made; engines only add to it."""

    def generate(self, policy: Policy, requests: Sequence[Request], sampling: Sampling, seed: int) -> Iterator[Group]:
        """Yield each request's group as soon as it is finished, in any order.

        Args:
            policy: A policy inside ``PolicyModule.inference()``.
            requests: What to continue; their streams must differ.
            sampling: How, where a request does not say it itself.
            seed: With a request's stream and a response's index it fixes that response's random numbers, whatever
                else is sampled beside it.
        """
        ...
