"""What a stage's folder says of it: what it was asked to do, how often it was tried, whether it is done."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from mstar.files import read_json, write_json
from mstar.recipe.plan import Recipe, Stage, fill_stage, read_yaml

Plan = dict[str, Any]


@dataclass(frozen=True)
class Done:
    """A finished stage, as ``done.json`` in its folder holds it."""

    run: str
    """Drawn at random when the stage finished; later stages remember it."""
    plan: Plan
    """What it was asked to do (`plan_stage`)."""
    after: dict[str, str]
    """``run`` of every stage it built on."""
    argv: list[str]
    """Its command line."""
    seconds: float
    """Wall time over all attempts, in seconds."""
    cpu_seconds: float
    """CPU time of its processes, in seconds; what attempts that were killed outright used is not in it."""
    attempts: int
    """1 if it went through at once."""
    versions: dict[str, str]
    """Of Python and the packages that decide the result."""


@dataclass(frozen=True)
class Attempt:
    """One try at a stage; all of them are in ``attempts.json`` in its folder, so that no time is forgotten."""

    started: float
    """Seconds since 1970."""
    plan: Plan
    """What it was asked to do."""
    seconds: float | None = None
    """Wall time; ``None`` while it runs."""
    cpu_seconds: float | None = None
    """CPU time of its processes; ``None`` while it runs, and if it was killed together with its runner."""
    exit: int | None = None
    """Exit code, 128 + n if signal n ended it; ``None`` as above."""


def plan_stage(recipe: Recipe, stage: Stage, seed: int) -> Plan:
    """Say what a stage is asked to do, wherever the run folder lies.

    Configuration files count by what they say: a comment or a new order of keys changes nothing. The number of threads
    does not count.
    """
    args = fill_stage(recipe, stage, out="{out}", seed=seed)
    configs = {name: read_yaml(recipe.path.parent / name) for name in stage.config}
    plan: Plan = {"command": stage.command, "module": stage.module, "args": args, "config": configs}
    if stage.command is not None:
        plan["seed"] = seed
    return json.loads(json.dumps(plan, default=str))  # type: ignore[no-any-return]  # as it will be read back


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Name every setting that differs, with its old and its new value.

    >>> differences({"seed": 0, "args": {"lr": 1, "n": 2}}, {"seed": 0, "args": {"lr": 3}})
    ['args lr: 1 → 3', 'args n: 2 → (absent)']
    """
    before, now = dict(_flatten(old)), dict(_flatten(new))
    changed = [key for key in before | now if before.get(key, "(absent)") != now.get(key, "(absent)")]
    return [f"{_label(key)}: {before.get(key, '(absent)')} → {now.get(key, '(absent)')}" for key in changed]


def read_done(folder: Path) -> Done | None:
    """Read ``done.json``; ``None`` if the stage is not done."""
    path = folder / "done.json"
    return Done(**read_json(path)) if path.is_file() else None


def write_done(folder: Path, plan: Plan, after: dict[str, str], argv: list[str]) -> Done:
    """Mark a stage as done, once its last attempt has ended."""
    attempts = read_attempts(folder)
    done = Done(
        run=os.urandom(8).hex(),
        plan=plan,
        after=after,
        argv=argv,
        seconds=round(sum(attempt.seconds or 0.0 for attempt in attempts), 3),
        cpu_seconds=round(sum(attempt.cpu_seconds or 0.0 for attempt in attempts), 3),
        attempts=len(attempts),
        versions=_versions(),
    )
    write_json(folder / "done.json", asdict(done))
    return done


def read_attempts(folder: Path) -> list[Attempt]:
    """Give the attempts so far.

    The last one, if it was killed together with its runner, lasted until `keep_alive` was last called.
    """
    path = folder / "attempts.json"
    if not path.is_file():
        return []
    attempts = [Attempt(**entry) for entry in read_json(path)]
    if attempts[-1].seconds is None:
        attempts[-1] = replace(attempts[-1], seconds=max(0.0, path.stat().st_mtime - attempts[-1].started))
    return attempts


def begin_attempt(folder: Path, plan: Plan) -> int:
    """Record that an attempt starts; give its number, from 1."""
    attempts = [*read_attempts(folder), Attempt(started=time.time(), plan=plan)]
    _write_attempts(folder, attempts)
    return len(attempts)


def keep_alive(folder: Path) -> None:
    """Let the file's time say that the attempt still runs: all there is to go by if it is killed outright."""
    os.utime(folder / "attempts.json")


def end_attempt(folder: Path, seconds: float, cpu_seconds: float, exit_code: int) -> None:
    """Record how the last attempt ended."""
    *earlier, last = read_attempts(folder)
    _write_attempts(folder, [*earlier, replace(last, seconds=seconds, cpu_seconds=cpu_seconds, exit=exit_code)])


def _write_attempts(folder: Path, attempts: list[Attempt]) -> None:
    write_json(folder / "attempts.json", [asdict(attempt) for attempt in attempts])


def _flatten(value: Any, key: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if not isinstance(value, dict) or not value:
        yield key, value
        return
    for name, item in value.items():
        yield from _flatten(item, (*key, name))


def _label(key: tuple[str, ...]) -> str:
    return " ".join((*key[:2], ".".join(key[2:]))).strip()


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for name in ("mstar", "torch", "lightning", "transformers"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:  # mstar in a source tree that is not installed
            versions[name] = "not installed"
    return versions
