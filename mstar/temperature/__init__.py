"""How boldly to sample: rules that choose a temperature, and the control that measures for them."""

from mstar.temperature.argmax_pass import ArgmaxPass
from mstar.temperature.argmax_reward_pass import ArgmaxRewardPass
from mstar.temperature.rule import Choice, TemperatureRule

__all__ = ["ArgmaxPass", "ArgmaxRewardPass", "Choice", "TemperatureRule"]
