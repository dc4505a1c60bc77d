"""The run that a datamodule serves."""

from __future__ import annotations

from lightning.pytorch import LightningDataModule, Trainer

from mstar.modules.policy import PolicyModule


def served_policy(data: LightningDataModule) -> PolicyModule:
    """The policy that a datamodule samples from.

    Raises:
        RuntimeError: If the run's model is none, or there is no run yet.
    """
    module = data.trainer.lightning_module if data.trainer else None
    if not isinstance(module, PolicyModule):
        raise RuntimeError(f"{type(data).__name__} samples from a PolicyModule, but model is {type(module)}.")
    return module


def refuse_resharding(trainer: Trainer | None) -> None:
    """Refuse that Lightning deals out what ranks have shared among themselves.

    Raises:
        ValueError: Naming the flag to set.
    """
    assert trainer is not None
    if trainer._accelerator_connector.use_distributed_sampler:
        raise ValueError("mstar shards prompts itself: set trainer.use_distributed_sampler to false.")
