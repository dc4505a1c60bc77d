"""What a run folder holds of its policy: configuration, checkpoint, and the module that both belong to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from lightning.pytorch import LightningModule
from lightning.pytorch.cli import LightningArgumentParser

from mstar.modules.policy import PolicyModule
from mstar.modules.process_reward import ProcessRewardModule

FOLDER = "checkpoints"


@dataclass(frozen=True)
class Run:
    """A run that has trained something."""

    folder: Path
    config: dict[str, Any]
    """As Lightning saved it: every value in force."""
    checkpoint: Path

    @property
    def sampled(self) -> Path:
        """The run whose rollouts this one was trained on: itself, unless it replays another."""
        replayed = look_up(self.config, ("data", "replay"))
        return self.folder if replayed is None else Path(replayed)

    def module(self) -> PolicyModule | ProcessRewardModule:
        """The run's model with its backbone's weights; the checkpoint's are not in it yet.

        Raises:
            ValueError: If it is neither a policy nor a process reward model, or is configured as it cannot be any more.
        """
        parser = LightningArgumentParser(exit_on_error=False)
        parser.add_lightning_class_args(LightningModule, "model", subclass_mode=True)
        try:
            module = parser.instantiate_classes(parser.parse_object({"model": self.config["model"]})).model
        except (TypeError, KeyError) as error:
            raise ValueError(f"{self.folder}: its configuration cannot be built any more: {error}") from error
        if not isinstance(module, PolicyModule | ProcessRewardModule):
            raise ValueError(f"{self.folder} has trained a {type(module).__name__}; give the run of a policy.")
        module.configure_model()
        return module


def read_run(folder: Path, checkpoint: str | None) -> Run:
    """Find a run's configuration and one of its checkpoints.

    Args:
        folder: ``trainer.default_root_dir``.
        checkpoint: Name in ``checkpoints`` or a path; ``None`` takes ``best``, or ``last`` where none was chosen.

    Raises:
        FileNotFoundError: If something is missing; the message says what there is instead.
        ValueError: If the checkpoint was saved in parts.
    """
    file = _checkpoint(folder, checkpoint)
    configs = sorted([*folder.glob("config.yaml"), *folder.glob("logs/config.yaml"), *folder.glob("*/*/config.yaml")])
    if not configs:
        raise FileNotFoundError(f"{folder} holds no config.yaml, which `mstar fit` writes beside its logs: restore it.")
    return Run(folder, yaml.safe_load(configs[0].read_text(encoding="utf-8")), file)


def _checkpoint(folder: Path, asked: str | None) -> Path:
    names = [asked] if asked is not None else ["best", "last"]
    found = [file for name in names for file in (folder / FOLDER / f"{name}.ckpt", Path(name)) if file.exists()]
    if not found:
        below = sorted(str(file.parent.parent) for file in folder.glob(f"*/{FOLDER}/*.ckpt"))
        there = sorted(file.stem for file in (folder / FOLDER).glob("*.ckpt"))
        hint = f"there are --checkpoint {', '.join(there)}" if there else "give the folder of a run of `mstar fit`"
        hint = f"it is a folder of several runs: give one of {', '.join(dict.fromkeys(below))}" if below else hint
        raise FileNotFoundError(f"{folder} has no checkpoint {' or '.join(names)}; {hint}.")
    if found[0].is_dir():
        raise ValueError(
            f"{found[0]} is a checkpoint in parts. Make it whole first: python -m lightning.pytorch.utilities."
            f"consolidate_checkpoint {found[0]}, then give --checkpoint {found[0]}.consolidated"
        )
    return found[0]


def look_up(config: Any, keys: Sequence[str]) -> Any:
    """A setting by its key on the command line, where ``init_args`` is left out."""
    for key in keys:
        if not isinstance(config, Mapping):
            return None
        config = config.get(key, (config.get("init_args") or {}).get(key))
    return config
