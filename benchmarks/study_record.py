"""What runs of the study have measured, as ``docs/study.json`` keeps it, and a run's figures joined with it.

A run folder holds gigabytes and stays where it was made; its figures are small. So a study can go on in an empty
folder, on another machine too: arms it has not run are taken from the record, as long as its warm-up policies are the
ones that the recorded arms began from.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.study_arms import ARMS
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
    pace: float | None
    """CPU seconds of this machine for one of the recorded; ``None`` if nothing was run in both."""


def write_record(file: Path, results: Results, setting: Setting) -> None:
    """Keep what was measured, and what each arm was."""
    measured = {name: {seed: asdict(one) for seed, one in found.items()} for name, found in results.items()}
    write_json(file, {**asdict(setting), "arms": _arms(), "measured": measured})


def read_record(file: Path, setting: Setting) -> dict[str, dict[int, Measured]]:
    """What was measured before, by arm and seed; nothing if there is no record.

    Raises:
        ValueError: If the record was made with other settings, of all arms or of one it has figures of.
    """
    if not file.is_file():
        return {}
    record = read_json(file)
    made = [f"--{name} {record.get(name, 'unknown')}" for name in asdict(setting)]
    if made != [f"--{name} {value}" for name, value in asdict(setting).items()]:
        raise ValueError(
            f"{file} was made with {' '.join(made)}. Take the same, or another --page, beside which a new record is "
            f"written."
        )
    now, then = _arms(), record["arms"]
    if changed := [name for name, found in record["measured"].items() if found and now.get(name) != then.get(name)]:
        raise ValueError(
            f"{file} has figures of {', '.join(changed)}, made with other settings of the arm. Take them out of its "
            f"'measured', or take another --page, beside which a new record is written."
        )
    measured = record["measured"].items()
    return {name: {int(seed): Measured(**one) for seed, one in found.items()} for name, found in measured}


def _arms() -> dict[str, Any]:
    """The settings of each arm, as JSON has them."""
    return {arm.name: {**asdict(arm), "selectors": list(arm.selectors)} for arm in ARMS}


def join(own: Results, recorded: Results) -> Joined:
    """Add to a run's figures the recorded ones that it lacks.

    An arm is paired with others of its seed because all began from one warm-up policy. CPU seconds of the record are
    turned into the run's by how long the warm-ups that are in both took in each.

    Raises:
        ValueError: If a seed's warm-up policy in the run is another than the recorded one: a CPU that calculates
            otherwise makes others, and so their accuracies tell.
    """
    ours, theirs = own.get("warmup", {}), recorded.get("warmup", {})
    both = sorted(ours.keys() & theirs.keys())
    others = [seed for seed in both if _scores(ours[seed]) != _scores(theirs[seed])]
    if others:
        raise ValueError(
            f"The warm-up policies of seeds {', '.join(map(str, others))} are others than the recorded ones: this "
            "machine calculates otherwise, and its arms cannot be compared with the recorded. Take another --page, "
            "beside which a new record is written, and run all --arms here."
        )
    pace = sum(ours[s].cpu_seconds for s in both) / sum(theirs[s].cpu_seconds for s in both) if both else None
    results, taken = {name: dict(found) for name, found in own.items()}, 0
    for name, found in recorded.items():
        missing = {seed: one for seed, one in found.items() if seed not in own.get(name, {})}
        gaps = {s: replace(one, cpu_seconds=round(one.cpu_seconds * (pace or 1), 3)) for s, one in missing.items()}
        taken += len(gaps)
        results[name] = dict(sorted({**results.get(name, {}), **gaps}.items()))
    return Joined(results, taken, pace)


def _scores(measured: Measured) -> tuple[dict[str, float], dict[str, float]]:
    return measured.accuracy, measured.scaling


def sources(folder: Path, file: Path, joined: Joined) -> str:
    """Say where the figures come from."""
    total = sum(map(len, joined.results.values()))
    found = f"{total - joined.taken} of the {total} runs were read from `{folder}`"
    if joined.taken:
        found += f", {joined.taken} from an earlier run's record in `{file.name}`"
        if joined.pace is not None and round(joined.pace, 2) != 1:
            found += f", their CPU time times {joined.pace:.2f} for this machine, as its warm-ups took"
    return found
