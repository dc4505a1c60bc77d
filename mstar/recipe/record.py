"""What a stage's folder says of it: what it was asked to do, how often it was tried, whether it is done."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
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


def plan_stage(recipe: Recipe, stage: Stage, seed: int) -> Plan:
    """Say what a stage is asked to do, wherever the run folder lies.

    Configuration files count by what they say: a comment or a new order of keys changes nothing. The number of threads
    does not count.
    """
    args = fill_stage(recipe, stage, out="{out}", seed=seed)
    configs = {name: read_yaml(recipe.path.parent / name) for name in stage.config}
    plan = {"command": stage.command, "module": stage.module, "args": args, "config": configs}
    if stage.command is not None:
        plan["seed"] = seed
    return json.loads(json.dumps(plan, default=str))  # type: ignore[no-any-return]  # as it will be read back


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Name every setting that differs, with its old and its new value.

    >>> differences({"seed": 0, "args": {"lr": 1, "n": 2}}, {"seed": 0, "args": {"lr": 3}})
    ['args lr: 1 → 3', 'args n: 2 → (absent)']
    """
    before, now = dict(_flatten(old)), dict(_flatten(new))
    keys = sorted(before.keys() | now.keys())
    return [f"{key}: {before.get(key, '(absent)')} → {now.get(key, '(absent)')}" for key in keys if before.get(key) != now.get(key)]


def read_done(folder: Path) -> Done | None:
    """Read ``done.json``; ``None`` if the stage is not done."""
    path = folder / "done.json"
    return Done(**read_json(path)) if path.is_file() else None


def write_done(folder: Path, plan: Plan, after: dict[str, str], argv: list[str]) -> Done:
    """Mark a stage as done, once its last attempt is recorded."""
    attempts = read_attempts(folder)
    done = Done(
        run=os.urandom(8).hex(),
        plan=plan,
        after=after,
        argv=argv,
        seconds=round(sum(attempt["seconds"] for attempt in attempts), 3),
        cpu_seconds=round(sum(attempt["cpu_seconds"] or 0.0 for attempt in attempts), 3),
        attempts=len(attempts),
        versions=_versions(),
    )
    write_json(folder / "done.json", asdict(done))
    return done


def begin_attempt(folder: Path, plan: Plan) -> None:
    """Record that an attempt starts."""
    _append(folder, {"started": time.time(), "plan": plan})


def keep_alive(folder: Path) -> None:
    """Let the file's time say that the attempt still runs: all there is to go by if it is killed outright."""
    os.utime(folder / "attempts.jsonl")


def end_attempt(folder: Path, seconds: float, cpu_seconds: float, exit_code: int) -> None:
    """Record how an attempt ended."""
    _append(folder, {"seconds": seconds, "cpu_seconds": cpu_seconds, "exit": exit_code})


def read_attempts(folder: Path) -> list[dict[str, Any]]:
    """Give the attempts so far, each with ``plan``, ``seconds``, ``cpu_seconds`` and ``exit``.

    One that was killed together with its runner has no end of its own: it lasted until the file was last touched, or the next
    one began, and its ``cpu_seconds`` and ``exit`` are ``None``.
    """
    attempts: list[dict[str, Any]] = []
    for line in _lines(folder):
        if "started" in line:
            attempts.append({**line, "seconds": None, "cpu_seconds": None, "exit": None})
        else:
            attempts[-1].update(line)
    if attempts and attempts[-1]["seconds"] is None:
        last_sign = (folder / "attempts.jsonl").stat().st_mtime
        attempts[-1]["seconds"] = max(0.0, last_sign - attempts[-1]["started"])
    return attempts


def close_attempt(folder: Path) -> None:
    """End an attempt that was killed together with its runner, before the next one touches the file."""
    attempts = read_attempts(folder)
    if attempts and attempts[-1]["exit"] is None:
        _append(folder, {"seconds": attempts[-1]["seconds"], "cpu_seconds": None, "exit": "killed"})


def _append(folder: Path, line: dict[str, Any]) -> None:
    with (folder / "attempts.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(line, ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())


def _lines(folder: Path) -> list[dict[str, Any]]:
    path = folder / "attempts.jsonl"
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _flatten(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if not isinstance(value, dict) or not value:
        yield name, value
        return
    for key, item in value.items():
        yield from _flatten(item, f"{name} {key}".strip() if " " not in name else f"{name}.{key}")


def _versions() -> dict[str, str]:
    versions = {"python": ".".join(map(str, os.sys.version_info[:3]))}
    for name in ("mstar", "torch", "lightning", "transformers"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:  # run from a source tree that is not installed
            versions[name] = "not installed"
    return versions
