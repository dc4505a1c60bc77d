"""The table of a benchmark run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table

HEADS = {"accuracy": "greedy", "no_answer": "no answer", "majority_vote": "vote", "weighted_vote": "weighted vote"}
LAST = ("no_answer", "truncated", "tokens")


def benchmark_table(result: Mapping[str, Any]) -> Table:
    """Rows by benchmark and sub-task; per cent with 95 % Wilson intervals.

    ``no answer``, ``truncated`` and ``tokens`` are the greedy responses'; seconds are those that sampling took.

    Args:
        result: What ``benchmark.json`` holds.
    """
    rows = [(name, kind, row, b) for name, b in result["benchmarks"].items() for kind, row in b["rows"].items()]
    sampled = [name for name in rows[0][2].get("sampled", {}) if name not in (*LAST, "unscorable")]
    first = ["accuracy", *(["circular"] if any("circular" in row["greedy"] for _, _, row, _ in rows) else [])]
    shown = Table(title=title(result["settings"]), title_justify="left")
    for column in ("benchmark", "sub-task", "n", *map(head, first), *map(head, sampled), *map(head, LAST), "seconds"):
        shown.add_column(column, justify="left" if column in ("benchmark", "sub-task") else "right", no_wrap=True)
    for name, kind, row, benchmark in rows:
        greedy, more = row["greedy"], row.get("sampled", {})
        cells = [*(share(greedy[m]) if m in greedy else "" for m in first), *(share(more[m]) for m in sampled)]
        last = [percent(greedy["no_answer"]), percent(greedy["truncated"]), f"{greedy['tokens']['value']:.0f}"]
        seconds = f"{benchmark['seconds']:.0f}" if kind == "all" else ""
        shown.add_row(name, kind, str(greedy["accuracy"]["n"]), *cells, *last, seconds, end_section=False)
    if len(result["benchmarks"]) > 1:
        shown.add_row("mean", "", "", f"{100 * result['mean']:.1f}")
    return shown


def title(settings: Mapping[str, Any]) -> str:
    """Whose figures they are.

    >>> title({"model": "org/vlm", "ckpt_path": "best.ckpt", "policy": "1a18"})
    'org/vlm, best.ckpt (weights 1a18)'
    """
    named = [settings[key] for key in ("model", "ckpt_path") if settings[key]]
    return f"{', '.join(named) or 'policy'} (weights {settings['policy']})"


def head(metric: str) -> str:
    """A metric's name in the table."""
    return HEADS.get(metric, metric.replace("reward_pass", "reward-pass"))


def percent(measured: Mapping[str, Any]) -> str:
    """A share as per cent.

    >>> percent({"value": 0.4567})
    '45.7'
    """
    return f"{100 * measured['value']:.1f}"


def share(measured: Mapping[str, Any]) -> str:
    """A share with its interval.

    >>> share({"value": 0.5, "low": 0.4038, "high": 0.5962})
    '50.0 [40.4, 59.6]'
    """
    return f"{percent(measured)} [{100 * measured['low']:.1f}, {100 * measured['high']:.1f}]"
