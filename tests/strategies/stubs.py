"""What the tests of strategies plug in by class_path."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor
from torch.utils._python_dispatch import TorchDispatchMode

from mstar.files import write_json
from mstar.modules.policy import Policy
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

    waits: int = 0
    """Of all calls."""

    def __init__(self) -> None:
        Counted.waits = 0
        self.engine = NativeEngine(logprobs=True)
        self.account = self.engine.account

    def generate(self, policy: Policy, requests: Sequence[Request], sampling: Sampling, seed: int) -> Iterator[Group]:
        """As the native engine does."""
        with Collectives() as seen:
            groups = list(self.engine.generate(policy, requests, sampling, seed))
        Counted.waits += seen.counts.total()
        yield from groups


class Facts(Callback):
    """Writes what this rank holds and does to ``<run>/facts-<rank>-<epoch>.json``."""

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.gathers: list[dict[str, int]] = []
        self.forwards = 0

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Count what ranks do together in each iteration, and how often a part of a block is computed in training."""
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        evolve = data.evolve

        def counted(iteration: int) -> Any:
            with Collectives() as seen:
                groups = evolve(iteration)
            self.gathers.append(dict(seen.counts))
            return groups

        def called(block: Any, *_: Any) -> None:
            self.forwards += block.training

        data.evolve = counted
        module: Any = pl_module
        module.model.get_decoder().layers[0].mlp.register_forward_pre_hook(called)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Note the loss: this rank's share of the mean over all ranks' tokens."""
        self.losses.append(float(outputs["loss"]))

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write."""
        module: Any = pl_module
        named = list(module.model.named_parameters())
        base = [(n, p) for n, p in named if "language_model" in n and "_proj" in n and "lora_" not in n]
        moments = [v for state in trainer.optimizers[0].state.values() for v in state.values()]
        facts = {
            "bytes": sum(local(p).nbytes for _, p in named),
            "trainable": sum(local(p).numel() for _, p in named if p.requires_grad),
            "types": Counter(str(p.dtype) for _, p in base),
            "base_bytes": sum(local(p).nbytes for _, p in base),
            "layers": Counter(type(m).__name__ for n, m in module.model.named_modules() if n.endswith("_proj")),
            "moments": sum(local(v).nbytes for v in moments if isinstance(v, Tensor) and v.dim()),
            "units": sum(isinstance(m, FSDPModule) for m in module.modules()),
            "wrapped": type(trainer.strategy.model).__name__,
            "gathers": self.gathers,
            "tokens": module.trainer.datamodule.engine.account.tokens,
            "waits": Counted.waits,
            "losses": self.losses,
            "forwards": self.forwards,
        }
        write_json(Path(trainer.default_root_dir) / f"facts-{trainer.global_rank}-{trainer.current_epoch}.json", facts)


def local(value: Tensor) -> Tensor:
    """This rank's part of a tensor."""
    return value.to_local() if isinstance(value, DTensor) else value
