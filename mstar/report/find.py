"""Which folder of a run holds its iterations, and what stands beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from mstar.files import read_json
from mstar.recipe.record import read_done
from mstar.rollout.store import Stage

EVALUATION = "evaluation.json"


@dataclass(frozen=True)
class Run:
    """A run as it lies on disk: the stage that evolves and, if a whole recipe was given, its other stages."""

    folder: Path
    """What was asked for: a recipe's folder, or a stage's."""
    evolve: Path
    """The stage with the iterations; ``folder`` itself where a stage was given."""
    beside: tuple[Path, ...] = field(default=())
    """The recipe's other stages."""

    @cached_property
    def config(self) -> Mapping[str, Any]:
        """The evolution's configuration, every value in force."""
        return read_config(self.evolve)

    @property
    def stages(self) -> dict[int, Stage]:
        """The iterations' stages of the store, by number."""
        return {int(path.name.removeprefix("iteration-")): Stage(path) for path in _iterations(self.evolve)}

    @property
    def warmup(self) -> Path | None:
        """The stage whose checkpoint the evolution began with, if it is in the recipe."""
        begun = _begun_with(self.config)
        return next((path for path in self.beside if path.name in Path(begun).parts), None) if begun else None

    @property
    def controls(self) -> tuple[Path, ...]:
        """Stages that trained a policy otherwise from the same warm-up, to be held against the evolution."""
        begun = _begun_with(self.config)
        return tuple(path for path in self.beside if begun and _begun_with(read_config(path)) == begun)

    @property
    def evaluations(self) -> dict[str, Any]:
        """What test stages measured, by their folder's name."""
        stages = [*self.beside, *([self.evolve] if self.evolve == self.folder else [])]
        return {path.name: read_json(path / EVALUATION) for path in stages if (path / EVALUATION).is_file()}

    @property
    def seconds(self) -> dict[str, float]:
        """Wall time of each finished stage of the recipe, in the order they finished."""
        stages = [*self.beside, *([] if self.evolve == self.folder else [self.evolve])]
        done = {path: read_done(path) for path in stages}
        ended = sorted((path for path in stages if done[path]), key=lambda path: (path / "done.json").stat().st_mtime)
        return {path.name: found.seconds for path in ended if (found := done[path])}


def find_run(folder: Path) -> Run:
    """The run in a folder: an evolving stage, or a recipe with one.

    Raises:
        FileNotFoundError: If there are no iterations.
        ValueError: If there are several runs; the message names them.
    """
    if _iterations(folder):
        return Run(folder, folder)
    children = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    evolving = [path for path in children if _iterations(path)]
    if len(evolving) > 1:
        names = " or ".join(f"mstar report {path}" for path in evolving)
        raise ValueError(f"{folder} holds {len(evolving)} runs; say which: {names}")
    if not evolving:
        raise FileNotFoundError(_none(folder))
    return Run(folder, evolving[0], tuple(path for path in children if path != evolving[0]))


def _none(folder: Path) -> str:
    replayed = setting(read_config(folder), "data", "init_args", "replay") if folder.is_dir() else None
    if replayed:
        return f"{folder} replays the iterations of another run; see that one: mstar report {replayed}"
    return f"{folder} holds no iterations (rollouts/iteration-*); give the folder of an evolving stage or of a recipe."


def _iterations(folder: Path) -> list[Path]:
    found = (path for path in (folder / "rollouts").glob("iteration-*") if path.is_dir())
    return sorted(path for path in found if path.name.removeprefix("iteration-").isdecimal())


def read_config(folder: Path) -> Mapping[str, Any]:
    """A stage's configuration as LightningCLI wrote it down; empty if it did not."""
    file = folder / "logs" / "config.yaml"
    files = [file] if file.is_file() else sorted(folder.glob("*/**/config.yaml"))
    config = yaml.safe_load(files[-1].read_text(encoding="utf-8")) if files else None
    return config if isinstance(config, Mapping) else {}


def setting(config: Any, *keys: str) -> Any:
    """A value of a configuration; ``None`` if it is not there.

    >>> setting({"data": {"init_args": {"seed": 1}}}, "data", "init_args", "seed"), setting({"data": None}, "data", "x")
    (1, None)
    """
    for key in keys:
        config = config.get(key) if isinstance(config, Mapping) else None
    return config


def _begun_with(config: Mapping[str, Any]) -> str | None:
    """The checkpoint that a fit's init policy took over from."""
    callbacks = setting(config, "trainer", "callbacks") or []
    warmups = (setting(callback, "init_args", "warmup") for callback in callbacks)
    return next((warmup for warmup in warmups if isinstance(warmup, str)), None)
