"""How candidate temperatures are measured: all of them on everything, or fewer where that decides it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from mstar.temperature.rule import Choice, TemperatureRule
from mstar.types import Group

Measure = Callable[[float, range], Sequence[Group]]
"""Groups of some of the prompts (by position), sampled at a temperature and scored."""


class Search(Protocol):
    """Finds the temperature that a rule likes best.

    It depends on what it measures alone, so that all ranks, which measure the same, agree.
    """

    def find(self, candidates: Sequence[float], num_prompts: int, rule: TemperatureRule, measure: Measure) -> Choice:
        """Choose one of the candidates (unitless, rising); says what each was measured on."""
        ...


class FullGrid:
    """Measures every candidate on every prompt, as the paper does (section 8.3)."""

    def find(self, candidates: Sequence[float], num_prompts: int, rule: TemperatureRule, measure: Measure) -> Choice:
        """Measure all, then let the rule choose."""
        choice = rule.choose({t: measure(t, range(num_prompts)) for t in candidates})
        return replace(choice, num_prompts=dict.fromkeys(candidates, num_prompts))
