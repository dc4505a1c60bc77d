"""The study's page: what was measured, with paired differences and their intervals, beside the paper's numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isnan
from pathlib import Path
from statistics import fmean
from typing import Any

import pyarrow.parquet as pq
from scipy.stats import bootstrap

from benchmarks.study_arms import ARMS, ORDERINGS, TABLES, Row, Table
from mstar.demo.scenes import gold
from mstar.demo.summary import false_positive_rate, read_rollouts
from mstar.files import read_json
from mstar.step_metrics import mean_auc

SPLITS = ("test", "ood")
RESAMPLES = 9999
HEAD = "| | seeds | test | other writers | over the control | over {base} | CPU | MathV360K | MathVista |"
RULE = "|---|---|---|---|---|---|---|---|---|"


@dataclass(frozen=True)
class Measured:
    """An arm under one seed."""

    accuracy: dict[str, float]
    """Greedy accuracy in [0, 1] by split."""
    num_prompts: int
    """Test scenes."""
    scaling: dict[str, float]
    """Accuracy on test scenes by responses a prompt (`mstar.scaling`)."""
    cpu_seconds: float
    """Of training, and for arms that use them of step labels and process reward."""
    unsound: list[float] = field(default_factory=list)
    """Share of kept responses whose steps are not the scene's own, by iteration."""
    ranking: float | None = None
    """The warm-up's alone: `ranking_auc` of the process reward, or ``None`` without two to compare."""


Results = Mapping[str, Mapping[int, Measured]]
"""By arm and seed."""


def read_results(folder: Path, seeds: Sequence[int], arms: Sequence[str]) -> dict[str, dict[int, Measured]]:
    """What finished stages have left, seed by seed."""
    found: dict[str, dict[int, Measured]] = {name: {} for name in arms}
    for seed in seeds:
        for name in arms:
            if (folder / f"seed{seed}" / f"test-{name}" / "done.json").is_file():
                found[name][seed] = read_arm(folder / f"seed{seed}", name)
    return found


def read_arm(run: Path, name: str) -> Measured:
    """One arm of one seed."""
    evaluation = read_json(run / f"test-{name}" / "evaluation.json")
    ranked = any(arm.name == name and arm.needs_process_reward for arm in ARMS)
    stages = ["labels", "prm", name] if ranked else [name]
    kept = [read_rollouts(stage) for stage in sorted((run / name / "rollouts").glob("iteration-*"))]
    return Measured(
        {split: evaluation[split]["accuracy"] for split in SPLITS},
        evaluation["test"]["num_prompts"],
        evaluation["test"]["scaling"],
        sum(read_json(run / stage / "done.json")["cpu_seconds"] for stage in stages),
        [false_positive_rate(own) for rows in kept if (own := [row for row in rows if row["kept"]])],
        ranking_auc(run) if name == "warmup" else None,
    )


def ranking_auc(run: Path) -> float | None:
    """How often the process reward puts a sound right response above a lucky one to the same prompt, ties half.

    Sound is what equals the scene's own worked response; the responses are the warm-up policy's to test scenes.
    ``None`` if no prompt has both.
    """
    columns = ["prompt_id", "text", "verdict", "rewards"]
    rows = pq.read_table(run / "test-warmup" / "test-sampled.parquet", columns=columns).to_pylist()
    prompts: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if row["verdict"] == "correct":
            prompts.setdefault(row["prompt_id"], []).append(row)
    found = mean_auc(
        ([row["rewards"]["process"] for row in own], [row["text"].strip() == gold(name) for row in own])
        for name, own in prompts.items()
    )
    return None if isnan(found) else found


@dataclass(frozen=True)
class Difference:
    """A mean of differences between two arms under the same seeds, in points."""

    mean: float
    low: float
    """Ends of the 95 % bootstrap interval over seeds; not-a-number for fewer than two."""
    high: float
    num: int

    def __str__(self) -> str:
        if not self.num:
            return "—"
        return f"{self.mean:+.1f}" + ("" if isnan(self.low) else f" [{self.low:+.1f}, {self.high:+.1f}]")

    @property
    def sign(self) -> int:
        """1 or -1 if the interval excludes 0, else 0."""
        return int(self.low > 0) - int(self.high < 0)


def difference(one: Mapping[int, Measured], other: Mapping[int, Measured], split: str = "test") -> Difference:
    """What one arm has over another, on the seeds both were run with.

    The interval resamples seeds, each of which has scenes, handwriting and policies of its own: it covers all of them.
    """
    gaps = [100 * (one[seed].accuracy[split] - other[seed].accuracy[split]) for seed in one if seed in other]
    nan = float("nan")
    if len(gaps) < 2:
        return Difference(gaps[0] if gaps else nan, nan, nan, len(gaps))
    found = bootstrap((gaps,), fmean, method="percentile", n_resamples=RESAMPLES, vectorized=False, rng=0)
    return Difference(fmean(gaps), *map(float, found.confidence_interval), len(gaps))


