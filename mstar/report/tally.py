"""What became of an iteration's responses, counted as they pass by."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mstar.dynamics import best, pass_at_k, sampled_by_policy
from mstar.rollout.store import Stage
from mstar.types import Group, Rollout

FATES = ("kept", "kept, not right", "right, not kept", "wrong", "no answer", "unscorable", "not judged")
"""What can become of a response, best first; each has exactly one."""
NUM_REASONS = 12
"""Reasons told apart; rarer ones are counted together."""


@dataclass(frozen=True)
class Iteration:
    """One iteration in numbers."""

    number: int
    """From 0, as in the store."""
    state: str
    """``sealed``; ``open``: not finished; ``pruned``: rollouts were removed, and counts are the manifest's."""
    temperature: float | None
    num_prompts: int
    """Prompts that were asked."""
    num_dropped: int
    """Prompts that could not be asked."""
    num_rollouts: int
    num_correct: int
    num_kept: int
    fates: dict[str, int]
    """Responses by what became of them (`FATES`); they add up to ``num_rollouts``."""
    reasons: dict[str, int]
    """Responses that were not kept, by the reason in the selectors' words."""
    kinds: dict[str, tuple[int, int, int]]
    """Responses, correct ones and kept ones by question type."""
    measures: dict[str, float]
    """``pass@k`` and ``reward_pass@k`` in [0, 1]."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Wall time by phase."""


class Tally:
    """Counts the groups of one iteration.

    Args:
        ks: The k of pass@k and reward-pass@k; those above the size of the smallest group are left out.
        by: Reward that ranks for reward-pass@k; ``None`` leaves it out.
    """

    def __init__(self, ks: Sequence[int], by: str | None) -> None:
        self.ks = tuple(ks)
        self.by = by
        self.groups = 0
        self.fates: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.kinds: dict[str, list[int]] = {}
        self.correct = 0
        self.kept = 0
        self.temperatures: Counter[float] = Counter()
        self.sums: Counter[str] = Counter()
        self.measured: Counter[str] = Counter()
        self.own = 0
        """Groups with responses of the policy's own: measures are means over these."""

    def add(self, group: Group) -> None:
        """Count a group in."""
        self.groups += 1
        kind = self.kinds.setdefault(group.prompt.kind, [0, 0, 0])
        for rollout in group:
            fate = fate_of(rollout)
            self.fates[fate] += 1
            if rollout.kept is False:
                self.reasons[reason_of(rollout)] += 1
            for index, counts in enumerate((True, rollout.correct, rollout.kept is True)):
                kind[index] += counts
            self.correct += rollout.correct
            self.kept += rollout.kept is True
            self.temperatures[rollout.temperature] += 1
        for own in sampled_by_policy([group]):
            self._measure(own)

    def _measure(self, group: Group) -> None:
        self.own += 1
        correct = sum(rollout.correct for rollout in group)
        ranked = self.by is not None and all(self.by in rollout.rewards for rollout in group)
        for k in self.ks:
            if k <= len(group):
                self.sums[f"pass@{k}"] += pass_at_k(len(group), correct, k)  # type: ignore[assignment]
                self.measured[f"pass@{k}"] += 1
                if ranked and self.by is not None:
                    self.sums[f"reward_pass@{k}"] += any(r.correct for r in best(group, k, self.by))
                    self.measured[f"reward_pass@{k}"] += 1

    def result(self, number: int, stage: Stage, logged: Mapping[str, float]) -> Iteration:
        """The iteration in numbers.

        Args:
            number: Its number, from 0.
            stage: Its stage of the store.
            logged: What the run's monitor logged of it by key, for a stage whose rollouts are gone.
        """
        counted = Iteration(
            number=number,
            state="open",
            temperature=max(self.temperatures, key=lambda t: self.temperatures[t], default=None),
            num_prompts=self.groups,
            num_dropped=len(stage.dropped()),
            num_rollouts=sum(self.fates.values()),
            num_correct=self.correct,
            num_kept=self.kept,
            fates={fate: self.fates[fate] for fate in FATES},
            reasons=commonest(self.reasons, NUM_REASONS),
            kinds={kind: (n[0], n[1], n[2]) for kind, n in sorted(self.kinds.items())},
            measures={},
        )
        if not stage.sealed:
            return counted
        manifest = stage.manifest
        sealed = replace(
            counted,
            state="sealed",
            temperature=manifest["key"]["sampling"]["temperature"],
            seconds=dict(manifest["seconds"]),
            measures={name: self.sums[name] / n for name, n in self.measured.items() if n == self.own},
        )
        return _from_manifest(sealed, manifest["counts"], logged) if "retention" in manifest else sealed


def _from_manifest(counted: Iteration, counts: Mapping[str, Any], logged: Mapping[str, float]) -> Iteration:
    """Of rollouts that were removed the manifest knows how many were right and kept, but not which were both.

    Kept ones count as right as far as there were right ones.
    """
    kept, correct, unscorable = (int(counts[name]) for name in ("kept", "correct", "unscorable"))
    fates = {
        "kept": min(kept, correct),
        "kept, not right": max(0, kept - correct),
        "right, not kept": max(0, correct - kept),
        "unscorable": unscorable,
    }
    wrong = max(0, counts["rollouts"] - sum(fates.values()))
    return replace(
        counted,
        state="pruned",
        num_prompts=counts["prompts"],
        num_rollouts=counts["rollouts"],
        num_correct=correct,
        num_kept=kept,
        fates={fate: {**fates, "wrong": wrong}.get(fate, 0) for fate in FATES},
        reasons={},
        kinds={},
        measures={name.removeprefix("rollout/"): value for name, value in logged.items() if "pass@" in name},
    )


def fate_of(rollout: Rollout) -> str:
    """What became of a response, one of `FATES`.

    >>> fate_of(Rollout("p", 0, "", (), verdict="correct", kept=False))
    'right, not kept'
    """
    if rollout.kept:
        return "kept" if rollout.correct else "kept, not right"
    return "right, not kept" if rollout.correct else outcome_of(rollout)


def outcome_of(rollout: Rollout) -> str:
    """The verdict, and apart from other wrong responses those that state no answer."""
    if rollout.verdict == "wrong":
        return "no answer" if rollout.answer is None else "wrong"
    return rollout.verdict or "not judged"


def reason_of(rollout: Rollout) -> str:
    """Why a response was dropped, without what differs from response to response.

    >>> reason_of(Rollout("p", 3, "", (), kept=False, why="same as response 1"))
    'same as another response'
    """
    return re.sub(r"\bresponse \d+", "another response", rollout.why) or "no reason given"


def commonest(counts: Mapping[str, int], num: int) -> dict[str, int]:
    """The most frequent reasons, and all others in one: nothing is left out of the sum.

    >>> commonest({"a": 3, "b": 1, "c": 2, "d": 1}, 2)
    {'a': 3, 'c': 2, '2 other reasons': 2}
    """
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    rest = ordered[num:]
    return {**dict(ordered[:num]), **({f"{len(rest)} other reasons": sum(n for _, n in rest)} if rest else {})}
