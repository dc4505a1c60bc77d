"""How a run went, as plain data: what the top of the report tells and its charts show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mstar.dynamics import wilson_interval
from mstar.files import read_json
from mstar.report.find import Run, read_config, setting
from mstar.report.logged import Entry, Logged, read_logged
from mstar.report.sources import Sources, count_validation
from mstar.report.tally import Iteration

ACCURACY = "val/accuracy"
KS = (1, 2, 4, 8, 16)
REST = "training and validation"


@dataclass(frozen=True)
class Share:
    """A share of prompts with its 95 % Wilson interval; without one where the number of prompts is not known."""

    value: float
    low: float | None = None
    high: float | None = None

    @staticmethod
    def of(value: float, n: int | None) -> Share:
        """A measured share of n prompts."""
        return Share(value, *wilson_interval(value * n, n)) if n else Share(value)


@dataclass(frozen=True)
class Validation:
    """Greedy accuracy at a moment of training."""

    iteration: int
    """It was measured at this iteration's end."""
    step: int
    """Optimizer steps so far."""
    accuracy: Share
    kinds: dict[str, float] = field(default_factory=dict)
    """Accuracy by question type."""


@dataclass(frozen=True)
class Fit:
    """Another training of the policy, to hold the evolution against."""

    name: str
    validations: tuple[Validation, ...]

    @property
    def best(self) -> Validation:
        """Where it was best: the checkpoint that is exported."""
        return max(self.validations, key=lambda validation: validation.accuracy.value)


@dataclass(frozen=True)
class Search:
    """A choice of temperature and the curve behind it."""

    iteration: int
    """Before which it was made."""
    temperature: float
    scores: tuple[tuple[float, float], ...]
    """Temperature and score of each candidate, by temperature."""
    reason: str
    seconds: float
    """Wall time of all its stages."""


@dataclass(frozen=True)
class Story:
    """A run from its warm-up to its tests."""

    name: str
    folder: str
    seed: int | None
    model: str
    by: str | None
    """The reward that ranks for reward-pass@k."""
    num_validation: int | None
    iterations: tuple[Iteration, ...]
    validations: tuple[Validation, ...]
    warmup: Fit | None
    controls: tuple[Fit, ...]
    searches: tuple[Search, ...]
    tests: dict[str, dict[str, Any]]
    """What was measured by split, then by policy, as in ``evaluation.json``."""
    seconds: dict[str, float]
    """Wall time of each stage of the recipe."""
    dropped: tuple[tuple[int, str, str], ...]
    """Prompts that were not asked: iteration, id, reason."""
    notes: tuple[str, ...]
    """What a reader must know to read the rest aright."""

    @property
    def start(self) -> Validation | None:
        """Where the evolution began."""
        return self.warmup.best if self.warmup else None

    @property
    def best(self) -> Validation | None:
        """Where it was best."""
        return max(self.validations, key=lambda v: v.accuracy.value, default=None)

    @property
    def after(self) -> dict[int, Share]:
        """Accuracy behind each iteration."""
        return {validation.iteration: validation.accuracy for validation in self.validations}

    @property
    def fates(self) -> dict[str, int]:
        """All responses by what became of them."""
        return dict(sum((Counter(each.fates) for each in self.iterations), Counter()))

    @property
    def reasons(self) -> dict[str, int]:
        """All dropped responses by the reason, the most frequent first."""
        found: Counter[str] = sum((Counter(each.reasons) for each in self.iterations), Counter())
        return dict(found.most_common())

    @property
    def evolving_seconds(self) -> float:
        """Wall time of all iterations, as far as it was measured."""
        return sum(sum(each.seconds.values()) for each in self.iterations)

    @property
    def last_pass(self) -> tuple[str, float] | None:
        """pass@k of the last iteration that has it, for the largest k."""
        found = [each.measures for each in self.iterations if "pass@1" in each.measures]
        name = max(found[-1], key=lambda name: (name.startswith("pass@"), k_of(name))) if found else ""
        return (name, found[-1][name]) if found else None


def k_of(name: str) -> int:
    """The k of a measure.

    >>> k_of("reward_pass@16")
    16
    """
    return int(name.rpartition("@")[2])


def tell(
    name: str,
    run: Run,
    logged: Logged,
    sources: Sources,
    iterations: Sequence[Iteration],
    notes: Sequence[str],
) -> Story:
    """Put together what is known of a run.

    Args:
        name: What it is called in the report.
        run: Where it lies.
        logged: What its loggers wrote.
        sources: Its prompts.
        iterations: Counted from the store.
        notes: What was found on the way.
    """
    n = count_validation(run.config)
    validations = validations_of(logged, n)
    fits = [read_fit(path) for path in run.controls]
    warm = read_fit(run.warmup) if run.warmup else None
    phases = trained(logged)
    searches = tuple(_searches(run.evolve / "temperature"))
    evaluations, others = run.evaluations, [path.name for path in (run.warmup, *run.controls) if path]

    def beside(stage: str) -> int:
        """The warm-up and the controls before what is held against them."""
        name = stage.removeprefix("test-")
        return others.index(name) if name in others else len(others)

    return Story(
        name=name,
        folder=str(run.folder),
        seed=setting(run.config, "seed_everything"),
        model=str(setting(run.config, "model", "init_args", "backbone", "init_args", "path") or ""),
        by=ranking_reward(run.config),
        num_validation=n,
        iterations=tuple(_timed(iteration, searches, phases) for iteration in iterations),
        validations=validations,
        warmup=warm if warm and warm.validations else None,
        controls=tuple(fit for fit in fits if fit.validations),
        searches=searches,
        tests=by_split({name: evaluations[name] for name in sorted(evaluations, key=beside)}),
        seconds=run.seconds,
        dropped=tuple((k, prompt, why) for k, stage in run.stages.items() for prompt, why in stage.dropped().items()),
        notes=(*missing(sources, validations, n), *notes),
    )


