"""Self-evolution: a training set that is made anew each iteration from the policy's own responses."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from lightning.pytorch import Trainer
from torchdata.stateful_dataloader import StatefulDataLoader

from mstar.datamodules.order import passes, together
from mstar.datamodules.policy_data import Example, PolicyDataModule
from mstar.evaluation import EvaluationSet
from mstar.modules.policy import Policy
from mstar.modules.renderer import Inputs
from mstar.objectives.advantage import GroupAdvantage
from mstar.prompts.pool import PromptPool
from mstar.refine.refiner import Refiner
from mstar.rewards.reward import RewardModel
from mstar.rollout.collect import Collector
from mstar.rollout.engine import RolloutEngine
from mstar.rollout.fingerprint import prompt_digest
from mstar.rollout.native import NativeEngine
from mstar.rollout.retention import KeepAll, Retention
from mstar.rollout.store import Stage, iteration_folder, join, require_same
from mstar.seeds import stable_seed
from mstar.selection import Selector
from mstar.temperature import Choice
from mstar.temperature.control import TemperatureControl
from mstar.types import Group, PromptSource, Sampling


class EvolvingDataModule(PolicyDataModule):
    """Each epoch: sample from the current policy, score, select, and serve what was kept.

    The iteration is a stage of the rollout store, not a side effect: asked again, after a kill or because Lightning
    asks twice on resume (#9502), it is answered from disk and only missing groups are sampled.

    Args:
        reward: Scores responses; given by the CLI's ``reward`` key.
        prompts: Which prompts an iteration walks.
        evaluation: Validation and test prompts.
        sampling: How responses are drawn; ``temperature`` is where the control starts from, if there is one.
        selectors: Applied in order; what none of them drops is trained on.
        refiners: Add rollouts to scored groups, which are then scored themselves.
        temperature: Chooses the sampling temperature; ``None`` keeps ``sampling.temperature``.
        engine: Samples the responses; ``None`` is the native one.
        seed_cot: Written responses trained on beside the kept ones, once a pass; ``None`` for none.
        advantage: Weighs kept responses within their group, for policy-gradient objectives; ``None`` weighs all 1.
        batch_size: Responses an optimizer step, on each rank.
        num_passes: Passes over the training set an iteration; the paper's is inferred to be 1.
        seed: Of sampling and order; ``None`` takes the run's (``seed_everything``).
        token_budget: Tokens a forward pass, padding included; a batch above it is trained on in parts.
        share_prompts: Shuffle prompts and not responses, so that a prompt's kept responses stay together and it is
            computed once for them; ``None``: where the model can. False shuffles responses.
        max_drop_rate: Share of an iteration's prompts that may be dropped, each with its reason in the store, because
            they cannot be read or do not fit into the model's context, in [0, 1]; more stops the run.
        replay: Run folder whose finished iterations are trained on instead of sampling; ``None`` samples.
        retention: Which rollouts of finished iterations stay on disk; ``None`` keeps all.
    """

    def __init__(
        self,
        reward: RewardModel,
        prompts: PromptPool,
        evaluation: EvaluationSet,
        sampling: Sampling = Sampling(),  # noqa: B008 (frozen)
        selectors: Sequence[Selector] = (),
        refiners: Sequence[Refiner] = (),
        temperature: TemperatureControl | None = None,
        engine: RolloutEngine | None = None,
        seed_cot: PromptSource | None = None,
        advantage: GroupAdvantage | None = None,
        batch_size: int = 128,
        num_passes: int = 1,
        seed: int | None = None,
        token_budget: int = 4096,
        share_prompts: bool | None = None,
        max_drop_rate: float = 0.01,
        replay: str | None = None,
        retention: Retention | None = None,
    ) -> None:
        if not 0 <= max_drop_rate <= 1:
            raise ValueError(f"data.max_drop_rate is {max_drop_rate}; give a share in [0, 1].")
        super().__init__(reward, evaluation, engine or NativeEngine(), batch_size, seed, token_budget, share_prompts)
        self.prompts = prompts
        self.sampling = sampling
        self.selectors = tuple(selectors)
        self.refiners = tuple(refiners)
        self.temperature = temperature
        self.seed_cot = seed_cot
        self.advantage = advantage
        self.num_passes = num_passes
        self.max_drop_rate = max_drop_rate
        self.replay = None if replay is None else Path(replay)
        self.retention = retention or KeepAll()
        self.groups: list[Group] = []

    def train_dataloader(self) -> StatefulDataLoader[list[Inputs]]:
        """The training set of the current iteration: sampled now, or read back from the store."""
        iteration = self._iteration()
        self.groups = self.evolve(iteration)
        self.prompts.update(self.groups)
        examples = self._examples(self.groups)
        seed = stable_seed(self.seed, "order", iteration)
        units = together([e.prompt.id for e in examples]) if self.sharing else [[i] for i in range(len(examples))]
        order = passes(len(units), 0, self.num_passes * len(units), seed)
        return self.training_loader([examples[i] for unit in order for i in units[unit]])

    def stage(self, iteration: int) -> Stage:
        """Where the rollouts of an iteration are kept."""
        return Stage(iteration_folder(self.replay or self.run_folder, iteration))

    def choice(self, iteration: int) -> Choice | None:
        """What the temperature control chose for an iteration; ``None`` if there is none, or not yet."""
        return self.temperature.chosen(iteration, self._searches) if self.temperature else None

    def evolve(self, iteration: int) -> list[Group]:
        """The iteration's groups, scored, each rollout kept or dropped with the reason.

        Raises:
            RuntimeError: If nothing was kept, the iteration was sampled with other settings or from other prompts, or
                it is to be replayed and is not there.
        """
        stage = self.stage(iteration)
        seed = stable_seed(self.seed, "rollout", iteration)
        if self.replay is not None and not stage.sealed:
            raise RuntimeError(nothing_to_replay(self.replay, iteration))
        if stage.sealed:
            if self.replay is None:
                self._require_same(stage, seed)
            groups = self._read(stage)
        else:
            with self.policy.inference() as policy:
                sampling = self._sampling(iteration, policy)
                prompts = self.prompts.prompts(iteration, spent(self.trainer))
                groups = self._collector().collect(stage, policy, prompts, sampling, seed)
        if not any(rollout.kept for group in groups for rollout in group):
            raise RuntimeError(nothing_kept(iteration, groups, stage.manifest["key"]["sampling"]))
        if self.replay is None and self.ranks.rank == 0:
            self.retention.prune(self.run_folder, iteration)
        return groups

    def _read(self, stage: Stage) -> list[Group]:
        """A sealed iteration's groups, joined to the prompts they were sampled from.

        Raises:
            RuntimeError: If a prompt's question, answer or image has changed since.
        """
        manifest = stage.manifest
        prompts = self.prompts.find(manifest["prompts"])
        asked = prompt_digest(prompts)
        if manifest.get("asked", asked) != asked:
            raise RuntimeError(
                f"{stage.folder} was sampled from prompts that have changed since: a question, an answer or an image "
                f"of data.prompts.source is another one now. Restore the data, or start afresh with another "
                f"--trainer.default_root_dir."
            )
        return join(prompts, stage.read())

    def _require_same(self, stage: Stage, seed: int) -> None:
        """Refuse a finished iteration that was sampled otherwise than is asked now.

        The policy is not compared: it has moved on since. Nor is the temperature if it was chosen automatically.
        """
        asked: dict[str, Any] = {"seed": seed, "sampling": asdict(self.sampling)}
        found = {name: stage.manifest["key"][name] for name in asked}
        if self.temperature is not None:
            asked["sampling"]["temperature"] = found["sampling"]["temperature"]
        require_same(found, json.loads(json.dumps(asked)), stage.folder)

    def state_dict(self) -> dict[str, Any]:
        """The pool's state; the rollouts themselves are in the store."""
        return {"prompts": self.prompts.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the pool."""
        self.prompts.load_state_dict(state_dict["prompts"])

    def _iteration(self) -> int:
        """The epoch, or the last one if the run is over: Lightning asks once more before it notices."""
        trainer = self.trainer
        assert trainer is not None
        epoch = trainer.current_epoch
        over = trainer.max_epochs is not None and 0 <= trainer.max_epochs <= epoch
        over |= 0 <= trainer.max_steps <= trainer.global_step
        return epoch - 1 if over and epoch and not self.stage(epoch).sealed else epoch

    def _sampling(self, iteration: int, policy: Policy) -> Sampling:
        if self.temperature is None:
            return self.sampling
        choice = self.temperature.at(
            iteration,
            self._searches,
            policy,
            Collector(self.engine, self.reward, ranks=self.ranks, progress=self.progress),
            self.sampling,
            self.evaluation.validation,
            stable_seed(self.seed, "temperature"),
        )
        return replace(self.sampling, temperature=choice.temperature)

    @property
    def _searches(self) -> Path:
        return self.run_folder / "temperature"

    def _collector(self) -> Collector:
        return Collector(
            self.engine,
            self.reward,
            self.refiners,
            self.selectors,
            self.ranks,
            self.max_drop_rate,
            self.progress,
        )

    def _examples(self, groups: Sequence[Group]) -> list[Example]:
        written = [] if self.seed_cot is None else [self.seed_cot[i] for i in range(len(self.seed_cot))]
        renderer = self.policy.renderer
        # Ids are unique within a source only, and responses that share one are trained on beside one prompt.
        apart = [replace(prompt, id=f"seed_cot/{prompt.id}") for prompt in written]
        examples = [Example(prompt, renderer.response_tokens(prompt.cot)) for prompt in apart if prompt.cot]
        self.require_fit(examples)
        for group in groups:
            weights = self.advantage(group) if self.advantage else [1.0] * len(group)
            for rollout, weight in zip(group, weights, strict=True):
                if rollout.kept:
                    examples.append(Example(group.prompt, rollout.tokens, weight, rollout.logprobs))
        return examples


def spent(trainer: Trainer | None) -> float:
    """Share of the run that is over, in [0, 1]: of ``max_steps`` or ``max_epochs``, whichever is nearer its end."""
    assert trainer is not None
    budgets = ((trainer.global_step, trainer.max_steps), (trainer.current_epoch, trainer.max_epochs or -1))
    return min(1.0, max((done / budget for done, budget in budgets if budget > 0), default=0.0))


def nothing_to_replay(run: Path, iteration: int) -> str:
    """Say that a run has no such iteration, and what it has."""
    there = sum(Stage(folder).sealed for folder in (run / "rollouts").glob("iteration-*"))
    return (
        f"data.replay is {str(run)!r}, which has no finished iteration {iteration}; it has {there} of them. Set "
        f"trainer.max_epochs to {there}, or give a run with more: mstar rollouts ls {run}"
    )


def nothing_kept(iteration: int, groups: Sequence[Group], sampling: Mapping[str, Any]) -> str:
    """Say why an iteration has nothing to train on, and what to change."""
    rollouts = [rollout for group in groups for rollout in group]
    wrong = sum(r.verdict == "wrong" and r.answer is not None for r in rollouts)
    silent = sum(r.verdict == "wrong" and r.answer is None for r in rollouts)
    unscorable = sum(r.verdict == "unscorable" for r in rollouts)
    return (
        f"iteration {iteration}: the selectors kept 0 of {len(rollouts):,} rollouts ({wrong:,} wrong, {silent:,} "
        f"without an answer, {unscorable:,} unscorable). Raise data.sampling.num_responses "
        f"({sampling['num_responses']}), lower data.sampling.temperature ({sampling['temperature']}), or warm the "
        f"policy up longer; every response and its reason is in rollouts/iteration-{iteration:04d}."
    )
