"""What a run's loggers wrote down: TensorBoard's event files, and CSV."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

EVENTS, TABLE = "events.out.tfevents.*", "metrics.csv"


@dataclass(frozen=True)
class Entry:
    """One value of one key."""

    iteration: int
    """Lightning's epoch."""
    step: int
    """Optimizer steps so far."""
    value: float
    time: float | None = None
    """Seconds since 1970; CSV files have none."""
    file: str = ""
    """The file it stands in: one for each attempt at a run."""


Logged = dict[str, list[Entry]]


def read_logged(folder: Path) -> Logged:
    """All scalars of a run by key, in the order of their steps.

    A run that was interrupted has several files, and steps that were done twice: the later file's count.

    Args:
        folder: The run's. Event files are preferred, for they know when; without any, CSV files are read.
    """
    events = sorted(folder.glob(f"**/{EVENTS}"), key=lambda path: (path.stat().st_mtime, path.name))
    rows = (row for path in events for row in _read_events(path))
    if not events:
        rows = (row for path in sorted(folder.glob(f"**/{TABLE}")) for row in _read_table(path))
    found: dict[str, dict[int, Entry]] = {}
    for key, entry in rows:
        found.setdefault(key, {})[entry.step] = entry
    return {key: [entries[step] for step in sorted(entries)] for key, entries in found.items()}


def _read_events(path: Path) -> Iterator[tuple[str, Entry]]:
    """Lightning logs the epoch beside whatever it logs, at the same step."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = EventAccumulator(str(path), size_guidance={"scalars": 0, "images": 1, "histograms": 1, "tensors": 1})
    log.Reload()
    keys = log.Tags()["scalars"]
    scalars = {key: log.Scalars(key) for key in keys}
    epochs = {event.step: int(event.value) for event in scalars.pop("epoch", [])}
    for key, values in scalars.items():
        for event in values:
            if event.step in epochs:
                yield key, Entry(epochs[event.step], event.step, event.value, event.wall_time, path.name)


def _read_table(path: Path) -> Iterator[tuple[str, Entry]]:
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row.get("epoch") and row.get("step"):
                for key, text in row.items():
                    if key not in ("epoch", "step") and text:
                        yield key, Entry(int(float(row["epoch"])), int(row["step"]), float(text), None, path.name)
