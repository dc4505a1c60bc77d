"""What a recipe says: its stages, their order and their commands. Nothing here starts a process."""

from __future__ import annotations

import difflib
import json
import os
import re
import shlex
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

COMMANDS = ("fit", "validate", "test", "predict")
PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}|\{(\w+)\}")


class RecipeError(ValueError):
    """A recipe, or what is asked of it, cannot be carried out as it stands."""


@dataclass(frozen=True)
class Stage:
    """One command of a recipe."""

    name: str
    """Unique in the recipe; also the stage's folder below the run folder."""
    after: tuple[str, ...] = ()
    """Stages that must be done first. Left out in the file, it is the stage above."""
    command: str | None = None
    """``fit``, ``validate``, ``test`` or ``predict``; or ``module`` instead."""
    module: str | None = None
    """Run as ``python -m module --out=<run folder>``."""
    config: tuple[str, ...] = ()
    """Configuration files, relative to the recipe, stacked in this order."""
    args: Mapping[str, Any] = field(default_factory=dict)
    """Dotted settings that win over the files; ``{out}``, ``{seed}`` and ``{stage}`` are filled in."""
    threads: int | None = None
    """OpenMP threads; ``None`` takes the recipe's."""


@dataclass(frozen=True)
class Recipe:
    """Stages in the order of the file."""

    path: Path
    stages: tuple[Stage, ...]
    jobs: int = 1
    """Stages that may run at the same time, if none waits for another."""
    threads: int = 1
    """OpenMP threads a stage."""


def read_recipe(path: Path) -> Recipe:
    """Read and check a recipe.

    Raises:
        RecipeError: If it is not a recipe, or cannot be carried out; the message names the stage and the way out.
    """
    content = read_yaml(path)
    if not isinstance(content, dict) or not isinstance(content.get("stages"), list) or not content["stages"]:
        raise RecipeError(f"{path}: a recipe is a YAML mapping with a list of `stages`, at least one.")
    _check_keys(content, Recipe, f"{path}")
    stages: list[Stage] = []
    for number, entry in enumerate(content["stages"], start=1):
        stages.append(_read_stage(path, number, entry, above=stages))
    recipe = Recipe(path, tuple(stages), jobs=content.get("jobs", 1), threads=content.get("threads", 1))
    _check_counts(recipe)
    _check_order(recipe)
    return recipe


def read_yaml(path: Path) -> Any:
    """Read a YAML file; raise a `RecipeError` that names it if there is none, or it is broken."""
    if not path.is_file():
        raise RecipeError(f"{path}: there is no such file. {_nearest_file(path)}".rstrip())
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise RecipeError(f"{path} is not valid YAML: {error}") from error


def choose(recipe: Recipe, only: Collection[str]) -> tuple[Stage, ...]:
    """Give the stages named in ``only``, in the recipe's order; all of them if it is empty."""
    names = [stage.name for stage in recipe.stages]
    for name in only:
        if name not in names:
            raise RecipeError(f"--only {name}: {recipe.path} has no such stage; it has {', '.join(names)}.")
    return tuple(stage for stage in recipe.stages if not only or stage.name in only)


def ready(waiting: Sequence[Stage], done: Collection[str]) -> list[Stage]:
    """Give the stages whose ``after`` are all done.

    >>> [stage.name for stage in ready([Stage("b", after=("a",)), Stage("c", after=("b",))], done={"a"})]
    ['b']
    """
    return [stage for stage in waiting if set(stage.after) <= set(done)]


def build_argv(recipe: Recipe, stage: Stage, out: str, seed: int) -> list[str]:
    """Build a stage's command line, the one to type by hand.

    Args:
        recipe: The recipe, for the place of its configuration files.
        stage: The stage.
        out: The run folder.
        seed: The run's seed; a stage's own ``seed_everything`` wins.
    """
    args = [f"--{key}={_as_text(value)}" for key, value in fill_stage(recipe, stage, out, seed).items()]
    if stage.module is not None:
        return [sys.executable, "-m", stage.module, f"--out={out}", *args]
    configs = [f"--config={_config_path(recipe, name)}" for name in stage.config]
    own = [f"--seed_everything={seed}", f"--trainer.default_root_dir={Path(out) / stage.name}"]
    return [sys.executable, "-m", "mstar", str(stage.command), *configs, *own, *args]


def by_hand(argv: Sequence[str], threads: int) -> str:
    """Give a command line as one types it in a shell."""
    return f"OMP_NUM_THREADS={threads} {shlex.join(argv)}"


def fill_stage(recipe: Recipe, stage: Stage, out: str, seed: int) -> dict[str, Any]:
    """Give a stage's ``args`` with the placeholders filled in."""
    values = {"out": out, "seed": str(seed), "stage": stage.name}
    try:
        return {key: fill(value, values) for key, value in stage.args.items()}
    except KeyError as error:
        raise RecipeError(
            f"{recipe.path}: stage {stage.name}: args hold {{{error.args[0]}}}; only {{out}}, {{seed}} and {{stage}} "
            f"are filled in. To pass the braces on, double them: {{{{{error.args[0]}}}}}."
        ) from None


