"""Extra rollouts for prompts the policy did not solve by itself."""

from mstar.refine.rationalize import Rationalize
from mstar.refine.refiner import Refiner
from mstar.refine.resample import Resample

__all__ = ["Rationalize", "Refiner", "Resample"]
