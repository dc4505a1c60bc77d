"""The table of a benchmark run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

HEADS = {"accuracy": "greedy", "no_answer": "no answer", "majority_vote": "vote", "weighted_vote": "weighted vote"}
LAST = ("no_answer", "truncated", "tokens")
ANY = 10_000  # columns; wider than any table


def show(result: Mapping[str, Any], console: Console) -> None:
    """Print the table with no figure cut off: intervals go under their values where the terminal is too narrow.

    Args:
        result: What ``benchmark.json`` holds.
        console: The terminal, or a log, which may be of any width.
    """
    table = benchmark_table(result, " ")
    if console.is_terminal and width_of(table, console) > console.width:
        table = benchmark_table(result, "\n")
    console.width = max(console.width, width_of(table, console))
    console.print(table)


def benchmark_table(result: Mapping[str, Any], between: str) -> Table:
    """Rows by benchmark and sub-task; per cent with 95 % Wilson intervals.

    ``no answer``, ``truncated`` and ``tokens`` are the greedy responses'; seconds are those that sampling took.

    Args:
        result: What ``benchmark.json`` holds.
        between: What stands between a share and its interval.
    """
    rows = [(name, kind, row, b) for name, b in result["benchmarks"].items() for kind, row in b["rows"].items()]
    sampled = [name for name in rows[0][2].get("sampled", {}) if name not in (*LAST, "unscorable")]
    first = ["accuracy", *(["circular"] if any("circular" in row["greedy"] for _, _, row, _ in rows) else [])]
    names = ("benchmark", "sub-task")
    shown = Table(title=title(result["settings"]), title_justify="left", caption=caption(result["settings"]))
    for column in (*names, "n", *map(head, first), *map(head, sampled), *map(head, LAST), "seconds"):
        shown.add_column(column, justify="left" if column in names else "right", no_wrap=True)
    for name, kind, row, benchmark in rows:
        greedy, more = row["greedy"], row.get("sampled", {})
        shares = [*(greedy.get(metric) for metric in first), *(more[metric] for metric in sampled)]
        cells = [share(measured, between) if measured else "" for measured in shares]
        last = [percent(greedy["no_answer"]), percent(greedy["truncated"]), f"{greedy['tokens']['value']:.0f}"]
        seconds = f"{benchmark['seconds']:.0f}" if kind == "all" else ""
        shown.add_row(name, kind, str(greedy["accuracy"]["n"]), *cells, *last, seconds)
    if len(result["benchmarks"]) > 1:
        shown.add_row("mean", "", "", f"{100 * result['mean']:.1f}")
    return shown


def width_of(table: Table, console: Console) -> int:
    """Columns a table needs for all its cells."""
    return console.measure(table, options=console.options.update(width=ANY)).maximum


def title(settings: Mapping[str, Any]) -> str:
    """Whose figures they are.

    >>> title({"model": "org/vlm", "ckpt_path": "best.ckpt", "policy": "1a18"})
    'org/vlm, best.ckpt (weights 1a18)'
    """
    named = [settings[key] for key in ("model", "ckpt_path") if settings[key]]
    return f"{', '.join(named) or 'policy'} (weights {settings['policy']})"


def caption(settings: Mapping[str, Any]) -> str:
    """How the figures came about.

    >>> caption({"sampled": {"num_responses": 8, "temperature": 1.0}})
    'per cent [95 % interval]; greedy: 1 response a prompt; pass@k and votes: 8 at temperature 1.0'
    """
    sampled = settings["sampled"]
    if not sampled:
        return "per cent [95 % interval]; 1 greedy response a prompt"
    more = f"{sampled['num_responses']} at temperature {sampled['temperature']}"
    return f"per cent [95 % interval]; greedy: 1 response a prompt; pass@k and votes: {more}"


def head(metric: str) -> str:
    """A metric's name in the table."""
    return HEADS.get(metric, metric.replace("reward_pass", "reward-pass"))


def percent(measured: Mapping[str, Any]) -> str:
    """A share as per cent.

    >>> percent({"value": 0.4567})
    '45.7'
    """
    return f"{100 * measured['value']:.1f}"


def share(measured: Mapping[str, Any], between: str = " ") -> str:
    """A share with its interval.

    >>> share({"value": 0.5, "low": 0.4038, "high": 0.5962})
    '50.0 [40.4, 59.6]'
    """
    return f"{percent(measured)}{between}[{100 * measured['low']:.1f}, {100 * measured['high']:.1f}]"