def read_fit(folder: Path) -> Fit:
    """Another stage's validations, with intervals by its own number of prompts."""
    return Fit(folder.name, validations_of(read_logged(folder), count_validation(read_config(folder))))


def missing(sources: Sources, validations: Sequence[Validation], n: int | None) -> list[str]:
    """What the report lacks, and why."""
    notes = [sources.trouble] if sources.trouble else []
    if not validations:
        notes.append(f"The run's logs hold no {ACCURACY}, so there is no accuracy by iteration.")
    elif n is None:
        notes.append("The validation prompts cannot be counted, so accuracies stand without intervals.")
    return notes


def validations_of(logged: Logged, n: int | None) -> tuple[Validation, ...]:
    """Greedy accuracy over training, whole and by question type."""
    kinds = {key.split("/")[1]: by_step(found) for key, found in logged.items() if _is_kind(key)}
    return tuple(
        Validation(
            entry.iteration,
            entry.step,
            Share.of(entry.value, n),
            {kind: found[entry.step] for kind, found in kinds.items() if entry.step in found},
        )
        for entry in logged.get(ACCURACY, [])
    )


def _is_kind(key: str) -> bool:
    return key.startswith("val/") and key.endswith("/accuracy") and key.count("/") == 2


def by_step(entries: Sequence[Entry]) -> dict[int, float]:
    """Values by optimizer step."""
    return {entry.step: entry.value for entry in entries}


def at_iteration(logged: Logged, iteration: int) -> dict[str, float]:
    """The last value of each key within an iteration."""
    return {key: e.value for key, entries in logged.items() for e in entries if e.iteration == iteration}


def trained(logged: Logged) -> dict[int, float]:
    """Seconds from an iteration's first log entry to its last: training and validation, for sampling lies before.

    The first few steps, up to the first entry, are not in it. Attempts that were interrupted count each for itself.
    """
    times: dict[tuple[int, str], list[float]] = {}
    for entries in logged.values():
        for entry in entries:
            if entry.time is not None:
                times.setdefault((entry.iteration, entry.file), []).append(entry.time)
    seconds: dict[int, float] = {}
    for (iteration, _), found in times.items():
        seconds[iteration] = seconds.get(iteration, 0.0) + max(found) - min(found)
    return seconds


def _timed(iteration: Iteration, searches: Sequence[Search], rest: Mapping[int, float]) -> Iteration:
    seconds = {**iteration.seconds}
    searched = sum(search.seconds for search in searches if search.iteration == iteration.number)
    if searched:
        seconds = {"temperature search": searched, **seconds}
    if iteration.number in rest:
        seconds[REST] = rest[iteration.number]
    return replace(iteration, seconds=seconds)


def _searches(folder: Path) -> list[Search]:
    found = []
    for file in sorted(folder.glob("iteration-*/choice.json")):
        choice = read_json(file)
        spent = (read_json(path)["seconds"] for path in file.parent.glob("*/manifest.json"))
        found.append(
            Search(
                iteration=int(file.parent.name.removeprefix("iteration-")),
                temperature=choice["temperature"],
                scores=tuple(sorted((float(t), float(score)) for t, score in choice["scores"])),
                reason=choice["reason"],
                seconds=sum(sum(seconds.values()) for seconds in spent),
            )
        )
    return found


def ranking_reward(config: Mapping[str, Any]) -> str | None:
    """The reward that the run itself ranks by: its monitor's, else its temperature rule's."""
    args = [setting(callback, "init_args", "by") for callback in setting(config, "trainer", "callbacks") or []]
    args.append(setting(config, "data", "init_args", "temperature", "init_args", "rule", "init_args", "by"))
    args.append(setting(config, "data", "init_args", "temperature", "rule", "init_args", "by"))
    return next((by for by in args if isinstance(by, str)), None)


def by_split(evaluations: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Measured figures by split, then by policy.

    >>> by_split({"test-warmup": {"test": {"accuracy": 0.3}}, "test-evolved": {"test": {"accuracy": 0.6}}})
    {'test': {'warmup': {'accuracy': 0.3}, 'evolved': {'accuracy': 0.6}}}
    """
    splits: dict[str, dict[str, Any]] = {}
    for stage, measured in evaluations.items():
        for split, figures in measured.items():
            splits.setdefault(split, {})[stage.removeprefix("test-")] = figures
    return splits
