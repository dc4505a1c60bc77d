"""What the tests of strategies plug in by class_path."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch.distributed.fsdp import FSDPModule, FullyShardedDataParallel
from torch.utils._python_dispatch import TorchDispatchMode

from mstar.files import write_json
from mstar.modules.policy import Policy
from mstar.modules.sharding import bytes_on_this_rank, local
from mstar.rollout import NativeEngine
from mstar.types import Group, Request, Sampling


class Collectives(TorchDispatchMode):
    """Counts the operations for which ranks wait for each other, by name."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Count it if it is one."""
        if func.namespace in ("c10d", "_c10d_functional"):
            self.counts[func.overloadpacket.__name__] += 1
        return func(*args, **(kwargs or {}))


class Counted:
    """The native engine, which counts the times that ranks wait for each other while responses are written."""

    collectives: int = 0
    """Of all calls."""

    def __init__(self) -> None:
        self.engine = NativeEngine(logprobs=True)
        self.account = self.engine.account

    def generate(self, policy: Policy, requests: Sequence[Request], sampling: Sampling, seed: int) -> Iterator[Group]:
        """As the native engine does."""
        with Collectives() as seen:
            groups = list(self.engine.generate(policy, requests, sampling, seed))
        Counted.collectives += seen.counts.total()
        yield from groups


class Facts(Callback):
    """Writes what this rank holds and does to ``<run>/facts-<rank>-<epoch>.json``."""

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.gathers: list[dict[str, int]] = []

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Count what is gathered in each iteration."""
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        evolve = data.evolve

        def counted(iteration: int) -> Any:
            with Collectives() as seen:
                groups = evolve(iteration)
            self.gathers.append(dict(seen.counts))
            return groups

        data.evolve = counted

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Note the loss, a mean over all ranks' tokens already."""
        self.losses.append(float(outputs["loss"]))

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write."""
        module: Any = pl_module
        named = list(module.model.named_parameters())
        units = [m for m in trainer.strategy.model.modules() if isinstance(m, FSDPModule | FullyShardedDataParallel)]
        facts = {
            "bytes": bytes_on_this_rank(trainer.strategy.model),
            "trainable": sum(local(p).numel() for _, p in named if p.requires_grad),
            "parameters": sum(local(p).numel() for _, p in named),
            "types": Counter(
                str(p.dtype) for n, p in named if "language_model" in n and "_proj" in n and "lora_" not in n
            ),
            "kinds": Counter(type(m).__name__ for n, m in module.model.named_modules() if n.endswith("_proj")),
            "optimizer": sum(
                local(v).nbytes for state in trainer.optimizers[0].state.values() for v in state.values() if v.dim()
            ),
            "units": len(units),
            "gathers": self.gathers,
            "tokens": module.trainer.datamodule.engine.account.tokens,
            "collectives": Counted.collectives,
            "losses": self.losses,
        }
        write_json(Path(trainer.default_root_dir) / f"facts-{trainer.global_rank}-{trainer.current_epoch}.json", facts)
