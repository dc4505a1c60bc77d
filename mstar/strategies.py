"""FSDP2 for ``--trainer.strategy``: as ``fsdp2``, ``fsdp`` or ``model_parallel``."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from lightning.pytorch.strategies import FSDPStrategy, ModelParallelStrategy, StrategyRegistry
from torch.distributed.constants import default_pg_timeout

from mstar.checkpoints import read_checkpoint, require_same_model


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

    def load_checkpoint(self, checkpoint_path: str | Path, weights_only: bool | None = None) -> dict[str, Any]:
        """Load a run's own checkpoint, tensors and primitives alone, whatever ``weights_only`` says.

        Raises:
            ValueError: If it is another model's: where an adapter is trained Lightning would load nothing, silently.
        """
        module = self.lightning_module
        assert module is not None
        if Path(checkpoint_path).is_file():
            state = read_checkpoint(checkpoint_path, mmap=True)["state_dict"]
            require_same_model(module, state, module.strict_loading)
        return super().load_checkpoint(checkpoint_path, weights_only=True)


# Lightning's own "fsdp" is FSDP1, whose flattened weights cannot be sampled from outside of its wrapper's forward.
if "fsdp" in FSDPStrategy.get_registered_strategies():  # names in this list are refused on a CPU
    FSDPStrategy.get_registered_strategies().remove("fsdp")
for name in ("fsdp", "fsdp2", "model_parallel"):
    StrategyRegistry.register(name, FSDP2Strategy, description="FSDP2 (fully_shard) over all ranks", override=True)
