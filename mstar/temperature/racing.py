"""A race between candidate temperatures: the worse a candidate does, the sooner it is given up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from math import floor, inf, sqrt
from statistics import fmean, stdev

from mstar.temperature.rule import Choice, TemperatureRule
from mstar.temperature.search import Measure
from mstar.types import Group

Blocks = Mapping[float, Sequence[Sequence[Group]]]


class Racing:
    """Measures candidates on a block of prompts after another, and gives one up as soon as it can hardly win.

    Candidates answer the same prompts with the same random numbers, so they are compared block by block: one whose
    distance to the leader is ``z`` standard errors of what the blocks to come may still change is out. What the
    budget does not allow to go on is given up from the bottom: with r measurements left and a share q of the prompts
    to come, 2 r / q candidates stay, which is what a field that thins out evenly can afford; so early losers pay for
    a close finish. The finalists are measured on all prompts. Ours; the paper measures everything (``FullGrid``), and
    ``benchmarks/temperature_search.py`` says how often both choose the same.

    Args:
        budget: Share of the full grid's responses that may be spent, in (0, 1].
        num_blocks: Blocks the prompts are cut into, >= 2.
        z: Standard errors that decide; larger gives up later.
    """

    def __init__(self, budget: float = 0.5, num_blocks: int = 10, z: float = 3.0) -> None:
        if not 0 < budget <= 1:
            raise ValueError(f"temperature.search.budget is {budget}; give a share of the full grid in (0, 1].")
        if num_blocks < 2:
            raise ValueError(f"temperature.search.num_blocks is {num_blocks}; give 2 or more.")
        self.budget = budget
        self.num_blocks = num_blocks
        self.z = z

    def find(self, candidates: Sequence[float], num_prompts: int, rule: TemperatureRule, measure: Measure) -> Choice:
        """Race, then let the rule choose among those that finished.

        Raises:
            ValueError: If the budget is too small to measure every candidate once and one of them on all prompts.
        """
        bounds = cuts(num_prompts, self.num_blocks)
        left = self.budget * len(candidates) * num_prompts
        if left < len(candidates) * bounds[1] + num_prompts - bounds[1]:
            raise ValueError(
                f"temperature.search.budget ({self.budget}) does not let each of {len(candidates)} candidates have a "
                f"block of {bounds[1]} prompts and one finish: raise it, or num_blocks ({self.num_blocks})."
            )
        racing, blocks = list(candidates), {t: list[Sequence[Group]]() for t in candidates}
        scores: dict[float, float] = {}
        for start, stop in pairwise(bounds):
            for t in racing:
                blocks[t].append(measure(t, range(start, stop)))
            left -= len(racing) * (stop - start)
            scores |= rule.choose({t: together(blocks[t]) for t in racing}).scores
            if ahead := num_prompts - stop:
                racing = self._hopeful(rule, {t: blocks[t] for t in racing}, len(bounds) - 1)
                ranked = sorted(racing, key=lambda t: (-scores[t], -t))
                racing = sorted(ranked[: affordable(left, ahead, max(1, num_prompts // self.num_blocks + 1))])
        choice = rule.choose({t: together(blocks[t]) for t in racing})
        measured = {t: sum(map(len, blocks[t])) for t in candidates}
        reason = f"{choice.reason}, of {len(racing)} that finished"
        return replace(choice, scores={t: scores[t] for t in candidates}, reason=reason, num_prompts=measured)

    def _hopeful(self, rule: TemperatureRule, blocks: Blocks, total: int) -> list[float]:
        """Candidates whose distance to the leader the blocks to come may well make up for."""
        leader = rule.choose({t: together(parts) for t, parts in blocks.items()}).temperature
        num = len(blocks[leader])
        if num < 2:
            return list(blocks)
        each = [rule.choose({t: parts[b] for t, parts in blocks.items()}).scores for b in range(num)]
        behind = {t: [scores[leader] - scores[t] for scores in each] for t in blocks}
        change = sqrt((total - num) / (total * num))
        return [t for t, by in behind.items() if t == leader or fmean(by) <= self.z * change * spread(by)]


def affordable(left: float, ahead: int, block: int) -> int:
    """Candidates that may go on: what an evenly thinning field can afford, and no more than lets one of them finish.

    Args:
        left: Measurements (a candidate on a prompt) that may still be made.
        ahead: Prompts still to come.
        block: Prompts of the largest block.

    >>> affordable(700, 100, 10), affordable(100, 100, 10), affordable(25, 20, 10)
    (14, 1, 1)
    """
    return max(1, floor(min(2 * left / ahead, 1 + (left - ahead) / min(block, ahead)) + 1e-9))


def cuts(num_prompts: int, num_blocks: int) -> list[int]:
    """Where blocks begin and end; fewer blocks if there are fewer prompts.

    >>> cuts(10, 4), cuts(2, 4)
    ([0, 2, 5, 7, 10], [0, 1, 2])
    """
    num = min(num_prompts, num_blocks)
    return [num_prompts * block // num for block in range(num + 1)]


def together(blocks: Sequence[Sequence[Group]]) -> list[Group]:
    """All groups of some blocks."""
    return [group for block in blocks for group in block]


def spread(differences: Sequence[float]) -> float:
    """Standard deviation of block differences; where all blocks agree by chance it is unknown, thus infinite."""
    found = stdev(differences)
    return found if found > 0 else inf
