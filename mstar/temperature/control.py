"""Automatic temperature: measure the candidates on held-out prompts, let a rule choose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from mstar.files import read_json, write_json
from mstar.modules.policy import Policy
from mstar.rollout.collect import Collector
from mstar.rollout.store import Stage
from mstar.seeds import stable_seed
from mstar.temperature.rule import Choice, TemperatureRule
from mstar.types import Group, PromptSource, Sampling

CANDIDATES = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6)


class TemperatureControl:
    """Every few iterations sample validation prompts at each candidate temperature and take what the rule likes best.

    Paper, section 8.3: candidates 0.3 … 1.6, every two iterations, argmax of reward-pass@2 on 250 validation prompts;
    the number of responses a prompt is not stated there (16 is inferred). Each search is a stage of the store: it
    survives a kill, and its rollouts and whole curve are kept. All candidates are measured with the same random
    numbers, so that differences are the temperature's.

    Args:
        prompts: Validation prompts; never test prompts.
        rule: Turns the measurements into a choice.
        candidates: Temperatures, unitless, > 0.
        every: Iterations between two searches; the first is before iteration 0.
        num_responses: Responses a prompt and candidate.
    """

    def __init__(
        self,
        prompts: PromptSource,
        rule: TemperatureRule,
        candidates: Sequence[float] = CANDIDATES,
        every: int = 2,
        num_responses: int = 16,
    ) -> None:
        if not candidates or min(candidates) <= 0:
            raise ValueError(f"temperature.candidates is {list(candidates)}; give one or more, all above 0.")
        if every < 1:
            raise ValueError(f"temperature.every is {every}; give 1 or more iterations.")
        self.prompts = prompts
        self.rule = rule
        self.candidates = tuple(sorted(candidates))
        self.every = every
        self.num_responses = num_responses

    def at(
        self, iteration: int, folder: Path, policy: Policy, collector: Collector, sampling: Sampling, seed: int
    ) -> Choice:
        """The choice in force at an iteration; searched now if it is due and not on disk yet.

        Args:
            iteration: From 0.
            folder: Where searches are kept, one folder each.
            policy: The policy at the start of the iteration.
            collector: Samples and scores.
            sampling: The iteration's sampling; its temperature and count are replaced.
            seed: Of the run's searches.
        """
        due = iteration - iteration % self.every
        chosen = folder / f"iteration-{due:04d}" / "choice.json"
        if not chosen.is_file():
            seed = stable_seed(seed, due)
            measured = {t: self._measure(t, chosen.parent, policy, collector, sampling, seed) for t in self.candidates}
            choice = self.rule.choose(measured)
            collector.ranks.barrier()  # nobody finds the file before all have measured
            if collector.ranks.rank == 0:
                write_json(chosen, {**asdict(choice), "scores": list(choice.scores.items())})
            collector.ranks.barrier()
        saved = read_json(chosen)
        return Choice(saved["temperature"], dict(saved["scores"]), saved["reason"])

    def _measure(
        self,
        temperature: float,
        folder: Path,
        policy: Policy,
        collector: Collector,
        sampling: Sampling,
        seed: int,
    ) -> Sequence[Group]:
        sampling = replace(sampling, temperature=temperature, num_responses=self.num_responses)
        prompts = [self.prompts[i] for i in range(len(self.prompts))]
        return collector.collect(Stage(folder / f"temperature-{temperature:.2f}"), policy, prompts, sampling, seed)