def fill(value: Any, values: Mapping[str, str]) -> Any:
    """Fill ``{name}`` in every string inside ``value``; ``{{name}}`` stands for ``{name}`` itself, other braces stay.

    Raises:
        KeyError: If a name is not in ``values``.

    >>> fill(["{out}/base", "{{question}}", '{"a": 1}', 3], {"out": "runs/x"})
    ['runs/x/base', '{question}', '{"a": 1}', 3]
    """
    if isinstance(value, str):
        return PLACEHOLDER.sub(lambda found: f"{{{found[1]}}}" if found[1] else values[found[2]], value)
    if isinstance(value, list):
        return [fill(item, values) for item in value]
    if isinstance(value, dict):
        return {key: fill(item, values) for key, item in value.items()}
    return value


def _read_stage(path: Path, number: int, entry: Any, above: Sequence[Stage]) -> Stage:
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise RecipeError(f"{path}: stage {number}: a stage is a mapping with a `name`.")
    where = f"{path}: stage {entry['name']}"
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", entry["name"]):
        raise RecipeError(f"{where}: the name becomes a folder; write it with letters, digits, `-`, `_` and `.` only.")
    if entry["name"] in {stage.name for stage in above}:
        raise RecipeError(f"{where}: there are two stages of this name; rename one.")
    _check_keys(entry, Stage, where)
    default = [above[-1].name] if above else []
    stage = Stage(
        name=entry["name"],
        after=_names(entry.get("after", default), where, "after"),
        command=entry.get("command"),
        module=entry.get("module"),
        config=_names(entry.get("config", []), where, "config"),
        args=entry.get("args") or {},
        threads=entry.get("threads"),
    )
    _check_deed(path, stage, where)
    return stage


def _check_keys(entry: Mapping[str, Any], kind: type[Stage] | type[Recipe], where: str) -> None:
    names = [each.name for each in fields(kind) if each.name != "path"]
    for key in entry:
        if key not in names:
            hint = _suggest(str(key), names) or f"Known are {', '.join(names)}."
            raise RecipeError(f"{where}: unknown key {key}. {hint}")


def _names(value: Any, where: str, key: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        example = value if isinstance(value, str) else "name"
        raise RecipeError(f"{where}: {key} is {value!r}; give a list, such as [{example}].")
    return tuple(value)


def _check_deed(path: Path, stage: Stage, where: str) -> None:
    if (stage.command is None) == (stage.module is None):
        raise RecipeError(f"{where}: give either `command` ({', '.join(COMMANDS)}) or `module`, one of the two.")
    if stage.command is not None and stage.command not in COMMANDS:
        raise RecipeError(f"{where}: command is {stage.command!r}; give one of {', '.join(COMMANDS)}.")
    if stage.module is not None and stage.config:
        raise RecipeError(f"{where}: a `module` takes no `config`; pass what it needs by `args`.")
    if not isinstance(stage.args, dict):
        raise RecipeError(f"{where}: args is {stage.args!r}; give a mapping such as {{trainer.max_steps: 100}}.")
    for name in stage.config:
        file = path.parent / name
        if not file.is_file():
            hint = _nearest_file(file)
            raise RecipeError(f"{where}: there is no config {file} ({name}, relative to the recipe). {hint}".rstrip())
    fill_stage(Recipe(path, ()), stage, out="", seed=0)


def _check_counts(recipe: Recipe) -> None:
    counts = {"jobs": recipe.jobs, "threads": recipe.threads}
    counts |= {f"stage {stage.name}: threads": stage.threads for stage in recipe.stages if stage.threads is not None}
    for name, count in counts.items():
        if not isinstance(count, int) or isinstance(count, bool) or count < 1:
            raise RecipeError(f"{recipe.path}: {name} is {count!r}; give 1 or more.")


def _check_order(recipe: Recipe) -> None:
    names = [stage.name for stage in recipe.stages]
    for stage in recipe.stages:
        for name in stage.after:
            if name not in names:
                hint = _suggest(name, names) or f"It has {', '.join(names)}."
                raise RecipeError(f"{recipe.path}: stage {stage.name} comes after {name}, which is no stage. {hint}")
    waiting, done = list(recipe.stages), set[str]()
    while waiting:
        free = ready(waiting, done)
        if not free:
            circle = ", ".join(f"{stage.name} (after {', '.join(stage.after)})" for stage in waiting)
            raise RecipeError(f"{recipe.path}: these stages wait for each other: {circle}. Take one `after` away.")
        done |= {stage.name for stage in free}
        waiting = [stage for stage in waiting if stage.name not in done]


def _nearest_file(path: Path) -> str:
    if not path.parent.is_dir():
        return f"There is no folder {path.parent} either."
    return _suggest(path.name, [file.name for file in path.parent.iterdir()])


def _suggest(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"Did you mean {near[0]}?" if near else ""


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _config_path(recipe: Recipe, name: str) -> Path:
    """Give the path of a configuration file, without `recipes/../` if that leads to the same file."""
    path = recipe.path.parent / name
    short = Path(os.path.normpath(path))
    return short if short.is_file() and short.samefile(path) else path
