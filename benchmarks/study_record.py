"""What runs of the study have measured, as ``docs/study.json`` keeps it, and a run's figures joined with it.

A run folder holds gigabytes and stays where it was made; its figures are small. So a study can go on in an empty
folder, on another machine too: arms it has not run are taken from the record, as long as its warm-up policies are the
ones that the recorded arms began from.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path

from benchmarks.study_page import Measured, Results
from mstar.files import read_json, write_json


@dataclass(frozen=True)
class Setting:
    """What all arms of a study have in common; figures of two settings are not compared."""

    steps: int
    control_epochs: int


@dataclass(frozen=True)
class Joined:
    """A run's figures, and a record's where the run has none."""

    results: dict[str, dict[int, Measured]]
    taken: int
    """Figures from the record: an arm under a seed is one."""
    strangers: list[int]
    """Seeds whose warm-up policy is not the recorded one; nothing of the record is taken for them."""


def write_record(file: Path, results: Results, setting: Setting) -> None:
    """Keep what was measured."""
    measured = {name: {seed: asdict(one) for seed, one in found.items()} for name, found in results.items()}
    write_json(file, {**asdict(setting), "measured": measured})


def read_record(file: Path, setting: Setting) -> dict[str, dict[int, Measured]]:
    """What was measured before, by arm and seed; nothing if there is no record.

    Raises:
        ValueError: If the record was made with other settings.
    """
    if not file.is_file():
        return {}
    record = read_json(file)
    made = Setting(record["steps"], record["control_epochs"])
    if made != setting:
        raise ValueError(
            f"{file} was made with --steps {made.steps} --control_epochs {made.control_epochs}. "
            "Take the same, or another --page, beside which a new record is written."
        )
    measured = record["measured"].items()
    return {name: {int(seed): Measured(**one) for seed, one in found.items()} for name, found in measured}


def join(own: Results, recorded: Results) -> Joined:
    """Add to a run's figures the recorded ones that it lacks.

    An arm is paired with others of its seed because all began from one warm-up policy. Where the run has a seed's
    warm-up, its accuracies must be the recorded ones to the digit; a CPU that calculates otherwise gives others. CPU
    seconds of the record are turned into the run's by how long that warm-up took in each.
    """
    ours, theirs = own.get("warmup", {}), recorded.get("warmup", {})
    both = ours.keys() & theirs.keys()
    strangers = sorted(seed for seed in both if ours[seed].accuracy != theirs[seed].accuracy)
    results, taken = {name: dict(found) for name, found in own.items()}, 0
    for name, found in recorded.items():
        missing = {seed: one for seed, one in found.items() if seed not in own.get(name, {}) and seed not in strangers}
        gaps = {seed: _timed(one, ours.get(seed), theirs.get(seed)) for seed, one in missing.items()}
        taken += len(gaps)
        results[name] = dict(sorted({**results.get(name, {}), **gaps}.items()))
    return Joined(results, taken, strangers)


def _timed(one: Measured, ours: Measured | None, theirs: Measured | None) -> Measured:
    """A recorded arm with CPU seconds of the machine that the run was made on."""
    if ours is None or theirs is None:
        return one
    return replace(one, cpu_seconds=round(one.cpu_seconds * ours.cpu_seconds / theirs.cpu_seconds, 3))


def sources(folder: Path, file: Path, joined: Joined) -> str:
    """Say where the figures come from."""
    total = sum(map(len, joined.results.values()))
    found = f"{total - joined.taken} of the {total} runs were read from `{folder}`"
    if joined.taken:
        found += f", {joined.taken} from an earlier run's record in `{file.name}`, CPU times turned into this machine's"
    if joined.strangers:
        seeds = ", ".join(map(str, joined.strangers))
        found += f"; of seeds {seeds} nothing was taken from the record, whose warm-up policies are others"
    return found
