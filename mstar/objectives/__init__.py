"""What is minimised on the responses that were kept."""

from mstar.objectives.grpo import GRPO
from mstar.objectives.objective import Objective
from mstar.objectives.sft import SFT

__all__ = ["GRPO", "SFT", "Objective"]
