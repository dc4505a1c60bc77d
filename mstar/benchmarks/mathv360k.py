"""MathV360K in the parts that M-STaR trains, validates and tests on."""

from __future__ import annotations

from pathlib import Path

from mstar.benchmarks.held_out import HeldOut, Which
from mstar.layouts.asking import Asking
from mstar.layouts.conversation import Conversation
from mstar.prompts.chosen import Chosen
from mstar.prompts.dataset import DatasetPrompts

FILE, IMAGES = "train_samples_all_tuning.json", "data_images"


class MathV360K(Chosen):
    """A part of a local copy of Zhiqiang007/MathV360K, or of a file of your own in its form (`Conversation`).

    Parts of one seed are disjoint; `HeldOut` says how they are drawn and what the paper leaves open.

    Args:
        which: ``labelled``, ``unlabelled`` (with its answers: ``MixIn`` hides them), ``test`` or ``validation``.
        folder: Holds ``train_samples_all_tuning.json`` and ``data_images``.
        num_test: Rows to test on.
        num_validation: Rows to validate on.
        seed: Of the division.
    """

    def __init__(
        self,
        which: Which,
        folder: str = "data/MathV360K",
        num_test: int = 750,
        num_validation: int = 250,
        seed: int = 0,
    ) -> None:
        rows = DatasetPrompts(
            str(Path(folder) / FILE), image_root=str(Path(folder) / IMAGES), layout=Conversation(), asking=Asking()
        )
        super().__init__(rows, HeldOut(which, num_test, num_validation, seed).choose(len(rows)))
