"""Which weights and which optimizer state an iteration starts from: three callbacks that differ by one class_path."""

from mstar.init_policy.continuous import Continue
from mstar.init_policy.init_policy import InitPolicy
from mstar.init_policy.reset_optimizer import ResetOptimizer
from mstar.init_policy.restart import Restart

__all__ = ["Continue", "InitPolicy", "ResetOptimizer", "Restart"]
