"""`mstar report`: the story of a run and every response, as pages that open from disk."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def main(args: list[str]) -> None:
    """Write the report and say where; end the program with a message, not a traceback, if that fails."""
    asked = parser().parse_args(args)
    from mstar.report.find import find_run  # these take seconds: torch, matplotlib
    from mstar.report.site import write_report

    try:
        runs = [find_run(folder) for folder in (asked.run, asked.beside) if folder is not None]
        out = asked.out or default_folder(asked.run, asked.beside)
        stories = write_report(runs, out, asked.figures)
        if asked.screenshot:
            from mstar.report.screenshot import take

            take(out / "index.html", asked.screenshot)
    except (RuntimeError, ValueError, OSError) as error:
        sys.exit(f"mstar report: {error}")
    for story in stories:
        counted = sum(iteration.num_rollouts for iteration in story.iterations)
        print(f"{story.name} | {len(story.iterations)} iterations, {counted:,} rollouts")
        for note in story.notes:
            print(f"{story.name} | {note}")
    print(f"open {out / 'index.html'}")


def default_folder(run: Path, beside: Path | None) -> Path:
    """Where a report goes if nobody says.

    >>> str(default_folder(Path("runs/a"), None)), str(default_folder(Path("runs/a"), Path("runs/b")))
    ('runs/a/report', 'runs/a/report-beside-b')
    """
    return run / ("report" if beside is None else f"report-beside-{beside.resolve().name}")


def parser() -> argparse.ArgumentParser:
    """What may follow ``mstar report``."""
    made = argparse.ArgumentParser(prog="mstar report", description=__doc__, allow_abbrev=False)
    made.add_argument("run", type=Path, metavar="RUN", help="a recipe's run folder, or its evolving stage's")
    made.add_argument("beside", type=Path, metavar="RUN_B", nargs="?", help="another run, to be shown side by side")
    made.add_argument("--out", type=Path, metavar="DIR", help="the report's folder (default: RUN/report)")
    made.add_argument("--figures", action="store_true", help="every chart as PNG and SVG, into DIR/figures")
    made.add_argument("--screenshot", type=Path, metavar="PNG", help="its first screen; needs Chromium and playwright")
    return made
