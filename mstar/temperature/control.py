"""Automatic temperature: measure the candidates on held-out prompts, let a rule choose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from mstar.files import read_json, write_json
from mstar.modules.policy import Policy
from mstar.rollout.collect import Collector
from mstar.rollout.fingerprint import fingerprint
from mstar.rollout.store import Stage
from mstar.seeds import stable_seed
from mstar.temperature.rule import Choice, TemperatureRule
from mstar.temperature.search import FullGrid, Search
from mstar.types import Group, PromptSource, Sampling

CANDIDATES = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6)


class TemperatureControl:
    """Every few iterations sample validation prompts at the candidate temperatures and take what the rule likes best.

    Paper, section 8.3: candidates 0.3 … 1.6, every two iterations, argmax of reward-pass@2 on 250 validation prompts;
    the number of responses a prompt is not stated there (16 is inferred). Each search is a stage of the store: it
    survives a kill, and its rollouts and whole curve are kept. All candidates are measured with the same random
    numbers, so that differences are the temperature's.

    Args:
        rule: Turns the measurements into a choice.
        prompts: Held-out prompts, never test prompts; ``None`` is ``data.evaluation.validation``, as in the paper.
        candidates: Temperatures, unitless, > 0.
        every: Iterations between two searches; the first is before iteration 0.
        num_responses: Responses a prompt and candidate.
        search: Which candidates are measured on how many prompts; ``None`` is all on all (``FullGrid``).
    """

    def __init__(
        self,
        rule: TemperatureRule,
        prompts: PromptSource | None = None,
        candidates: Sequence[float] = CANDIDATES,
        every: int = 2,
        num_responses: int = 16,
        search: Search | None = None,
    ) -> None:
        if not candidates or min(candidates) <= 0:
            raise ValueError(f"temperature.candidates is {list(candidates)}; give one or more, all above 0.")
        if every < 1:
            raise ValueError(f"temperature.every is {every}; give 1 or more iterations.")
        self.prompts = prompts
        self.rule = rule
        self.candidates = tuple(sorted(set(candidates)))
        self.every = every
        self.num_responses = num_responses
        self.search = search or FullGrid()

    def at(
        self,
        iteration: int,
        folder: Path,
        policy: Policy,
        collector: Collector,
        sampling: Sampling,
        validation: PromptSource,
        seed: int,
    ) -> Choice:
        """The choice in force at an iteration; searched now if it is due and not on disk yet.

        Args:
            iteration: From 0.
            folder: Where searches are kept, one folder each.
            policy: The policy at the start of the iteration.
            collector: Samples and scores.
            sampling: The iteration's sampling; its temperature and count are replaced.
            validation: The run's validation prompts.
            seed: Of the run's searches.
        """
        due = iteration - iteration % self.every
        found = read_choice(folder, due)
        if found is not None:
            return found
        seed, weights = stable_seed(seed, due), fingerprint(policy.model)
        kept, source = folder_of(folder, due), validation if self.prompts is None else self.prompts

        def measure(temperature: float, part: range) -> Sequence[Group]:
            with collector.progress.phase("temperature search", len(self.candidates) * len(source)) as phase:
                groups = sample(temperature, part)
                phase.add_groups(groups)
            return groups

        def sample(temperature: float, part: range) -> Sequence[Group]:
            drawn = replace(sampling, temperature=temperature, num_responses=self.num_responses)
            prompts = [source[i] for i in part]
            whole = len(part) == len(source)
            stage = kept / f"temperature-{temperature:.2f}{'' if whole else f'-from-{part.start:05d}'}"
            return collector.collect(Stage(stage), policy, prompts, drawn, seed, weights)

        choice = self.search.find(self.candidates, len(source), self.rule, measure)
        collector.ranks.barrier()  # nobody finds the file before all have measured
        if collector.ranks.rank == 0:
            write_choice(folder, due, choice)
        collector.ranks.barrier()
        return choice

    def chosen(self, iteration: int, folder: Path) -> Choice | None:
        """The choice in force at an iteration, if its search is done."""
        return read_choice(folder, iteration - iteration % self.every)


def folder_of(folder: Path, iteration: int) -> Path:
    """Where the search before an iteration is kept."""
    return folder / f"iteration-{iteration:04d}"


def write_choice(folder: Path, iteration: int, choice: Choice) -> None:
    """Keep a choice with its whole curve."""
    curves = {name: list(getattr(choice, name).items()) for name in ("scores", "num_prompts")}
    write_json(folder_of(folder, iteration) / "choice.json", {**asdict(choice), **curves})


def read_choice(folder: Path, iteration: int) -> Choice | None:
    """A choice that was kept; ``None`` if there is none yet."""
    file = folder_of(folder, iteration) / "choice.json"
    if not file.is_file():
        return None
    saved = read_json(file)
    return Choice(saved["temperature"], dict(saved["scores"]), saved["reason"], dict(saved.get("num_prompts", [])))
