"""The deeds of `mstar rollouts`: list, show, verify and export what a run has sampled."""

from __future__ import annotations

import argparse
import sys
from itertools import islice

import pyarrow.parquet as pq
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mstar.files import replacing
from mstar.rollout.inspect import check, find_stages, rows_of, table_of
from mstar.rollout.store import Stage
from mstar.terminal import printable
from mstar.types import Rollout

COUNTS = ("prompts", "dropped", "rollouts", "correct", "unscorable", "kept", "tokens")


def main(asked: argparse.Namespace) -> None:
    """Do as the command line says; end the program with a message, not a traceback, if that fails.

    Args:
        asked: What ``mstar.commands.rollouts`` read.
    """
    try:
        stages = _chosen(find_stages(asked.run), asked.stage)
        code = DEEDS[asked.deed](stages, asked)
    except (RuntimeError, ValueError, OSError) as error:
        sys.exit(f"mstar rollouts: {error}")
    if code:
        sys.exit(code)


def _chosen(stages: dict[str, Stage], part: str | None) -> dict[str, Stage]:
    found = {name: stage for name, stage in stages.items() if part is None or part in name}
    if not found:
        raise ValueError(f"--stage {part}: no stage is called so; there are {', '.join(stages)}.")
    return found


def ls(stages: dict[str, Stage], asked: argparse.Namespace) -> int:
    """A line a stage: what was asked, dropped, right and kept."""
    table = Table("stage", "state", *COUNTS, "temperature", box=box.SIMPLE, header_style="")
    for name, stage in stages.items():
        if stage.sealed:
            manifest = stage.manifest
            state = "pruned" if "retention" in manifest else "sealed"
            numbers = [f"{manifest['counts'].get(count, 0):,}" for count in COUNTS]
            table.add_row(printable(name), state, *numbers, f"{manifest['key']['sampling']['temperature']:g}")
        else:
            groups, drops = stage.generated(), stage.dropped()
            responses = sum(map(len, groups.values()))
            table.add_row(printable(name), "open", f"{len(groups):,}", f"{len(drops):,}", f"{responses:,}")
    _console().print(table)
    return 0


def show(stages: dict[str, Stage], asked: argparse.Namespace) -> int:
    """Responses with what is known of them; what a model wrote is never obeyed."""
    console = _console()
    rollouts = ((name, rollout) for name, stage in stages.items() for rollout in rows_of(stage))
    wanted = ((name, r) for name, r in rollouts if _wanted(r, asked))
    for name, rollout in islice(wanted, asked.limit):
        console.print(Text(printable(f"{name} · {rollout.prompt_id} · {rollout.index}", keep=""), style="bold"))
        console.print(Text(printable(f"  {_summary(rollout)}", keep="")))
        console.print(Text(printable(rollout.text)), "", sep="\n")
    for name, stage in stages.items():
        for prompt, reason in stage.dropped().items():
            if asked.prompt in (None, prompt):
                console.print(Text(printable(f"{name} · {prompt} · not asked: {reason}", keep="")))
    return 0


def _wanted(rollout: Rollout, asked: argparse.Namespace) -> bool:
    return asked.prompt in (None, rollout.prompt_id) and asked.kept in (None, rollout.kept)


def _summary(rollout: Rollout) -> str:
    fate = {True: "kept", False: f"dropped: {rollout.why}", None: "not decided"}[rollout.kept]
    rewards = ", ".join(f"{name} {value:.3g}" for name, value in rollout.rewards.items())
    facts = [
        fate,
        rollout.verdict or "not judged",
        rewards,
        f"answer {rollout.answer!r}",
        f"{len(rollout.tokens)} tokens",
    ]
    return " · ".join(fact for fact in facts if fact)


def verify(stages: dict[str, Stage], asked: argparse.Namespace) -> int:
    """A line a stage; exit code 1 if one is not what was written."""
    found = [check(name, stage) for name, stage in stages.items()]
    for health in found:
        print(printable(f"{health.name} | {f'BAD: {health.fault}' if health.fault else health.note}", keep=""))
    return int(any(health.fault for health in found))


def export(stages: dict[str, Stage], asked: argparse.Namespace) -> int:
    """All rollouts of finished stages, as one Parquet file or a folder that ``datasets.load_from_disk`` reads."""
    table = table_of(stages, asked.kept is True)
    if asked.out.suffix == ".parquet":
        with replacing(asked.out) as file:
            pq.write_table(table, file)
    else:
        import datasets  # takes a second

        if asked.out.exists():
            raise ValueError(f"--out {asked.out} exists; remove it, or give another folder.")
        datasets.Dataset(table).save_to_disk(str(asked.out))
    print(f"{asked.out} | {len(table):,} rollouts of {len(set(table['stage'].to_pylist())):,} stages")
    return 0


def _console() -> Console:
    """As wide as the terminal; what is piped on is not broken into lines."""
    console = Console(highlight=False, markup=False, soft_wrap=True)
    console.width = console.width if console.is_terminal else 200
    return console


DEEDS = {"ls": ls, "show": show, "verify": verify, "export": export}
