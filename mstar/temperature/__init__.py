"""How boldly to sample: rules that choose a temperature, and the control that measures for them."""

from mstar.temperature.argmax_balance import ArgmaxBalance
from mstar.temperature.argmax_pass import ArgmaxPass
from mstar.temperature.argmax_reward_pass import ArgmaxRewardPass
from mstar.temperature.racing import Racing
from mstar.temperature.rule import Choice, TemperatureRule
from mstar.temperature.search import FullGrid, Search

__all__ = [
    "ArgmaxBalance",
    "ArgmaxPass",
    "ArgmaxRewardPass",
    "Choice",
    "FullGrid",
    "Racing",
    "Search",
    "TemperatureRule",
]
