"""The study: what each factor of M-STaR is worth on the embedded task, over seeds; writes docs/study.md and .json.

``python -m benchmarks.study --seeds 5``: about 5 CPU-hours, for 20 arms of two or three minutes each for every seed,
one a core. Each seed is a recipe (`mstar run`) in ``runs/study/seed<n>``, so a stopped study goes on where it stopped,
and every stage can be run by hand. ``--arms top-2 random-2`` runs some arms, ``--first_seed 5`` other seeds for what
five do not tell apart, ``--page_only`` writes the page of what is there; arms and seeds that the run folder lacks are
taken from ``docs/study.json`` (`benchmarks.study_record`). With ``--small`` scenes are learnt by heart in seconds: it
tries the machinery and measures nothing, so its page goes into its own folder. Run it from the project's folder. The
last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

import yaml

from benchmarks.study_arms import ARMS, build_stages
from benchmarks.study_page import difference, page, read_results
from benchmarks.study_record import Setting, join, read_record, sources, write_record
from benchmarks.study_small import shrink
from mstar.files import write_atomically
from mstar.recipe import StageError, run_recipe
from mstar.recipe.plan import read_yaml

DEMO = Path("configs/recipes/demo.yaml")
NAMES = ("warmup", "control", "sft", *(arm.name for arm in ARMS))
STEPS, CONTROL_EPOCHS = 600, 50


def write_recipe(folder: Path, arms: list[str], steps: int, control_epochs: int, jobs: int, small: bool) -> Path:
    """Write the recipe that every seed runs; its configuration files are the demo's."""
    stages = build_stages(read_yaml(DEMO), arms, steps, control_epochs)
    folder.mkdir(parents=True, exist_ok=True)
    for stage in stages:
        stage["config"] = [os.path.relpath(DEMO.parent / name, folder) for name in stage["config"]]
    if small:
        stages = [shrink(stage) for stage in stages]
    file = folder / "recipe.yaml"
    write_atomically(file, yaml.safe_dump({"jobs": jobs, "threads": 1, "stages": stages}, sort_keys=False))
    return file


def run_seed(recipe: Path, folder: Path, seed: int) -> bool:
    """Run what is not done of a seed; a stage that fails is reported, and the next seed goes on."""
    try:
        run_recipe(recipe, folder, seed)
    except StageError as error:
        print(f"seed {seed}: {error}\nTo go on without that arm, leave it out of --arms.", flush=True)
        return False
    return True


def parse(words: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="how many (default: 5)")
    parser.add_argument("--first_seed", type=int, default=0, help="the first of them (default: 0)")
    parser.add_argument("--out", type=Path, help="run folder (default: runs/study, runs/study-small with --small)")
    parser.add_argument("--arms", nargs="+", default=list(NAMES), choices=NAMES, metavar="ARM", help=", ".join(NAMES))
    parser.add_argument("--steps", type=int, default=STEPS, help="optimizer steps of an arm, the warm-up's included")
    parser.add_argument(
        "--control_epochs", type=int, default=CONTROL_EPOCHS, help="of 50 steps; raise if CPU shares > 1"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: one a core)")
    parser.add_argument("--page", type=Path, help="where to write it (default: docs/study.md)")
    parser.add_argument("--page_only", action="store_true", help="run nothing, write the page of what is there")
    parser.add_argument("--small", action="store_true", help="try the machinery, measure nothing")
    asked = parser.parse_args(words)
    asked.out = asked.out or Path("runs/study-small" if asked.small else "runs/study")
    asked.page = asked.page or (asked.out / "study.md" if asked.small else Path("docs/study.md"))
    asked.arms = [name for name in NAMES if name in {"warmup", *asked.arms}]  # all begin from the warm-up
    return asked


def main(words: list[str] | None = None) -> None:
    """Run what is not done yet, then write the page."""
    asked = parse(words)
    seeds, failed = range(asked.first_seed, asked.first_seed + asked.seeds), list[int]()
    record, setting = asked.page.with_suffix(".json"), Setting(asked.steps, asked.control_epochs)
    recorded = read_record(record, setting)
    if not asked.page_only:
        recipe = write_recipe(asked.out, asked.arms, asked.steps, asked.control_epochs, asked.jobs, asked.small)
        failed = [seed for seed in seeds if not run_seed(recipe, asked.out / f"seed{seed}", seed)]
    joined = join(read_results(asked.out, seeds, NAMES), recorded)
    results, where = joined.results, sources(asked.out, record, joined)
    command = " ".join(["python -m benchmarks.study", *(sys.argv[1:] if words is None else words)])
    write_atomically(asked.page, page(results, command, where))
    write_record(record, results, setting)
    print(f"{where}; written to {asked.page} and, what each arm measured, beside it")
    gaps = {name: difference(found, results["control"]) for name, found in results.items() if found}
    shown = {name: {"over_control": str(gap), "seeds": gap.num} for name, gap in gaps.items()}
    print(json.dumps({**shown, "failed_seeds": failed}))
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
