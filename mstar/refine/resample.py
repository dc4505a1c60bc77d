"""Spend more responses where the first ones all failed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mstar.modules.policy import Policy
from mstar.refine.refiner import unsolved
from mstar.rollout.engine import RolloutEngine
from mstar.seeds import stable_seed
from mstar.types import Group, Request, Sampling


class Resample:
    """Samples unsolved prompts again, for instance more boldly.

    Args:
        num_responses: Further responses an unsolved prompt.
        temperature: Unitless; ``None`` keeps the iteration's.
    """

    def __init__(self, num_responses: int = 16, temperature: float | None = None) -> None:
        self.num_responses = num_responses
        self.temperature = temperature

    def refine(
        self, groups: Sequence[Group], policy: Policy, engine: RolloutEngine, sampling: Sampling, seed: int
    ) -> list[Group]:
        """Return the further rollouts of unsolved prompts, origin ``resample``."""
        temperature = sampling.temperature if self.temperature is None else self.temperature
        sampling = replace(sampling, num_responses=self.num_responses, temperature=temperature)
        requests = [Request(group.prompt) for group in unsolved(groups)]
        again = engine.generate(policy, requests, sampling, stable_seed(seed, "resample"))
        return [Group(g.prompt, tuple(replace(r, origin="resample") for r in g)) for g in again]
