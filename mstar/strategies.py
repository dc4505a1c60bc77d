"""FSDP2 for ``--trainer.strategy``: as ``fsdp2``, ``fsdp`` or ``model_parallel``."""

from __future__ import annotations

from datetime import timedelta

from lightning.pytorch.strategies import FSDPStrategy, ModelParallelStrategy, StrategyRegistry
from torch.distributed.constants import default_pg_timeout


class FSDP2Strategy(ModelParallelStrategy):
    """FSDP2 over all ranks of all nodes.

    Lightning's own default spreads data over nodes and tensors over the devices of each, for which models here have no
    plan. Checkpoints are whole files, so that any number of ranks goes on from them.

    Args:
        save_distributed_checkpoint: Each rank writes its part, into a folder: faster for very large models. Such a
            checkpoint must be consolidated before it is exported.
        process_group_backend: ``nccl``, ``gloo``, …; ``None`` takes the device's usual one.
        timeout: How long a rank waits for the others.
    """

    def __init__(
        self,
        save_distributed_checkpoint: bool = False,
        process_group_backend: str | None = None,
        timeout: timedelta | None = default_pg_timeout,
    ) -> None:
        super().__init__("auto", 1, save_distributed_checkpoint, process_group_backend, timeout)

    def setup_environment(self) -> None:
        """Take all ranks as one data-parallel group; how many there are is known only now."""
        self._data_parallel_size = self.num_nodes * self.num_processes
        super().setup_environment()


# Lightning's own "fsdp" is FSDP1, whose flattened weights cannot be sampled from outside of its wrapper's forward.
FSDPStrategy.get_registered_strategies().remove("fsdp")  # names in this list are refused on a CPU
for name in ("fsdp", "fsdp2", "model_parallel"):
    StrategyRegistry.register(name, FSDP2Strategy, description="FSDP2 (fully_shard) over all ranks", override=True)
