"""`mstar run`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mstar.recipe.plan import RecipeError
from mstar.recipe.runner import run_recipe
from mstar.recipe.stage import StageError


def main(args: list[str]) -> None:
    """Run a recipe as the command line says; end the program with a message, not a traceback, if that fails."""
    asked = parser().parse_args(args)
    out = asked.out or Path("runs") / f"{asked.recipe.stem}-seed{asked.seed}"
    try:
        run_recipe(asked.recipe, out, seed=asked.seed, jobs=asked.jobs, only=asked.only, dry_run=asked.dry_run)
    except (RecipeError, StageError) as error:
        sys.exit(f"mstar run: {error}")
    except KeyboardInterrupt:
        print("mstar run: interrupted; the same command goes on from here", file=sys.stderr)
        sys.exit(130)


def parser() -> argparse.ArgumentParser:
    """What may follow ``mstar run``."""
    made = argparse.ArgumentParser(
        prog="mstar run",
        description="Run the stages of a recipe that are not done yet, each a command in a folder of its own.",
        allow_abbrev=False,
    )
    made.add_argument("recipe", type=Path, help="a YAML file such as configs/recipes/demo.yaml")
    made.add_argument("--out", type=Path, help="the run folder (default: runs/<recipe>-seed<seed>)")
    made.add_argument("--seed", type=int, default=0, help="passed to every stage (default: 0)")
    made.add_argument("--jobs", type=_positive, help="stages at the same time (default: the recipe's)")
    made.add_argument("--only", action="append", default=[], metavar="STAGE", help="this stage alone; repeatable")
    made.add_argument("--dry_run", action="store_true", help="print every stage's command, run nothing")
    return made


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text}; give 1 or more")
    return number
