"""What was measured of a policy, in the files that `mstar test` and `mstar validate` leave in their run folders"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mstar.files import read_json

EVALUATION, BENCHMARK = "evaluation.json", "benchmark.json"


@dataclass(frozen=True)
class Figure:
    """One measure of one split or benchmark."""

    of: str
    metric: str
    value: float
    """In [0, 1]."""
    interval: tuple[float, float] | None
    """95 %; ``None`` where none was made."""
    number: int
    """Prompts."""


def read_measured(folders: Sequence[Path]) -> list[Figure]:
    """All figures of the runs in ``folders``.

    Raises:
        FileNotFoundError: If a folder but the first, the run's own, has none.
    """
    figures = []
    for number, folder in enumerate(folders):
        files = [folder / name for name in (EVALUATION, BENCHMARK) if (folder / name).is_file()]
        if not files and number:
            raise FileNotFoundError(
                f"--measured {folder} has neither {EVALUATION} nor {BENCHMARK}: give a run of `mstar test`, or of "
                f"`mstar validate` with a benchmark."
            )
        for file in files:
            found = read_json(file)
            figures += list(_splits(found) if file.name == EVALUATION else _benchmarks(found))
    return figures


def _splits(found: dict[str, Any]) -> Iterator[Figure]:
    for split, measures in found.items():
        low, high = measures["ci95"]
        number = int(measures["num_prompts"])
        yield Figure(split, "greedy accuracy", measures["accuracy"], (low, high), number)
        for metric, value in measures.items():
            if metric.startswith(("pass@", "reward_pass@")) and "-" not in metric:
                yield Figure(split, metric, value, None, number)


def _benchmarks(found: dict[str, Any]) -> Iterator[Figure]:
    for name, benchmark in found["benchmarks"].items():
        for what, metrics in benchmark["rows"]["all"].items():
            for metric, measured in metrics.items():
                if measured["low"] is not None:
                    interval = measured["low"], measured["high"]
                    yield Figure(name, f"{what} {metric}", measured["value"], interval, measured["n"])