def page(results: Results, command: str, sources: str) -> str:
    """The whole page, of whatever is there; ``sources`` says where its figures were read."""
    parts = [
        "# What each factor of M-STaR is worth, on the embedded task",
        f"Made by `{command}`; {sources}.",
        facts(results),
        *(show(table, results) for table in TABLES),
        figure_2a(results),
        cleanness(results),
        orderings(results),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def facts(results: Results) -> str:
    """What was run, and how well the process reward ranks."""
    seeds = sorted({seed for arm in results.values() for seed in arm})
    sizes = {m.num_prompts for arm in results.values() for m in arm.values()}
    lines = [
        f"Seeds {', '.join(map(str, seeds))}; test scenes a seed: {', '.join(map(str, sorted(sizes))) or 'none yet'}. "
        "Greedy accuracy in per cent, the best validation checkpoint of each arm. Differences are paired by seed, with "
        "95 % bootstrap intervals over seeds. CPU is the arm's CPU time, with step labels and process reward if it "
        "needs them, as a share of the control's: above 1, an arm had more than its equal-compute control. The last "
        "two columns are the paper's (MiniCPM-V-2.5): another model, other data, no intervals.",
    ]
    if partial := [seed for seed in seeds if seed not in results.get("control", {})]:
        lines.append(
            f"Run without the control, for some arms only: {', '.join(map(str, partial))}. Means are of all seeds an "
            "arm has, differences of those that both have; seeds added after a look at others make intervals somewhat "
            "too narrow."
        )
    if warmups := results.get("warmup", {}):
        found = [warmups[seed].ranking for seed in sorted(warmups)]
        each = ", ".join("none to compare" if auc is None else f"{auc:.2f}" for auc in found)
        lines.append(f"The process reward puts sound right responses above lucky ones with AUC {each}, by seed.")
    return "\n".join(lines)


def show(table: Table, results: Results) -> str:
    """A table with one line an arm."""
    head = HEAD.format(base=next(row.label for row in table.rows if row.arm == table.base))
    lines = [line(row, table.base, results) for row in table.rows]
    return "\n".join([f"## {table.title}", "", head, RULE, *lines])


def line(row: Row, base: str, results: Results) -> str:
    """An arm's line."""
    own, control = results.get(row.arm, {}), results.get("control", {})
    over_control = "" if row.arm == "control" else str(difference(own, control))
    over_base = "" if row.arm == base else str(difference(own, results.get(base, {})))
    shares = [own[seed].cpu_seconds / control[seed].cpu_seconds for seed in own if seed in control]
    cells = [
        row.label,
        str(len(own)),
        *(f"{100 * fmean(m.accuracy[split] for m in own.values()):.1f}" if own else "—" for split in SPLITS),
        over_control,
        over_base,
        f"{fmean(shares):.2f}" if shares and row.arm not in ("warmup", "control") else "",
        *(f"{value}" for value in row.paper or ("", "")),
    ]
    return f"| {' | '.join(cells)} |"


PAPER_2A = {
    "best_of": {1: 39.6, 2: 39.2, 4: 39.2, 8: 37.6},
    "weighted_vote": {1: 39.6, 2: 39.2, 4: 41.2, 8: 42.0},
    "majority_vote": {1: 39.6, 2: 39.6, 4: 42.0, 8: 43.6},
}
NAMES = {
    "best_of": "best of k by the process reward",
    "weighted_vote": "weighted vote",
    "majority_vote": "majority vote",
}


def figure_2a(results: Results) -> str:
    """Accuracy by responses a prompt, of the warm-up policy."""
    warmups = list(results.get("warmup", {}).values())
    if not warmups:
        return ""
    lines = [
        "## Figure 2a: best-of-k and votes, the warm-up policy",
        "",
        f"Greedy: {100 * fmean(m.accuracy['test'] for m in warmups):.1f}; the paper's 42.4. In brackets the paper's.",
        "",
        "| responses | 1 | 2 | 4 | 8 |",
        "|---|---|---|---|---|",
    ]
    for name, paper in PAPER_2A.items():
        means = {k: [m.scaling[f"{name}@{k}"] for m in warmups if f"{name}@{k}" in m.scaling] for k in paper}
        cells = [f"{100 * fmean(means[k]):.1f} ({paper[k]})" if means[k] else f"— ({paper[k]})" for k in paper]
        lines.append(f"| {NAMES[name]} | {' | '.join(cells)} |")
    return "\n".join(lines)


def cleanness(results: Results) -> str:
    """How much of what each selection kept has other steps than the scene's own."""
    rows = [row for row in next(t for t in TABLES if t.title.startswith("Table 2")).rows if row.arm != "control"]
    lines = []
    for row in rows:
        kept = [m.unsound for m in results.get(row.arm, {}).values() if m.unsound]
        if kept:
            first, last = (100 * fmean(shares[place] for shares in kept) for place in (0, -1))
            lines.append(f"| {row.label} | {first:.1f} | {last:.1f} |")
    if not lines:
        return ""
    head = ["## What is kept: right answers with other steps than the scene's own, per cent", ""]
    return "\n".join([*head, "| selection | first iteration | last |", "|---|---|---|", *lines])


def orderings(results: Results) -> str:
    """Which of the paper's orderings appear here."""
    words = {1: "appears", -1: "is reversed", 0: "cannot be told"}
    lines = []
    for one, other, claim in ORDERINGS:
        found = difference(results.get(one, {}), results.get(other, {}))
        if found.num:
            seen = words[found.sign] if found.num > 1 else "one seed only"
            lines.append(f"| {claim} | {found} | {seen} |")
    if not lines:
        return ""
    head = ["## Which of the paper's orderings appear", "", "| the paper | here, points on test | |", "|---|---|---|"]
    return "\n".join([*head, *lines])
