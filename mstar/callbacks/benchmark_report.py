"""The report of a benchmark run: one table, one JSON file, and every response with its verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from rich.console import Console

from mstar import __version__
from mstar.benchmarks import Benchmark
from mstar.callbacks.benchmark_table import show
from mstar.callbacks.responses import gathered, write_responses
from mstar.datamodules.benchmark import BenchmarkDataModule
from mstar.evaluation import Evaluated
from mstar.files import write_json
from mstar.metrics import Scores, Seconds

ALL = "all"


class BenchmarkReport(Callback):
    """Prints the table and writes ``<run>/benchmark.json`` and ``<run>/<benchmark>-{greedy,sampled}.parquet``.

    docs/benchmarks.md says which field is which of lmms-eval's and VLMEvalKit's.

    Args:
        ks: The k of pass@k and reward-pass@k; those above the number of responses are left out.
        by: Name of the reward that ranks for reward-pass@k and weighs the vote; ``None`` leaves these out. It must not
            know the answer.
    """

    def __init__(self, ks: Sequence[int] = (1, 8), by: str | None = None) -> None:
        if by == "outcome":
            raise ValueError(
                "BenchmarkReport.by is 'outcome', which knows the answer: reward-pass@k would be pass@n. Name a reward "
                "that does not, such as 'process', or leave it out."
            )
        self.ks = tuple(ks)
        self.by = by
        self.seen: dict[str, list[Evaluated]] = {}
        self.scores: dict[str, dict[str, dict[str, Scores]]] = {}
        """By benchmark, by sub-task, of ``greedy`` and ``sampled`` responses."""
        self.seconds: dict[str, Seconds] = {}

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget the last measurement."""
        self.seen, self.scores, self.seconds = {}, {}, {}

    on_test_start = on_validation_start

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Evaluated,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Add this rank's groups to every row, also to one it has no prompt of: all ranks must have the same rows."""
        self.seen.setdefault(batch.split, []).append(batch.without_images())
        data, device = data_of(trainer), device_of(pl_module)
        rows = self.scores.setdefault(batch.split, {})
        for kind in (ALL, *batch.kinds):
            if kind not in rows:
                rows[kind] = self._row(batch.split, data, device)
            for what, groups in (("greedy", batch.greedy), ("sampled", batch.sampled)):
                if what in rows[kind]:
                    rows[kind][what].update([group for group in groups if kind in (ALL, group.prompt.kind)])
        self.seconds.setdefault(batch.split, Seconds().to(device)).update(batch.seconds)

    on_test_batch_end = on_validation_batch_end

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Report; every rank takes part in adding up, rank zero prints and writes."""
        data, folder = data_of(trainer), Path(trainer.default_root_dir)
        benchmarks = {name: self._benchmark(name, data) for name in self.scores}
        result = {"benchmarks": benchmarks, "mean": mean_of(benchmarks), "settings": self._settings(trainer, data)}
        responses = {name: gathered(batches) for name, batches in self.seen.items()}
        if trainer.is_global_zero:
            for name, (greedy, sampled) in responses.items():
                write_responses(folder, name, greedy, sampled)
            write_json(folder / "benchmark.json", result)
            show(result, Console())

    on_test_epoch_end = on_validation_epoch_end

    def _row(self, name: str, data: BenchmarkDataModule, device: torch.device) -> dict[str, Scores]:
        source, num = data.benchmarks[name], data.num_responses
        row = {"greedy": Scores.of_greedy(isinstance(source, Benchmark) and source.rotated).to(device)}
        return {**row, "sampled": Scores.of_sampled(self.ks, self.by, num).to(device)} if num else row

    def _benchmark(self, name: str, data: BenchmarkDataModule) -> dict[str, Any]:
        source, rows = data.benchmarks[name], self.scores[name]
        kinds = sorted(kind for kind in rows if kind and kind != ALL)
        return {
            "rows": {
                kind: {
                    what: {metric: asdict(measured) for metric, measured in scores.measured().items()}
                    for what, scores in rows[kind].items()
                }
                for kind in (ALL, *kinds)
            },
            "seconds": float(self.seconds[name].compute()),
            "left_out": source.left_out if isinstance(source, Benchmark) else {},
        }

    def _settings(self, trainer: Trainer, data: BenchmarkDataModule) -> dict[str, Any]:
        """What the figures depend on."""
        return {
            "model": data.name,
            "policy": data.weights,
            "ckpt_path": trainer.ckpt_path,
            "instruction": data.policy.instruction,
            "reward": type(data.reward).__name__,
            "by": self.by,
            "greedy": asdict(data.greedy),
            "sampled": asdict(data.sampling) if data.sampling else None,
            "seed": data.seed,
            "versions": {"mstar": __version__, **{n: version(n) for n in ("torch", "transformers", "lightning")}},
        }


def data_of(trainer: Trainer) -> BenchmarkDataModule:
    """The run's benchmarks.

    Raises:
        RuntimeError: If the run measures something else.
    """
    data = trainer.datamodule  # type: ignore[attr-defined]
    if not isinstance(data, BenchmarkDataModule):
        raise RuntimeError(f"BenchmarkReport reports a BenchmarkDataModule, but data is {type(data).__name__}.")
    return data


def device_of(module: LightningModule) -> torch.device:
    """Where metrics are added up: beside the policy if ranks must meet, else where float64 always is."""
    together = torch.distributed.is_available() and torch.distributed.is_initialized()
    return module.device if together else torch.device("cpu")


def mean_of(benchmarks: dict[str, Any]) -> float:
    """Plain mean of the benchmarks' greedy accuracies, as the paper's Average column (mstar-paper, section 2)."""
    return fmean(benchmark["rows"][ALL]["greedy"]["accuracy"]["value"] for benchmark in benchmarks.values())
