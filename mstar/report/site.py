"""The folder of a report: every file of it, or none."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path

from mstar.files import explained, write_json
from mstar.report.book import Book
from mstar.report.figures import draw_for_page, draw_for_paper
from mstar.report.find import Run
from mstar.report.groups import has_rollouts, read_groups, reward_names
from mstar.report.logged import read_logged
from mstar.report.page import render
from mstar.report.sources import Sources, open_sources
from mstar.report.story import KS, Story, at_iteration, ranking_reward, tell
from mstar.report.tally import Iteration, Tally, commonest

MARK = "report.json"
"""The story in numbers, and what tells a report from another folder."""
ASSETS = ("theme.js", "store.js", "browser.js", "report.css")


def write_report(runs: Sequence[Run], out: Path, figures: bool = False) -> list[Story]:
    """Write the report of one run, or of two side by side.

    Goes through the rollouts once, a group at a time. A report that is there already is replaced when the new one is
    whole; killed at any moment, the same command does it again.

    Args:
        runs: One or two.
        out: The report's folder.
        figures: Also write every chart as PNG and SVG for papers, into ``<out>/figures``.

    Raises:
        ValueError: If the folder holds something else.
        RuntimeError: If a file of the store is not what was sealed.
    """
    with replacing_folder(out) as folder:
        stories = write_rollouts(runs, folder)
        charts = draw_for_page(stories, folder / "charts")
        if figures:
            draw_for_paper(stories, folder / "figures")
        (folder / "index.html").write_text(render(stories, charts), encoding="utf-8")
        for asset in ASSETS:
            (folder / asset).write_bytes((files("mstar.report") / "templates" / asset).read_bytes())
        write_json(folder / MARK, {"stories": [asdict(story) for story in stories]})
    return stories


def write_rollouts(runs: Sequence[Run], folder: Path) -> list[Story]:
    """Go through all rollouts once: write them down with their pictures, count them, and tell how the runs went.

    Args:
        runs: One or two.
        folder: Gets ``data`` and ``images``.

    Raises:
        RuntimeError: If a file of the store is not what was sealed.
    """
    whole = [stage for run in runs for stage in run.stages.values() if has_rollouts(stage)]
    book = Book(folder, reward_names(whole))
    stories = [_read(number, name, run, book) for number, (name, run) in enumerate(zip(names(runs), runs, strict=True))]
    book.close([{"name": story.name, "iterations": [each.number for each in story.iterations]} for story in stories])
    return stories


def _read(number: int, name: str, run: Run, book: Book) -> Story:
    """Go through a run's rollouts: count them, write them down, tell the story."""
    logged, sources = read_logged(run.evolve), open_sources(run.config)
    iterations, notes = [], list(changes(run, sources))
    for iteration, stage in run.stages.items():
        tally = Tally(KS, ranking_reward(run.config))
        for asked in read_groups(stage):
            tally.add(asked.group)
            book.add(number, iteration, asked, sources)
        iterations.append(tally.result(iteration, stage, at_iteration(logged, iteration)))
    notes += states(iterations)
    if not sources.trouble:
        notes += [
            f"{n:,} prompts are shown without picture and reference answer: {why}."
            for why, n in commonest(book.without_picture, 3).items()
        ]
        book.without_picture.clear()
    return tell(name, run, logged, sources, iterations, notes)


def changes(run: Run, sources: Sources) -> Iterator[str]:
    """Say which iterations were sampled from other prompts than are shown; the same prompts are compared once."""
    known: dict[str | None, str] = {}
    for iteration, stage in run.stages.items():
        if stage.sealed:
            manifest = stage.manifest
            asked = manifest.get("asked")
            if asked not in known:
                known[asked] = sources.changed(manifest)
            if known[asked]:
                yield f"Pictures and references of iteration {iteration} may be others than were asked: {known[asked]}."


def states(iterations: Sequence[Iteration]) -> Iterator[str]:
    """Say which iterations are not whole."""
    for each in iterations:
        if each.state == "open":
            yield f"Iteration {each.number} is not finished: its responses are shown without rewards and verdicts."
        if each.state == "pruned":
            yield f"Iteration {each.number} was pruned (data.retention): its counts are the manifest's."


def names(runs: Sequence[Run]) -> list[str]:
    """What runs are called: their folders, with as many parents as it takes to tell them apart."""
    paths = [run.folder.resolve() for run in runs]
    for depth in range(1, max(len(path.parts) for path in paths)):
        found = ["/".join(path.parts[-depth:]) for path in paths]
        if len(set(found)) == len(paths) and not (depth == 1 and found == ["evolve"]):
            return found
    return [f"{path} ({number})" for number, path in enumerate(paths, 1)]


@contextmanager
def replacing_folder(out: Path) -> Iterator[Path]:
    """A new folder that takes the place of ``out`` when all is written; until then a report that is there stays.

    Raises:
        ValueError: If ``out`` is something else than a report.
        OSError: If the disk is full or the folder cannot be written; the message gives the way out.
    """
    if out.exists() and not (out / MARK).is_file() and not (out.is_dir() and not any(out.iterdir())):
        raise ValueError(f"--out {out} exists and is no report; remove it, or give another folder.")
    partial, old = (out.parent / f".{out.name}.{what}" for what in ("partial", "old"))
    with explained(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        for leftover in (partial, old):
            shutil.rmtree(leftover, ignore_errors=not leftover.exists())
        partial.mkdir()
        yield partial
        if out.exists():
            out.rename(old)
        partial.rename(out)
        shutil.rmtree(old, ignore_errors=not old.exists())
