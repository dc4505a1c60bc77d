"""An iteration on one screen: what was sampled, what it is worth, what was kept, why not the rest, and the time."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from mstar.dynamics import by_kind
from mstar.progress.tally import clock
from mstar.terminal import printable
from mstar.types import Group, Rollout

MOST = 8
"""Kinds and reasons that get a line; the rest is added up in one more."""


def summary(
    iteration: int,
    groups: Sequence[Group],
    metrics: Mapping[str, float],
    seconds: Mapping[str, float],
    dropped: Mapping[str, str],
) -> str:
    """The page, without an end of line; at most 30 lines of at most 100 columns.

    Args:
        iteration: From 0.
        groups: The iteration's, selected.
        metrics: What is logged, by name; of ``rollout/…`` and ``val/…`` the best known are shown, where they are there.
        seconds: Wall time by phase.
        dropped: Why prompts were not asked, by id.
    """
    rollouts = [rollout for group in groups for rollout in group]
    kept = sum(r.kept is True for r in rollouts)
    temperature = next((r.temperature for r in rollouts if r.origin == "policy"), rollouts[0].temperature)
    head = (
        f"iteration {iteration} | {len(rollouts):,} responses to {len(groups):,} prompts at temperature "
        f"{temperature:g} | accepted {kept:,} ({percent(kept, len(rollouts))}), of "
        f"{percent(_trained(groups), len(groups))} of the prompts"
    )
    rows = [
        ("sampled", shares(metrics, "rollout/")),
        ("validation", shares(metrics, "val/")),
        ("kept by type", listed({kind or "other": _kept(own) for kind, own in by_kind(groups).items()})),
        ("dropped because", listed(Counter(map(reason, _unkept(rollouts))))),
        ("not asked", listed(Counter(_short(why) for why in dropped.values()))),
        ("time", " · ".join(f"{name} {clock(value)}" for name, value in seconds.items() if value >= 0.5)),
    ]
    lines = [head, *(f"  {name:16}{line}" for name, text in rows if text for line in folded(text))]
    return printable("\n".join(lines), keep="\n")


def shares(metrics: Mapping[str, float], beginning: str) -> str:
    """Accuracy, pass@k and reward-pass@k in per cent, of those that are logged.

    >>> shares({"val/accuracy": 0.5, "val/pass@8": 0.75, "val/sum/pass@8": 1.0, "val/length": 12.0}, "val/")
    'accuracy 50.0 · pass@8 75.0'
    """
    shown = {}
    for name, value in metrics.items():
        if re.fullmatch(r"accuracy|(reward_)?pass@\d+|majority_vote", known := name.removeprefix(beginning)):
            shown[known.replace("_", "-")] = value
    return " · ".join(f"{name} {100 * value:.1f}" for name, value in shown.items())


def listed(counts: Mapping[str, int]) -> str:
    """Counts by name, the largest first, so many and no more.

    >>> listed({"sum": 3, "range": 1200})
    'range 1,200 · sum 3'
    """
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    rest = sum(count for _, count in ordered[MOST:])
    shown = [*ordered[:MOST], *([(f"{len(ordered) - MOST} others", rest)] if rest else [])]
    return " · ".join(f"{name} {count:,}" for name, count in shown)


def reason(rollout: Rollout) -> str:
    """Why a rollout was dropped, without what is its own alone.

    >>> reason(Rollout("p", 0, "", (), why="unscorable: cannot read '3..4'"))
    'unscorable'
    """
    return _short(rollout.why)


def percent(part: int, whole: int) -> str:
    """A share.

    >>> percent(1, 8)
    '12.5 %'
    """
    return f"{100 * part / max(whole, 1):.1f} %"


def folded(text: str, width: int = 82) -> list[str]:
    """A list in lines of a width, broken between items; an item that is longer is cut.

    >>> folded("one · two · three", 9)
    ['one · two', 'three']
    """
    lines: list[str] = []
    for item in text.split(" · "):
        item = item if len(item) <= width else f"{item[: width - 1]}…"
        if lines and len(lines[-1]) + 3 + len(item) <= width:
            lines[-1] += f" · {item}"
        else:
            lines.append(item)
    return lines


def _short(why: str) -> str:
    return why.partition(":")[0].strip() or "no reason given"


def _kept(groups: Sequence[Group]) -> int:
    return sum(rollout.kept is True for group in groups for rollout in group)


def _trained(groups: Sequence[Group]) -> int:
    return sum(any(rollout.kept for rollout in group) for group in groups)


def _unkept(rollouts: Sequence[Rollout]) -> list[Rollout]:
    return [rollout for rollout in rollouts if rollout.kept is False]
