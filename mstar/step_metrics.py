"""Pure measures of step rewards against step labels: over all steps, and among the responses to one prompt."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isnan, nan
from statistics import fmean

import torch
from torchmetrics.functional.classification import binary_auroc, binary_calibration_error

NUM_BINS = 10


@dataclass(frozen=True)
class ScoredResponse:
    """A response whose steps a process reward model has scored."""

    prompt_id: str
    kind: str
    """The prompt's kind."""
    scores: tuple[float, ...]
    """A reward in [0, 1] for each step."""
    right: tuple[bool, ...]
    """Whether each step's label says right; the last one's is the response's own verdict."""


def auc(scores: Sequence[float], right: Sequence[bool]) -> float:
    """Chance that a right one is scored above a wrong one, ties half; not-a-number without one of each.

    >>> auc([0.9, 0.2, 0.2], [True, True, False])
    0.75
    """
    if not 0 < sum(right) < len(right):
        return nan
    return float(binary_auroc(torch.tensor(scores, dtype=torch.float64), torch.tensor(right).int()))


def calibration_error(scores: Sequence[float], right: Sequence[bool]) -> float:
    """Expected calibration error in [0, 1] over ten bins of equal width.

    >>> round(calibration_error([0.25, 0.25, 0.25, 0.25], [True, False, False, False]), 6)
    0.0
    """
    truth = torch.tensor(right).int()
    return float(binary_calibration_error(torch.tensor(scores), truth, n_bins=NUM_BINS))


def accuracy(scores: Sequence[float], right: Sequence[bool], threshold: float = 0.5) -> float:
    """Share of steps on the right side of a threshold: a step at it counts as said to be right.

    >>> accuracy([0.9, 0.4, 0.6], [True, False, False])
    0.6666666666666666
    """
    return fmean((score >= threshold) == truth for score, truth in zip(scores, right, strict=True))


def mean_auc(parts: Iterable[tuple[Sequence[float], Sequence[bool]]]) -> float:
    """Mean AUC of the parts that have right and wrong ones; not-a-number if none has."""
    found = [value for scores, right in parts if not isnan(value := auc(scores, right))]
    return fmean(found) if found else nan


def measure_steps(responses: Sequence[ScoredResponse], threshold: float = 0.5) -> dict[str, float]:
    """All measures by metric name; those that need right and wrong ones are left out where there are not both.

    ``auc``, ``calibration_error`` and ``accuracy`` are over all steps. ``auc_within_prompt`` compares steps of one
    prompt's responses with each other and is averaged over prompts: a model that only knows which questions are hard
    stays at 0.5 there. ``ranking_auc`` compares whole responses to one prompt by their worst step (min, as the paper
    aggregates): right answers above wrong ones. What the paper needs, sound above lucky, no label tells.

    Args:
        responses: Scored; those without steps do not count.
        threshold: Of ``accuracy``, in [0, 1].
    """
    told = [response for response in responses if response.right]
    if not told:
        return {}
    scores, right = _all_steps(told)
    grouped: dict[str, list[ScoredResponse]] = {}
    for response in told:
        grouped.setdefault(response.prompt_id, []).append(response)
    prompts = list(grouped.values())
    measures = {
        "accuracy": accuracy(scores, right, threshold),
        "calibration_error": calibration_error(scores, right),
        "auc": auc(scores, right),
        "auc_within_prompt": mean_auc(_all_steps(own) for own in prompts),
        "ranking_auc": mean_auc(([min(r.scores) for r in own], [r.right[-1] for r in own]) for own in prompts),
    }
    return {name: value for name, value in measures.items() if not isnan(value)}


def measure_by_kind(responses: Sequence[ScoredResponse], threshold: float = 0.5) -> dict[str, float]:
    """The measures of all responses, and under ``<kind>/…`` those of each kind of prompt."""
    found = measure_steps(responses, threshold)
    for kind in sorted({response.kind for response in responses}):
        own = measure_steps([response for response in responses if response.kind == kind], threshold)
        found |= {f"{kind or 'other'}/{name}": value for name, value in own.items()}
    return found


def _all_steps(responses: Sequence[ScoredResponse]) -> tuple[list[float], list[bool]]:
    scores = [score for response in responses for score in response.scores]
    return scores, [truth for response in responses for truth in response.right]
