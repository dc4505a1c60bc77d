"""Write the trained model as a folder that transformers reads."""

from __future__ import annotations

from pathlib import Path

from lightning.pytorch import Callback, LightningModule, Trainer

from mstar.checkpoints import read_checkpoint
from mstar.export.export import write_model
from mstar.export.folder import whole_folder
from mstar.modules.policy import PolicyModule
from mstar.modules.process_reward import ProcessRewardModule


class Export(Callback):
    """At the end of ``fit`` write ``<run>/model`` from a checkpoint of the run.

    Args:
        checkpoint: Name of the checkpoint in ``<run>/checkpoints``: ``best`` or ``last``.
        merge: Write whole weights where an adapter was trained, as the next stage of a recipe needs; else the adapter.
    """

    def __init__(self, checkpoint: str = "best", merge: bool = True) -> None:
        self.checkpoint = checkpoint
        self.merge = merge

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write weights in safetensors, processor and chat template.

        Raises:
            FileNotFoundError: If the run saved no such checkpoint.
        """
        if not trainer.is_global_zero:
            return
        if not isinstance(pl_module, PolicyModule | ProcessRewardModule):
            raise ValueError(f"Export writes a PolicyModule or a ProcessRewardModule, not {type(pl_module)}.")
        folder = Path(trainer.default_root_dir)
        file = folder / "checkpoints" / f"{self.checkpoint}.ckpt"
        if not file.is_file():
            raise FileNotFoundError(f"Export.checkpoint is {self.checkpoint!r}, but {file} was not saved; try 'last'.")
        with whole_folder(folder / "model") as part:
            write_model(pl_module, part, read_checkpoint(file)["state_dict"], self.merge)
