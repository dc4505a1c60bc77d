"""Where Lightning's own resume is not exact."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from mstar.signals import JUST_BEGUN


class Revalidate(Callback):
    """Validates an epoch whose checkpoint was written behind its last batch, by a run that never came to validate it.

    Lightning 2.6 goes on with the next epoch then: the epoch has no metrics, so that the best checkpoint and early
    stopping may differ from those of a run that was not interrupted. What is changed here is the saved position: from
    "in the last batch's hooks" to "before the first batch of its validation", where it knows how to go on.
    """

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Move the position, where the checkpoint stands behind an epoch's last batch and within its hooks."""
        loops = checkpoint.get("loops", {}).get("fit_loop")
        if not loops or not loops["epoch_loop.batch_progress"]["is_last_batch"]:
            return
        total = loops["epoch_loop.batch_progress"]["total"]
        if total["completed"] != total["processed"] - 1 or total["processed"] != total["ready"]:
            return
        for part in ("total", "current"):
            loops["epoch_loop.batch_progress"][part]["completed"] += 1
            loops["epoch_loop.val_loop.batch_progress"][part].update(JUST_BEGUN)
