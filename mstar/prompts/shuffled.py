"""A source in an order of its own."""

from __future__ import annotations

import numpy as np

from mstar.prompts.chosen import Chosen
from mstar.seeds import run_seed, stable_seed
from mstar.types import PromptSource


class Shuffled(Chosen):
    """The same prompts in a random order, which depends on the seed and their number alone.

    Data sets often keep what belongs together in one place: all questions of an image, all images of a class. A walk
    in intervals then sees them in one iteration.

    Args:
        source: The prompts.
        seed: Of the order; ``None`` takes the run's (``seed_everything``).
    """

    def __init__(self, source: PromptSource, seed: int | None = None) -> None:
        rng = np.random.default_rng(stable_seed(run_seed(seed), "shuffled"))
        super().__init__(source, rng.permutation(len(source)))
