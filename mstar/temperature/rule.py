"""The face of a temperature rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from mstar.types import Group


@dataclass(frozen=True)
class Choice:
    """A temperature and what spoke for it."""

    temperature: float
    scores: dict[float, float]
    """The whole curve: score by candidate temperature."""
    reason: str
    num_prompts: dict[float, int] = field(default_factory=dict)
    """Prompts each candidate was measured on, filled by the search: fewer where one was given up early."""


class TemperatureRule(Protocol):
    """Chooses a temperature from scored responses drawn at several."""

    def choose(self, measured: Mapping[float, Sequence[Group]]) -> Choice:
        """Take a candidate; ``measured`` holds the groups sampled at each, by temperature (unitless, > 0)."""
        ...


def highest(scores: dict[float, float], name: str) -> Choice:
    """The candidate of highest score; of equal ones the hottest.

    The paper does not state its tie-break. Pass@k falls as training goes on, more slowly at high temperature, so
    among equals the one that explores more is taken.

    >>> highest({0.5: 0.4, 0.9: 0.6, 1.2: 0.6}, "pass@2").temperature
    1.2
    """
    chosen = max(scores, key=lambda t: (scores[t], t))
    return Choice(chosen, scores, f"{name} is highest ({scores[chosen]:.3f}) at temperature {chosen:g}")
