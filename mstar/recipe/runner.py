"""Run a recipe: start the stages that can start, wait, mark what is done."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shlex
import signal
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType

from mstar.recipe.plan import Recipe, RecipeError, Stage, build_argv, by_hand, choose, read_recipe, ready
from mstar.recipe.record import Done, Plan, differences, plan_stage, read_attempts, read_done, write_done
from mstar.recipe.stage import RunningStage, StageError

TICK = 0.05  # seconds between two looks at the stages
GRACE = 30.0  # seconds a stage has to end by itself, enough to write a checkpoint


def run_recipe(
    path: Path | str,
    out: Path | str,
    seed: int = 0,
    jobs: int | None = None,
    only: Collection[str] = (),
    dry_run: bool = False,
) -> None:
    """Run the stages of a recipe that are not done yet.

    Every stage is a process of its own with a folder, ``out/<stage>``. A marker there, ``done.json``, lets a rerun skip
    it. A rerun with another recipe, seed or configuration is refused rather than mixed with what is there. Call it from
    the main thread: it takes SIGINT and SIGTERM, passes them on, waits for the stages and then obeys them.

    Args:
        path: The recipe.
        out: The run folder; made if missing.
        seed: Passed to every stage.
        jobs: Stages at the same time; ``None`` takes the recipe's.
        only: Stages to run, all of them if empty; what they come after must be done.
        dry_run: Print what would be run, and stop.

    Raises:
        RecipeError: If the recipe is wrong, or does not fit what is in ``out``.
        StageError: If a stage fails; the others are ended first.
    """
    recipe, out = read_recipe(Path(path)), Path(out)
    stages = choose(recipe, only)
    plans = {stage.name: plan_stage(recipe, stage, seed) for stage in recipe.stages}
    if dry_run:
        _print_plan(recipe, stages, find_done(recipe, stages, plans, out), out, seed)
        return
    out.mkdir(parents=True, exist_ok=True)
    with _lock(out) as lock:
        done = find_done(recipe, stages, plans, out)
        _Run(recipe, plans, out, seed, lock).run(stages, done, jobs or recipe.jobs)


def find_done(recipe: Recipe, stages: Sequence[Stage], plans: Mapping[str, Plan], out: Path) -> dict[str, Done]:
    """Find the stages that are done, and make sure that what is in the run folder is what the recipe says.

    Raises:
        RecipeError: If one of ``stages``, or one it builds on, was done or begun in another way, or on another run of
            an earlier stage; or if one comes after a stage that is neither among them nor done.
    """
    found = {stage.name: read_done(out / stage.name) for stage in recipe.stages}
    done = {name: marker for name, marker in found.items() if marker is not None}
    asked = {stage.name for stage in stages}
    for stage in _with_earlier(recipe, asked):
        _check_same(recipe, stage, done.get(stage.name), plans[stage.name], out)
        for name in stage.after:
            _check_after(recipe, stage, name, done, asked, out)
    return done


def _with_earlier(recipe: Recipe, names: Collection[str]) -> list[Stage]:
    """Give the stages of these names and all that they build on."""
    needed = set(names)
    while more := {name for stage in recipe.stages if stage.name in needed for name in stage.after} - needed:
        needed |= more
    return [stage for stage in recipe.stages if stage.name in needed]


def _check_same(recipe: Recipe, stage: Stage, done: Done | None, plan: Plan, out: Path) -> None:
    attempts = read_attempts(out / stage.name)
    before = done.plan if done else attempts[-1].plan if attempts else plan
    if changed := differences(before, plan):
        lines = "".join(f"    {change}\n" for change in changed)
        raise RecipeError(
            f"stage {stage.name} was {'done' if done else 'begun'} in {out} with other settings:\n{lines}"
            f"Take another --out, or remove it with what builds on it: {_removal(recipe, stage, out)}"
        )


def _check_after(
    recipe: Recipe, stage: Stage, name: str, done: Mapping[str, Done], asked: Collection[str], out: Path
) -> None:
    mine, earlier = done.get(stage.name), done.get(name)
    if mine and (earlier is None or mine.after.get(name) != earlier.run):
        raise RecipeError(
            f"stage {stage.name} in {out} was built on a run of {name} that is no longer there. "
            f"Take another --out, or remove it with what builds on it: {_removal(recipe, stage, out)}"
        )
    if earlier is None and name not in asked:
        raise RecipeError(f"stage {stage.name} comes after {name}, which is not done in {out}. Add --only {name}.")


def _removal(recipe: Recipe, stage: Stage, out: Path) -> str:
    """Give the command that removes a stage's folder, and those of the stages that build on it."""
    later = [each for each in recipe.stages if stage in _with_earlier(recipe, {each.name})]
    return shlex.join(["rm", "-r", *(str(out / each.name) for each in later if (out / each.name).exists())])


