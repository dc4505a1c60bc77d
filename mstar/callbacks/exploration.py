"""The monitor: how well the policy answers, and how much there is left to learn from sampling it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from mstar.callbacks.responses import gathered, write_responses
from mstar.datamodules.evolving import EvolvingDataModule
from mstar.dynamics import answering, by_kind, summarize, wilson_interval
from mstar.evaluation import Evaluated
from mstar.files import write_json
from mstar.scaling import scaling
from mstar.temperature import Choice
from mstar.types import Group


class ExplorationMonitor(Callback):
    """Logs the dynamics of the paper's section 8 for validation, test and rollouts.

    Every validation, by split and again by split and kind of prompt (``val/FQA/…``): ``accuracy``, ``greedy_length``
    (tokens), ``greedy_truncated`` and ``greedy_no_answer`` of greedy responses. If several a prompt are sampled
    (``data.evaluation.sampling``), also ``pass@k`` (unbiased), ``pass@k-greedy`` (what is left to learn from sampling),
    ``reward_pass@k``, votes, answers a prompt, length and the same rates of those. ``rollout/…`` are those of the
    iteration's own rollouts, with the share of prompts and responses kept; ``temperature/…`` are the temperature in
    force and the score of every candidate (``temperature/score@0.7``). ``mstar test`` also writes
    ``<run>/evaluation.json``, with accuracy by responses a prompt (`scaling`), and every response.

    Args:
        ks: The k of pass@k and reward-pass@k; those above the number of responses are left out.
        by: Name of the reward that ranks for reward-pass@k; ``None`` leaves it out.
    """

    def __init__(self, ks: Sequence[int] = (1, 2, 4, 8, 16), by: str | None = None) -> None:
        self.ks = tuple(ks)
        self.by = by
        self.seen: dict[str, list[Evaluated]] = {}

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the iteration's rollouts as it ends: a run that is resumed within the iteration comes by here too."""
        data = trainer.datamodule  # type: ignore[attr-defined]
        if isinstance(data, EvolvingDataModule):
            metrics = rollout_metrics(data.groups, self.ks, self.by)
            metrics |= cost_metrics(data.stage(trainer.current_epoch).manifest)
            named = {f"rollout/{name}": value for name, value in metrics.items()}
            if choice := data.choice(trainer.current_epoch):
                named |= curve_metrics(choice)
            pl_module.log_dict(named, batch_size=1, rank_zero_only=True)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget the last measurement."""
        self.seen = {}

    on_test_start = on_validation_start

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the batch's groups."""
        if isinstance(batch, Evaluated):
            self.seen.setdefault(batch.split, []).append(batch.without_images())

    on_test_batch_end = on_validation_batch_end

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the dynamics of every split over all ranks' prompts."""
        for split, batches in self.seen.items():
            metrics = validation_metrics(*gathered(batches), self.ks, self.by)
            metrics.pop("accuracy")  # the policy logs it, with or without a monitor
            pl_module.log_dict({f"{split}/{name}": value for name, value in metrics.items()}, rank_zero_only=True)

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the evaluation of every test split, and every response behind it."""
        folder, result = Path(trainer.default_root_dir), {}
        for split, batches in self.seen.items():
            greedy, sampled = gathered(batches)
            result[split] = evaluation(greedy, sampled, self.ks, self.by)
            if trainer.is_global_zero:
                write_responses(folder, split, greedy, sampled)
        if trainer.is_global_zero:
            write_json(folder / "evaluation.json", result)


def validation_metrics(
    greedy: Sequence[Group], sampled: Sequence[Group], ks: Sequence[int], by: str | None
) -> dict[str, float]:
    """All measures of a split, and under ``<kind>/…`` those of each kind of prompt."""
    samples = by_kind(sampled)
    metrics = answering(greedy, sampled, ks, by)
    for kind, groups in by_kind(greedy).items():
        found = answering(groups, samples.get(kind, []), ks, by)
        metrics |= {f"{kind or 'other'}/{name}": value for name, value in found.items()}
    return metrics


def evaluation(greedy: Sequence[Group], sampled: Sequence[Group], ks: Sequence[int], by: str | None) -> dict[str, Any]:
    """Greedy accuracy with its 95 % Wilson interval, the sampled dynamics, and both by kind of prompt."""
    whole = _measures(greedy, sampled, ks, by)
    samples = by_kind(sampled)
    kinds = {kind: _measures(groups, samples.get(kind, []), ks, by) for kind, groups in by_kind(greedy).items()}
    return {**whole, "scaling": scaling(sampled, ks, by) if sampled else {}, "kinds": kinds}


def _measures(greedy: Sequence[Group], sampled: Sequence[Group], ks: Sequence[int], by: str | None) -> dict[str, Any]:
    correct = sum(group.rollouts[0].correct for group in greedy)
    interval = list(wilson_interval(correct, len(greedy)))
    return {"num_prompts": len(greedy), "ci95": interval, **answering(greedy, sampled, ks, by)}


def rollout_metrics(groups: Sequence[Group], ks: Sequence[int], by: str | None) -> dict[str, float]:
    """Dynamics of an iteration's rollouts and how much of them was kept."""
    rollouts = [rollout for group in groups for rollout in group]
    return {
        **summarize(groups, ks, by),
        "temperature": rollouts[0].temperature,
        "accept_rate": sum(r.kept is True for r in rollouts) / len(rollouts),
        "prompts_kept": sum(any(r.kept for r in group) for group in groups) / len(groups),
        "kept": float(sum(r.kept is True for r in rollouts)),
    }


def curve_metrics(choice: Choice) -> dict[str, float]:
    """The temperature in force, and the whole curve that it was chosen from."""
    curve = {f"temperature/score@{t:g}": score for t, score in choice.scores.items()}
    return {"temperature/chosen": choice.temperature, **curve}


def cost_metrics(manifest: Mapping[str, Any]) -> dict[str, float]:
    """Seconds by phase, rates, and how full the engine's rows were in [0, 1], of an iteration's rollouts."""
    spent, seconds = manifest["spent"], manifest["seconds"]
    phases = {name: value for name, value in spent.items() if name.startswith("seconds/")}
    sampled = {f"seconds/{name}": value for name, value in seconds.items()}
    rates = {f"{name}_per_second": spent[name] / max(seconds["rollout"], 1e-9) for name in ("tokens", "responses")}
    return {**phases, **sampled, **rates, "occupancy": spent["row_steps"] / max(spent["rows"], 1)}
