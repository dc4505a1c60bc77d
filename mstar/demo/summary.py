"""The demo's result: one table for people, one JSON file for programs, and the report of the run.

``python -m mstar.demo.summary --out runs/demo`` reads what the recipe's stages left there.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from mstar.demo.scenes import DigitScenes, gold, text_only_floor
from mstar.files import read_json, write_json
from mstar.report.find import find_run
from mstar.report.screenshot import find_chromium, take
from mstar.report.site import write_report

POLICIES = ("warmup", "control", "evolved")
SPLITS = ("test", "ood")
PICTURE = "first-screen.png"
CELLS = (("pass@8", "pass@8"), ("reward_pass@2", "reward-pass@2"))


def summarize_run(out: Path) -> dict[str, Any]:
    """Collect the figures of a finished demo.

    Args:
        out: The recipe's run folder.
    """
    evaluations = {policy: read_json(out / f"test-{policy}" / "evaluation.json") for policy in POLICIES}
    stages = sorted((out / "evolve" / "rollouts").glob("iteration-*"))
    kept = [[row for row in read_rollouts(stage) if row["kept"]] for stage in stages]
    seed = int(kept[0][0]["prompt_id"].split("-")[1])
    return {
        "seed": seed,
        "splits": {split: {policy: evaluations[policy][split] for policy in POLICIES} for split in SPLITS},
        "text_only_floor": text_only_floor(
            DigitScenes("prompts", 2500, seed), DigitScenes("test", evaluations["evolved"]["test"]["num_prompts"], seed)
        ),
        "kept_false_positive_rate": [false_positive_rate(rows) for rows in kept],
        "temperatures": [read_json(stage / "manifest.json")["key"]["sampling"]["temperature"] for stage in stages],
        "seconds": seconds(out),
    }


def read_rollouts(stage: Path) -> list[dict[str, Any]]:
    """Rows of a sealed iteration, without their tokens."""
    columns = ["prompt_id", "text", "kept", "verdict"]
    rows: list[dict[str, Any]] = pq.read_table(stage / "rollouts.parquet", columns=columns).to_pylist()
    return rows


def false_positive_rate(kept: Sequence[Mapping[str, Any]]) -> float:
    """Share of kept responses with a right answer whose steps differ from the scene's own.

    The generator knows the gold steps; it is asked here, to measure, and nowhere else.
    """
    return float(sum(row["text"].strip() != gold(row["prompt_id"]) for row in kept) / len(kept))


def seconds(out: Path) -> dict[str, float]:
    """Wall-clock seconds of each finished stage."""
    return {file.parent.name: read_json(file)["seconds"] for file in sorted(out.glob("*/done.json"))}


def table(summary: Mapping[str, Any]) -> Table:
    """The table that ``make demo`` prints; per cent, greedy accuracy with its 95 % interval."""
    kinds = sorted(summary["splits"]["test"]["evolved"]["kinds"])
    shown = Table(title=f"M-STaR on the embedded task, seed {summary['seed']}", title_justify="left")
    for column in ("split", "policy", "greedy accuracy", *(name for _, name in CELLS), *kinds):
        shown.add_column(column, justify="left" if column in ("split", "policy") else "right")
    for split, policies in summary["splits"].items():
        for policy in POLICIES:
            shown.add_row(split, policy, *cells(policies[policy], kinds))
    return shown


def cells(measured: Mapping[str, Any], kinds: Sequence[str]) -> list[str]:
    """One policy's figures on one split."""
    low, high = measured["ci95"]
    return [
        f"{percent(measured['accuracy'])} [{percent(low)}, {percent(high)}]",
        *(percent(measured[key]) for key, _ in CELLS),
        *(percent(measured["kinds"][kind]["accuracy"]) for kind in kinds),
    ]


def percent(share: float) -> str:
    """A share as per cent with one decimal.

    >>> percent(0.4567)
    '45.7'
    """
    return f"{100 * share:.1f}"


def gains(summary: Mapping[str, Any]) -> str:
    """What self-evolution adds, in points of greedy accuracy on the test split."""
    test = summary["splits"]["test"]
    evolved = test["evolved"]["accuracy"]
    over = {policy: percent(evolved - test[policy]["accuracy"]) for policy in ("warmup", "control")}
    return f"evolved: {over['control']} points above the control, {over['warmup']} above the warm-up"


def report(out: Path) -> list[str]:
    """Write the run's report, and a picture of it where there is a Chromium; give lines that say where."""
    folder = out / "report"
    write_report([find_run(out)], folder)
    lines = [f"report: open {folder / 'index.html'}"]
    if find_chromium() is not None:
        try:
            take(folder / "index.html", folder / PICTURE)
            lines.append(f"its first screen: {folder / PICTURE}")
        except RuntimeError as error:
            lines.append(f"no picture of it: {error}")
    return lines


def main() -> None:
    """Print the table, write ``summary.json`` and the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="the recipe's run folder")
    out = parser.parse_args().out
    summary = summarize_run(out)
    write_json(out / "summary.json", summary)
    console = Console(width=140)
    console.print(table(summary))
    print(gains(summary))
    print(f"text-only floor: {percent(summary['text_only_floor'])} %")
    print(
        "kept responses whose steps differ from the gold steps, by iteration: "
        + " ".join(percent(rate) for rate in summary["kept_false_positive_rate"])
        + " %"
    )
    print("temperatures: " + " ".join(f"{t:g}" for t in summary["temperatures"]))
    print("seconds: " + ", ".join(f"{stage} {value:.0f}" for stage, value in summary["seconds"].items()))
    print(f"written to {out / 'summary.json'}")
    print("\n".join(report(out)))


if __name__ == "__main__":
    main()