class _Run:
    """One run: what is asked for, where, and under which lock."""

    def __init__(self, recipe: Recipe, plans: Mapping[str, Plan], out: Path, seed: int, lock: int) -> None:
        self.recipe = recipe
        self.plans = plans
        self.out = out
        self.seed = seed
        self.lock = lock

    def run(self, stages: Sequence[Stage], done: dict[str, Done], jobs: int) -> None:
        for stage in stages:
            if stage.name in done:
                print(f"{stage.name} | done before, in {done[stage.name].seconds:.1f} s", flush=True)
        waiting = [stage for stage in stages if stage.name not in done]
        running: list[RunningStage] = []
        with _signals() as received:
            try:
                while (waiting or running) and not received:
                    for stage in ready(waiting, done)[: jobs - len(running)]:
                        waiting.remove(stage)
                        running.append(self._start(stage))
                    self._look(running, done)
                    time.sleep(TICK)
            finally:
                _end(running, received)
        if received:
            signal.raise_signal(received[0])  # now that no stage is left, let it do what it does

    def _start(self, stage: Stage) -> RunningStage:
        argv = build_argv(self.recipe, stage, str(self.out), self.seed)
        threads = stage.threads or self.recipe.threads
        return RunningStage(stage, self.out / stage.name, argv, self.plans[stage.name], threads, self.lock)

    def _look(self, running: list[RunningStage], done: dict[str, Done]) -> None:
        """Take the stages that have ended out of ``running``; mark those that ended well."""
        for each in list(running):
            code = each.poll()
            if code is None:
                continue
            running.remove(each)
            if code != 0:
                raise StageError(each.describe_failure(code))
            name = each.stage.name
            after = {earlier: done[earlier].run for earlier in each.stage.after}
            done[name] = write_done(each.folder, each.plan, after, each.argv)
            print(f"{name} | done in {done[name].seconds:.1f} s ({done[name].cpu_seconds:.1f} s of CPU)", flush=True)


def _end(running: list[RunningStage], received: Sequence[int]) -> None:
    """End what still runs, none of it as done: ask, wait, and kill it if that takes too long or we are asked twice."""
    for each in running:
        each.send(received[0] if received else signal.SIGTERM)
    deadline = time.monotonic() + GRACE
    while running:
        if len(received) > 1 or time.monotonic() > deadline:
            for each in running:
                each.kill()
        running[:] = [each for each in running if each.poll() is None]
        time.sleep(TICK)


@contextlib.contextmanager
def _signals() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM instead of dying by them."""
    received: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        received.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _lock(out: Path) -> Iterator[int]:
    """Hold the run folder's lock; the kernel frees it when its last holder, runner or leash, is gone."""
    lock = os.open(out / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        deadline = time.monotonic() + 2  # the stages of a runner that was just killed need a moment to go
        while not _try_lock(lock):
            if time.monotonic() > deadline:
                raise RecipeError(
                    f"another mstar run is at work in {out}. Wait for it, stop it, or take another --out."
                )
            time.sleep(TICK)
        yield lock
    finally:
        os.close(lock)


def _try_lock(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _print_plan(recipe: Recipe, stages: Sequence[Stage], done: Collection[str], out: Path, seed: int) -> None:
    for stage in stages:
        state = "done" if stage.name in done else f"after {', '.join(stage.after)}" if stage.after else "first"
        argv = build_argv(recipe, stage, str(out), seed)
        print(f"{stage.name} ({state})\n    {by_hand(argv, stage.threads or recipe.threads)}")
